"""The page about the package, and the front page: their programs run, and the page names everything."""

import doctest
import inspect
import json
import pathlib
import re

import pytest
from fastapi import testclient

import portmuster

ROOT = pathlib.Path(__file__).parents[3]
PAGE = ROOT / "docs" / "python.md"
TEXT = PAGE.read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = [block for page in (PAGE, ROOT / "README.md") for block in BLOCK.findall(page.read_text())]


def run(program):
    names = {"__name__": "page"}
    exec(compile(program, PAGE, "exec"), names)
    return names


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_program_of_the_page_runs(program):
    for name, value in run(program).items():
        if name.startswith("test_"):
            value()


def test_application_of_the_page_sends_row_by_row():
    (program,) = [program for program in PROGRAMS if "fastapi" in program]
    with testclient.TestClient(run(program)["app"]) as client:
        answer = client.get("/ssh/127.77.0.0/30")
    assert answer.headers["content-type"].startswith("application/jsonl")
    hosts = [json.loads(line)["host"] for line in answer.text.splitlines()]
    assert sorted(hosts) == [f"127.77.0.{last}" for last in range(4)]


def test_pages_have_the_programs_that_they_promise():
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize(
    "names",
    [
        portmuster.CheckSettings.__annotations__,
        [name for name in inspect.signature(portmuster.check_ports).parameters if name != "ip_ports"],
        [name for name in dir(portmuster.Account) if not name.startswith("_") and name != "as_dict"],
        [name for name in portmuster.__all__ if name.endswith("Error")],
        ["account", "certainty", "close()", "arrow()"],
    ],
    ids=["check", "check_ports", "account", "exceptions", "run"],
)
def test_page_names_everything(names):
    missing = [name for name in names if f"`{name}`" not in TEXT]
    assert not missing


def test_docstrings_name_every_parameter():
    for name in portmuster.CheckSettings.__annotations__:
        assert re.search(rf"^    [a-z_, ]*\b{name}\b", portmuster.check.__doc__, re.MULTILINE), name
    for function in (portmuster.check_ports, portmuster.check_a_port):
        for name in inspect.signature(function).parameters:
            assert f"\n    {name} : " in function.__doc__, name


def test_every_public_name_has_a_docstring():
    for name in portmuster.__all__:
        value = getattr(portmuster, name)
        assert value.__doc__, name
        if inspect.isclass(value) and value.__module__.startswith("portmuster"):
            for member in vars(value).values():
                public = callable(member) and not getattr(member, "__name__", "_").startswith("_")
                assert not public or inspect.getdoc(member), member


def test_examples_of_docstrings_are_true():
    for function in (portmuster.check_a_port, portmuster.check_ports, portmuster.check):
        examples = doctest.DocTestFinder(recurse=False).find(function, globs={})
        runner = doctest.DocTestRunner()
        for example in examples:
            runner.run(example)
        assert (runner.failures, runner.tries > 0) == (0, True)
