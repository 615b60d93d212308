"""Servers on loopback, and a check in plain Python to compare with."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

PROGRAM_LIMIT = 120
"""The most seconds that a program of a test may take."""

# A shell without job control starts its background processes with Ctrl-C ignored, and programs inherit
# that. Those of the tests get the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


def is_open(host, port):
    """Whether one of the addresses of the host accepts a connection, by the standard library."""
    try:
        with socket.create_connection((str(host), port), timeout=10):
            return True
    except (OSError, UnicodeError):
        return False


class Server:
    """A server on loopback that sends the same bytes on each connection, then waits for its end."""

    def __init__(self, greeting=b"", host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, 0), family=family, backlog=1024)
        self.port = self.socket.getsockname()[1]
        self._greeting = greeting
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.ExitStack() as connections:
            while True:
                try:
                    connection, _ = self.socket.accept()
                except OSError:
                    return
                connections.enter_context(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(self._greeting)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()


@pytest.fixture
def serve():
    """Starts servers, and ends them after the test."""
    with contextlib.ExitStack() as servers:

        def start(greeting=b"", host="127.0.0.1"):
            server = Server(greeting, host)
            servers.callback(server.close)
            return server

        yield start


@pytest.fixture
def refused():
    """A port of 127.0.0.1 that refuses connections: it is bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def silent():
    """A port of 127.0.0.1 that does not answer: its queue of connections is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def has_ipv6():
    """Whether this machine has the loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def threads():
    """The number of threads of this process, those outside Python too."""
    return len(os.listdir("/proc/self/task"))


def descriptors():
    """The number of open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def wait_for_resources(thread_count, descriptor_count):
    """Waits until this process has at most so many threads and descriptors.

    Python joins a thread when it has left the interpreter, a moment before the system ends it. A
    thread of a pool holds the last object that it worked on for a moment, too.
    """
    while threads() > thread_count or descriptors() > descriptor_count:
        time.sleep(0.001)


def run_python(code, *arguments, **options):
    """Runs a program in another interpreter, and returns it with its output."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PROGRAM_LIMIT,
        **options,
    )
