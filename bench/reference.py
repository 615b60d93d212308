#!/usr/bin/env python3
"""The reference system: which of these host:port pairs accept a connection?

    python3 reference.py METHOD LIST

LIST is a file with one HOST:PORT a line; `-` is stdin. Each answer is printed as soon as it is
known, in any order: host, port, and `open` or `closed`.

It is the measure of portmuster's worker processes and nothing more: the standard library alone, in
the way that it offers itself for this. What is asked of it:

- `check_a_port` resolves the name, tries each of its addresses in the resolver's order, gives each
  10 s, and answers as soon as one of them accepts.
- `check_ports` gives the answers as they complete.
- Nobody begins before everybody stands at the line; feeding never waits for harvesting; whoever was
  started is ended and waited for.
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
"""Seconds that one address may take."""

PROCESSES = 32
"""Worker processes of the method `processes`, and threads of the method `threads`."""

THREADS = 250
"""Threads in each process of the method `process-threads`: as many as portmuster's."""

FORK = multiprocessing.get_context("fork")
"""How processes are started, whatever this Python's default is: the fastest way there is."""


def check_a_port(ip_or_name, port):
    """Whether one of the addresses accepts a connection: (ip_or_name, port, is_open)."""
    try:
        with socket.create_connection((ip_or_name, port), timeout=TIMEOUT):
            return ip_or_name, port, True
    except (OSError, UnicodeError):  # the latter: it can't be a name
        return ip_or_name, port, False


def check_nothing(ip_or_name, port):
    """Costs nothing, so that what is left is the price of the method."""
    return ip_or_name, port, False


def serial(ip_ports, check, workers, threads):
    """One after the other."""
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
    """Gives (ip_or_name, port, is_open) for each, as they complete."""
    return METHODS[method](ip_ports, check, workers, threads)


def _by_processes(ip_ports, count, inside, *arguments):
    """Starts processes that take from one queue and put onto another, and gives what they put.

    `None` ends a queue: one for each process to take, and one from each that has ended.
    """
    work, results = FORK.Queue(), FORK.Queue()
    line = FORK.Barrier(count + 1)

    def feed():
        line.wait()
        for ip_port in itertools.chain(ip_ports, itertools.repeat(None, count)):
            work.put(ip_port)

    workers = [
        FORK.Process(target=inside, args=(line, work, results, *arguments)) for _ in range(count)
    ]
    # A process: as a thread it would share this one's interpreter with the harvest.
    feeder = FORK.Process(target=feed)
    for process in [*workers, feeder]:
        process.start()
    for _ in workers:
        yield from iter(results.get, None)
    for process in [*workers, feeder]:
        process.join()


def _check_one_by_one(line, work, results, check):
    """The inside of a process that does one check at a time."""
    line.wait()
    for ip_port in iter(work.get, None):
        results.put(check(*ip_port))
    results.put(None)


def _check_by_threads(line, work, results, check, threads):
    """The inside of a process with a pool of threads.

    This part takes work and hands it to the pool; another posts what is done. It takes no more
    than the pool has threads for, or one process could take all the work of a short list.
    """
    done = queue.SimpleQueue()
    free = threading.BoundedSemaphore(threads)

    def post():
        for result in iter(done.get, None):
            free.release()
            results.put(result)

    poster = threading.Thread(target=post)
    poster.start()
    with multiprocessing.pool.ThreadPool(threads) as pool:
        line.wait()
        while free.acquire() and (ip_port := work.get()) is not None:
            pool.apply_async(check, ip_port, callback=done.put)
        pool.close()
        pool.join()
    done.put(None)
    poster.join()
    results.put(None)


def _read(lines):
    """The list: (host, port) for each line that is not empty."""
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
    # Whole before the first process starts: each of them would inherit an open file.
    with arguments.list as lines:
        ip_ports = list(_read(lines))
    answers = check_ports(
        ip_ports, arguments.method, check, arguments.workers, arguments.threads
    )
    for ip_or_name, port, is_open in answers:
        sys.stdout.write(f"{ip_or_name} {port} {'open' if is_open else 'closed'}\n")


if __name__ == "__main__":
    main()
