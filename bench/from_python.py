#!/usr/bin/env python3
"""Checks a list of targets from Python, in one of several ways.

    python3 from_python.py METHOD LIST [--timeout SECONDS] [--not-open WORD]

LIST is a file with one HOST:PORT a line. Each answer is a line: host, port, and `open` or WORD.

- `rows`: portmuster, which takes pairs and returns named tuples.
- `arrow`: portmuster, which takes pairs and returns record batches, read by pyarrow.
- `arrow-file`: portmuster's check, which reads the list itself, and returns record batches.
- `threads`: concurrent.futures, with a thread for each of 500 connections.
- `asyncio`: a task for each of 1,000 connections.
"""

import argparse
import asyncio
import concurrent.futures
import itertools
import socket
import sys

THREADS = 500
"""Threads of the pool. More threads are no faster."""

TASKS = 1000
"""Tasks that connect at the same time. More tasks are no faster."""

CHUNK = 10_000
"""Targets that are submitted to the pool at once, so that its memory is bounded."""


def read(path):
    """Yields (host, port) for each line."""
    with open(path) as lines:
        for line in lines:
            host, _, port = line.rpartition(":")
            yield host, int(port)


def rows(arguments):
    import portmuster

    yield from portmuster.check_ports(read(arguments.list), timeout=arguments.timeout)


def threads(arguments):
    def check(ip_port):
        try:
            with socket.create_connection(ip_port, timeout=arguments.timeout):
                return *ip_port, True
        except OSError:
            return *ip_port, False

    targets = read(arguments.list)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        while chunk := list(itertools.islice(targets, CHUNK)):
            yield from pool.map(check, chunk)


def by_asyncio(arguments):
    answers = []

    async def check(host, port):
        try:
            async with asyncio.timeout(arguments.timeout):
                _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return host, port, False
        writer.close()
        return host, port, True

    async def work(targets):
        for host, port in targets:
            answers.append(await check(host, port))

    async def main():
        targets = read(arguments.list)
        await asyncio.gather(*(work(targets) for _ in range(TASKS)))

    asyncio.run(main())
    return answers


def write(answers, arguments):
    """Prints (host, port, is_open) of each answer."""
    words = arguments.not_open, "open"
    sys.stdout.writelines(f"{host} {port} {words[is_open]}\n" for host, port, is_open in answers)


def write_batches(checks, columns, arguments):
    """Prints three columns of the batches of a run."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv

    options = pyarrow.csv.WriteOptions(
        include_header=False, delimiter=" ", quoting_style="none"
    )
    words = pyarrow.array([arguments.not_open, "open"])
    output = pyarrow.PythonFile(sys.stdout.buffer, "w")
    for batch in pyarrow.RecordBatchReader.from_stream(checks.arrow()):
        host, port, is_open = (batch.column(name) for name in columns)
        states = words.take(is_open.cast("int8"))
        lines = pyarrow.record_batch([host, port, states], ["host", "port", "state"])
        pyarrow.csv.write_csv(lines, output, options)


def arrow(arguments):
    import portmuster

    checks = portmuster.check_ports(read(arguments.list), timeout=arguments.timeout)
    write_batches(checks, ("ip_or_name", "port", "open"), arguments)


def arrow_file(arguments):
    import portmuster

    checks = portmuster.check(
        files=arguments.list,
        probe="connect",
        timeout=arguments.timeout,
        rate=None,
        per_host=None,
        retries=0,
    )
    write_batches(checks, ("host", "port", "open"), arguments)


ROWS = {"rows": rows, "threads": threads, "asyncio": by_asyncio}
BATCHES = {"arrow": arrow, "arrow-file": arrow_file}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", choices=[*ROWS, *BATCHES])
    parser.add_argument("list", help="a file with HOST:PORT a line")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each target")
    parser.add_argument("--not-open", default="closed", help="the state of all others")
    arguments = parser.parse_args()
    if batches := BATCHES.get(arguments.method):
        batches(arguments)
    else:
        write(ROWS[arguments.method](arguments), arguments)


if __name__ == "__main__":
    main()
