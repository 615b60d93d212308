"""Runs a program that queries a test name server.

    name_server.py PROGRAM ARGUMENT...

Listens on 127.0.0.1 port 53, UDP and TCP, runs the program, and exits with its status. The first
label of a name selects the answers: two words separated by a dash, the first for A, the second for
AAAA. For example, `servfail-nodata.example` fails for A and has no AAAA record.

    address     127.0.0.1 or ::1
    sinkhole    0.0.0.0 or ::
    many7       7 addresses, starting at 127.1.0.1 or 2001:db8::1
    nodata nxdomain servfail refused
    silence     no answer
    cutoff      a truncated answer by UDP, and a TCP connection that is closed without an answer
    late        servfail to the first four queries, then as `address`

Names below `broken.example` fail. All others do not exist.

TELNET=ADDRESS starts a telnet server on port 23 of that address.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import threading

CODES = {"nodata": 0, "servfail": 2, "nxdomain": 3, "refused": 5}
A, AAAA = 1, 28
query_counts = {}


def addresses(word, kind):
    if word == "address":
        return ["127.0.0.1" if kind == A else "::1"]
    if word == "sinkhole":
        return ["0.0.0.0" if kind == A else "::"]
    first = int(ipaddress.ip_address("127.1.0.1" if kind == A else "2001:db8::1"))
    return [first + index for index in range(int(word.removeprefix("many")))]


def packed(address, kind):
    family = ipaddress.IPv4Address if kind == A else ipaddress.IPv6Address
    return family(address).packed


def word_of(labels, kind):
    words = labels[0].split("-")
    if labels[-2:] == ["broken", "example"]:
        return "servfail"
    if kind not in (A, AAAA) or len(words) != 2:
        return "nxdomain"
    word = words[0 if kind == A else 1]
    if word != "late":
        return word
    key = (tuple(labels), kind)
    query_counts[key] = query_counts.get(key, 0) + 1
    return "servfail" if query_counts[key] <= 4 else "address"


def answer(query, size_max):
    """Returns the answer to a query, of at most `size_max` bytes (RFC 1035).

    `None` means no answer, and an empty answer closes a TCP connection.
    """
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    word = word_of(labels, kind)
    if word == "silence":
        return None
    if word == "cutoff" and size_max > 512:
        return b""
    records = []
    if word == "cutoff":
        records = [bytes(size_max)]
    elif word not in CODES:
        for address in addresses(word, kind):
            data = packed(address, kind)
            length = len(data).to_bytes(2, "big")
            records.append(b"\xc0\x0c" + query[at + 1 : at + 5] + bytes(4) + length + data)
    question, flags = query[12 : at + 5], 0x8180 | CODES.get(word, 0)
    if 12 + len(question) + sum(map(len, records)) > size_max:
        flags, records = flags | 0x0200, []
    counts = b"\x00\x01" + len(records).to_bytes(2, "big") + bytes(4)
    return query[:2] + flags.to_bytes(2, "big") + counts + question + b"".join(records)


def serve_datagrams(server):
    while True:
        query, peer = server.recvfrom(65535)
        reply = answer(query, 512)
        if reply is not None:
            server.sendto(reply, peer)


def serve_connections(server, handle):
    server.listen(64)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=handle, args=[connection], daemon=True).start()


def answer_connection(connection):
    with connection, connection.makefile("rb") as file:
        while length := file.read(2):
            reply = answer(file.read(int.from_bytes(length, "big")), 65535)
            if reply == b"":
                return
            if reply is not None:
                connection.sendall(len(reply).to_bytes(2, "big") + reply)


def greet(connection):
    with connection:
        connection.sendall(b"\xff\xfd\x18\xff\xfb\x01\r\nlogin: ")
        while connection.recv(4096):
            pass


def start(kind, address, serve, *arguments):
    server = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    threading.Thread(target=serve, args=[server, *arguments], daemon=True).start()


start(socket.SOCK_DGRAM, ("127.0.0.1", 53), serve_datagrams)
start(socket.SOCK_STREAM, ("127.0.0.1", 53), serve_connections, answer_connection)
if "TELNET" in os.environ:
    start(socket.SOCK_STREAM, (os.environ["TELNET"], 23), serve_connections, greet)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
