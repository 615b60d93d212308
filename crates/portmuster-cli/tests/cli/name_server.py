"""A name server for tests, and a program that asks it.

    name_server.py PROGRAM ARGUMENT...

Listens on 127.0.0.1 port 53, UDP and TCP, runs the program, and ends with its status. The first
label of a name says how it is answered: two words with a dash between them, the first for A, the
second for AAAA. `servfail-nodata.example` fails for A and has no AAAA.

    address     127.0.0.1 or ::1
    sinkhole    0.0.0.0 or ::
    both        0.0.0.0 and 127.0.0.1, or :: and ::1
    many7       7 addresses, from 127.1.0.1 or ::127.1.0.1 on
    nodata nxdomain servfail refused formerr notimp
    silence     no answer
    late        servfail to the first question, then as `address`
    garbage     bytes that are no answer

Any other name has no records (nxdomain), but for the zone `broken.example`, which fails.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import threading

CODES = {"nodata": 0, "formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}
TYPES = {1: 4, 28: 6}
asked = {}


def addresses(word, version):
    four = version == 4
    if word == "address":
        return ["127.0.0.1" if four else "::1"]
    if word == "sinkhole":
        return ["0.0.0.0" if four else "::"]
    if word == "both":
        return ["0.0.0.0", "127.0.0.1"] if four else ["::", "::1"]
    count = int(word.removeprefix("many"))
    first = int(ipaddress.ip_address("127.1.0.1" if four else "::127.1.0.1"))
    return [first + place for place in range(count)]


def answer(query, most):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind = int.from_bytes(query[at + 1 : at + 3])
    question = query[12 : at + 5]
    words = labels[0].split("-")
    if "broken" in labels[1:]:
        word = "servfail"
    elif kind in TYPES and len(words) == 2:
        word = words[0 if kind == 1 else 1]
    else:
        word = "nxdomain"
    key = (tuple(labels), kind)
    asked[key] = asked.get(key, 0) + 1
    if word == "silence":
        return None
    if word == "garbage":
        return query[:2] + b"\x81\x80" + b"\xff" * 20
    if word == "late":
        word = "servfail" if asked[key] <= 4 else "address"
    code = CODES.get(word)
    found = []
    if code is None:
        code = 0
        for address in addresses(word, TYPES[kind]):
            packed = (
                ipaddress.IPv4Address(address) if kind == 1 else ipaddress.IPv6Address(address)
            ).packed
            found.append(b"\xc0\x0c" + query[at + 1 : at + 5] + bytes(4) + len(packed).to_bytes(2) + packed)
    body = question + b"".join(found)
    flags = 0x8180 | code
    if 12 + len(body) > most:
        flags, body, found = flags | 0x0200, question, []
    counts = b"\x00\x01" + len(found).to_bytes(2) + bytes(4)
    return query[:2] + flags.to_bytes(2) + counts + body


def serve_udp(server):
    while True:
        query, peer = server.recvfrom(65535)
        said = answer(query, 512)
        if said:
            server.sendto(said, peer)


def serve_tcp(server):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=converse, args=[connection], daemon=True).start()


def converse(connection):
    with connection:
        file = connection.makefile("rb")
        while length := file.read(2):
            said = answer(file.read(int.from_bytes(length)), 65535)
            if said:
                connection.sendall(len(said).to_bytes(2) + said)


for family, serve in (socket.SOCK_DGRAM, serve_udp), (socket.SOCK_STREAM, serve_tcp):
    server = socket.socket(socket.AF_INET, family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 53))
    if family == socket.SOCK_STREAM:
        server.listen(64)
    threading.Thread(target=serve, args=[server], daemon=True).start()

status = subprocess.run(sys.argv[1:]).returncode
if "ASKED" in os.environ:
    for (labels, kind), count in sorted(asked.items()):
        print(".".join(labels), kind, count, file=sys.stderr)
sys.stdout.flush()
os._exit(status)
