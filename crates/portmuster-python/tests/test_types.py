"""The types of the package."""

import os
import pathlib
import subprocess
import sys

import pytest

import portmuster

FOLDER = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(portmuster.__file__).parent


def run(*command):
    # pyright looks for packages where the first Python of PATH does.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "mypy", "--strict", FOLDER / "typed.py"],
        ["-m", "mypy", "--strict", "-p", "portmuster"],
        ["-m", "mypy.stubtest", "portmuster._native", "--allowlist", FOLDER / "stubtest.txt"],
        ["-m", "pyright", FOLDER / "typed.py"],
        ["-m", "pyright", "--verifytypes", "portmuster"],
        [FOLDER.parent / "stubs.py", "--check"],
    ],
    ids=["mypy", "mypy of the package", "stubtest", "pyright", "pyright of the package", "stubs"],
)
def test_types_are_correct(command):
    ended = run(*command)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").exists()
