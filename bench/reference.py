#!/usr/bin/env python3
"""The reference system: which of these host:port pairs accept a connection?

    python3 reference.py METHOD LIST

LIST is a file with one HOST:PORT a line; `-` is stdin. Each answer is printed as soon as it is
known, in any order: host, port, and `open` or `closed`.

portmuster's worker processes are measured against it. It uses only the standard library, in the way
that the library suggests. Its requirements:

- `check_a_port` resolves the name, tries each of its addresses in the resolver's order, gives each
  10 s, and answers as soon as one of them accepts.
- `check_ports` yields the answers as they complete.
- No worker begins before all are ready. Feeding never waits for results to be collected. Every
  process that was started is ended and waited for.
"""

import argparse
import itertools
import multiprocessing
import multiprocessing.pool
import os
import queue
import socket
import sys
import threading

TIMEOUT = 10
"""Timeout of one address, in seconds."""

PROCESSES = 32
"""Worker processes of the method `processes`, and threads of the method `threads`."""

THREADS = 250
"""Threads in each process of the method `process-threads`: as many as portmuster's."""

FORK = multiprocessing.get_context("fork")
"""Starts processes by fork, the fastest way, whatever this Python's default is."""


def check_a_port(ip_or_name, port):
    """Whether one of the addresses accepts a connection: (ip_or_name, port, is_open)."""
    try:
        with socket.create_connection((ip_or_name, port), timeout=TIMEOUT):
            return ip_or_name, port, True
    except (OSError, UnicodeError):  # UnicodeError: it is not a valid name
        return ip_or_name, port, False


def check_nothing(ip_or_name, port):
    """Does nothing, which leaves the cost of the method itself."""
    return ip_or_name, port, False


def serial(ip_ports, check, workers, threads):
    """Checks one after the other."""
    return itertools.starmap(check, ip_ports)


def pool_of_threads(ip_ports, check, workers, threads):
    """A pool of threads in this process."""
    with multiprocessing.pool.ThreadPool(workers or PROCESSES) as pool:
        yield from pool.imap_unordered(lambda ip_port: check(*ip_port), ip_ports)


def processes(ip_ports, check, workers, threads):
    """Processes, each of which does one check at a time."""
    return _by_processes(ip_ports, workers or PROCESSES, _check_one_by_one, check)


def process_threads(ip_ports, check, workers, threads):
    """A process per core, each with a pool of threads."""
    cores = len(os.sched_getaffinity(0))
    return _by_processes(ip_ports, workers or cores, _check_by_threads, check, threads or THREADS)


METHODS = {
    "serial": serial,
    "threads": pool_of_threads,
    "processes": processes,
    "process-threads": process_threads,
}


def check_ports(ip_ports, method="processes", check=check_a_port, workers=None, threads=None):
    """Yields (ip_or_name, port, is_open) for each, as they complete."""
    return METHODS[method](ip_ports, check, workers, threads)


def _by_processes(ip_ports, count, worker, *arguments):
    """Starts processes that take from one queue and put onto another, and yields their results.

    `None` ends a queue: each process takes one, and puts one when it has ended.
    """
    work, results = FORK.Queue(), FORK.Queue()
    barrier = FORK.Barrier(count + 1)

    def feed():
        barrier.wait()
        for ip_port in itertools.chain(ip_ports, itertools.repeat(None, count)):
            work.put(ip_port)

    workers = [
        FORK.Process(target=worker, args=(barrier, work, results, *arguments)) for _ in range(count)
    ]
    # A process, because a thread would share this interpreter with the collection of results.
    feeder = FORK.Process(target=feed)
    for process in [*workers, feeder]:
        process.start()
    for _ in workers:
        yield from iter(results.get, None)
    for process in [*workers, feeder]:
        process.join()


def _check_one_by_one(barrier, work, results, check):
    """Runs in a process that does one check at a time."""
    barrier.wait()
    for ip_port in iter(work.get, None):
        results.put(check(*ip_port))
    results.put(None)


def _check_by_threads(barrier, work, results, check, threads):
    """Runs in a process with a pool of threads.

    This thread takes work and submits it to the pool; another puts the results. It takes at most
    as many pieces as the pool has threads, or one process could take all the work of a short list.
    """
    done = queue.SimpleQueue()
    capacity = threading.BoundedSemaphore(threads)

    def post():
        for result in iter(done.get, None):
            capacity.release()
            results.put(result)

    poster = threading.Thread(target=post)
    poster.start()
    with multiprocessing.pool.ThreadPool(threads) as pool:
        barrier.wait()
        while capacity.acquire() and (ip_port := work.get()) is not None:
            pool.apply_async(check, ip_port, callback=done.put)
        pool.close()
        pool.join()
    done.put(None)
    poster.join()
    results.put(None)


def _read(lines):
    """Yields (host, port) for each line that is not empty."""
    for line in filter(None, map(str.strip, lines)):
        host, _, port = line.rpartition(":")
        yield host.strip("[]"), int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("list", type=argparse.FileType(), help="HOST:PORT a line; - is stdin")
    parser.add_argument("--workers", type=int, help="processes, or threads of the method threads")
    parser.add_argument("--threads", type=int, help="threads in each process of process-threads")
    parser.add_argument("--no-op", action="store_true", help="connect nowhere: each is closed")
    arguments = parser.parse_args()
    check = check_nothing if arguments.no_op else check_a_port
    # Read before the first process starts, because each would inherit the open file.
    with arguments.list as lines:
        ip_ports = list(_read(lines))
    answers = check_ports(
        ip_ports, arguments.method, check, arguments.workers, arguments.threads
    )
    for ip_or_name, port, is_open in answers:
        sys.stdout.write(f"{ip_or_name} {port} {'open' if is_open else 'closed'}\n")


if __name__ == "__main__":
    main()
