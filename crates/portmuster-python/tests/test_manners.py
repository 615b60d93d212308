"""Signals, forks, subinterpreters, and the end of the interpreter."""

import signal
import subprocess
import sys

import pytest
from conftest import PROGRAM_LIMIT, run_python


def interrupt(code, *arguments):
    """Runs a program, sends it Ctrl-C once it has printed a line, and returns its output."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=PROGRAM_LIMIT)
    return stdout, stderr, child.returncode


WAITING = """
import sys, threading, portmuster, pyarrow
port = int(sys.argv[1])
main = threading.main_thread().ident
waits = WAITS

def targets():
    yield "127.0.0.1", port
    # The thread that takes the targets writes the line once the main thread waits for the result.
    while sys._current_frames()[main].f_lineno != waits:
        pass
    print("ready", flush=True)

def wait(checks):
    WAIT

try:
    wait(portmuster.check_ports(targets(), timeout=3600))
except KeyboardInterrupt:
    print("interrupted")
"""

BATCHES = """try:
        pyarrow.table(checks.arrow())
    finally:
        # pyarrow has an exception of its own. The interpreter raises KeyboardInterrupt in a loop.
        while True:
            pass"""


@pytest.mark.parametrize(
    ("wait", "line"),
    [("next(checks)", 0), ("list(checks)", 0), (BATCHES, 1)],
    ids=["next", "list", "arrow"],
)
def test_ctrl_c_interrupts_a_wait(silent, wait, line):
    first = WAITING[: WAITING.index("WAIT\n")].count("\n") + 1
    code = WAITING.replace("WAIT\n", f"{wait}\n").replace("WAITS", str(first + line))
    stdout, stderr, status = interrupt(code, silent)
    assert (stdout, status) == ("interrupted\n", 0), stderr


def test_ctrl_c_interrupts_check_a_port(silent):
    code = """
import sys, portmuster
try:
    print("ready", flush=True)
    portmuster.check_a_port("127.0.0.1", int(sys.argv[1]), timeout=3600)
except KeyboardInterrupt:
    print("interrupted")
"""
    stdout, stderr, status = interrupt(code, silent)
    assert (stdout, status) == ("interrupted\n", 0), stderr


def test_program_may_end_while_runs_are_active(silent):
    code = """
import itertools, sys, threading, portmuster
port = int(sys.argv[1])
silent = portmuster.check_ports([("127.0.0.1", port)], timeout=3600)
endless = portmuster.check_ports(("127.1.0.1", 1) for _ in itertools.count())
next(endless)

def blocked():
    yield "127.0.0.1", port
    threading.Event().wait()

blocking = portmuster.check_ports(blocked(), timeout=3600)
print("done")
"""
    ended = run_python(code, silent)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)


FORK = """
import itertools, os, sys, portmuster
port = int(sys.argv[1])
checks = portmuster.check_ports(("127.1.0.1", port) for _ in itertools.count())
next(checks)
child = os.fork()
if child == 0:
    for use in [
        lambda: next(checks),
        lambda: checks.arrow(),
        lambda: checks.__aiter__(),
    ]:
        try:
            use()
        except portmuster.ForkedError as error:
            assert str(os.getppid()) in str(error), error
        else:
            sys.exit("not refused")
    checks.close()
    del checks
    assert portmuster.check_a_port("127.0.0.1", port).open is False
    assert len(list(portmuster.check_ports([("127.0.0.1", port)] * 9))) == 9
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert len(list(itertools.islice(checks, 5000))) == 5000
checks.close()
print(os.waitstatus_to_exitcode(status))
"""


def test_fork_is_refused_in_the_child_which_can_start_runs_of_its_own(refused):
    ended = run_python(FORK, refused)
    assert (ended.stdout, ended.returncode) == ("0\n", 0), ended.stderr


def test_pool_of_forked_processes_can_check(refused):
    code = """
import multiprocessing, sys, portmuster
port = int(sys.argv[1])

def check(host):
    return portmuster.check_a_port(host, port)

first = portmuster.check_a_port("127.0.0.1", port)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(len(pool.map(check, ["127.0.0.1"] * 8)))
"""
    ended = run_python(code, refused)
    assert (ended.stdout, ended.returncode) == ("8\n", 0), ended.stderr


def test_subinterpreter_is_refused():
    code = """
import _xxsubinterpreters as interpreters
import portmuster
interpreter = interpreters.create()
try:
    interpreters.run_string(interpreter, "import portmuster")
except interpreters.RunFailedError as error:
    print(error)
"""
    ended = run_python(code)
    assert "ImportError" in ended.stdout and "in a subinterpreter" in ended.stdout, ended
    assert ended.returncode == 0
