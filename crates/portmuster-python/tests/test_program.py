"""The program that the package contains."""

import json
import pathlib
import signal
import subprocess
import sys

import pytest

import portmuster

SCRIPT = pathlib.Path(sys.executable).with_name("portmuster")
COMMANDS = [[SCRIPT], [sys.executable, "-m", "portmuster"]]


def run(command, *arguments):
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_program_has_the_version_of_the_package(command):
    ended = run(command, "--version")
    assert (ended.stdout, ended.stderr) == (f"portmuster {portmuster.__version__}\n", "")


@pytest.mark.parametrize("method", ["event-loop", "processes", "process-event-loops"])
def test_program_checks_with_every_kind_of_method(serve, method):
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n")
    ended = run(
        COMMANDS[0], "check", "-q", "--no-kex", "-o", "jsonl", "--workers", "2", "--method", method,
        f"127.0.0.1:{server.port}",
    )
    assert json.loads(ended.stdout)["service"] == "ssh"
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_wrong_arguments_have_status_2():
    ended = run(COMMANDS[0], "check", "--no-such-option")
    assert ended.returncode == 2
    assert "--no-such-option" in ended.stderr


def test_ctrl_c_ends_the_program_with_status_130(serve):
    server = serve(b"Hello\r\n")
    with subprocess.Popen(
        [SCRIPT, "check", "--first-byte", "1h", "--deadline", "1h", "-i", "-", "-o", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        # A row shows that the handlers are installed.
        child.stdin.write("127.0.0.1:1\n")
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["port"] == 1
        child.stdin.write(f"127.0.0.1:{server.port}\n")
        child.stdin.flush()
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=120)
    assert child.returncode == 130, stderr
    assert "Traceback" not in stderr
