"""A name server for tests, and a program that asks it.

    name_server.py PROGRAM ARGUMENT...

Listens on 127.0.0.1 port 53, UDP and TCP, runs the program, and ends with its status. The first
label of a name is made of words with dashes between them, which say how it is answered: below
`example` the first word for A and the second for AAAA, below `other.example` the third and the
fourth. `servfail-nodata.example` fails for A and has no AAAA.

Addresses:

    address     127.0.0.1 or ::1
    sinkhole    0.0.0.0 or ::
    mapped      ::ffff:127.0.0.1, for AAAA
    many7       7 addresses, from 127.1.0.1 or 2001:db8::1 on
    late        servfail to the first four questions, then as `address`

No addresses:

    nodata nxdomain
    alias       an alias of a name without addresses
    longnodata  `nodata`, over TCP only: the datagram is truncated

No answer, because of an error code, silence, or a damaged or incomplete message:

    formerr servfail notimp refused yxdomain notauth
    silence     nothing is sent
    cutoff      a truncated datagram, and a TCP connection that is closed
    longservfail longrefused
                a truncated datagram, and the error over TCP
    truncated   a truncated message, also over TCP
    counted     one record according to the header, and none in the message
    cutrecord   the last bytes of the record are missing
    threebytes  an address of three bytes
    referral    other name servers

Names below `broken.example` fail. All others do not exist. With QUESTIONS=FILE each question is
appended to the file. With TELNET=ADDRESS a telnet server listens there, on port 23.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import threading

CODES = {
    "nodata": 0,
    "formerr": 1,
    "servfail": 2,
    "nxdomain": 3,
    "notimp": 4,
    "refused": 5,
    "yxdomain": 6,
    "notauth": 9,
}
A, AAAA, NS = 1, 28, 2
asked = {}


def addresses(word, kind):
    if word == "address":
        return ["127.0.0.1" if kind == A else "::1"]
    if word == "sinkhole":
        return ["0.0.0.0" if kind == A else "::"]
    if word == "mapped":
        return ["::ffff:127.0.0.1"]
    first = int(ipaddress.ip_address("127.1.0.1" if kind == A else "2001:db8::1"))
    return [first + place for place in range(int(word.removeprefix("many")))]


def packed(address, kind):
    family = ipaddress.IPv4Address if kind == A else ipaddress.IPv6Address
    return family(address).packed


def word_of(labels, kind):
    words, domain = labels[0].split("-"), labels[1:]
    if labels[-2:] == ["broken", "example"]:
        return "servfail"
    places = {("example",): 0, ("other", "example"): 2}
    place = places.get(tuple(domain))
    if kind not in (A, AAAA) or place is None or len(words) < place + 2:
        return "nxdomain"
    word = words[place + (0 if kind == A else 1)]
    if word != "late":
        return word
    key = (tuple(labels), kind)
    asked[key] = asked.get(key, 0) + 1
    return "servfail" if asked[key] <= 4 else "address"


def record(kind, data, length=None):
    """A record of the name in question, in the class of the internet."""
    length = len(data) if length is None else length
    fields = [kind, 1, 0, 0, length]
    return b"\xc0\x0c" + b"".join(field.to_bytes(2, "big") for field in fields) + data


def records_of(word, kind):
    """The records of the answer, and those of the authority section."""
    if word in CODES or word == "counted":
        return [], []
    if word == "alias":
        return [record(5, b"\x06target\x00")], []
    if word == "threebytes":
        return [record(kind, b"\x7f\x00\x00")], []
    if word == "cutrecord":
        return [record(kind, b"\x7f\x00", 4 if kind == A else 16)], []
    if word == "referral":
        return [], [record(NS, b"\x06target\x00")]
    return [record(kind, packed(address, kind)) for address in addresses(word, kind)], []


def message(query, end, word, kind, most):
    """The answer to a question, which ends at `end`, in at most so many bytes (RFC 1035)."""
    is_datagram = most <= 512
    truncated = word == "truncated" or (is_datagram and word.startswith(("long", "cutoff")))
    if truncated:
        answer, authority = [], []
    else:
        word = word.removeprefix("long")
        answer, authority = records_of(word, kind)
    question = query[12:end]
    if 12 + len(question) + sum(map(len, answer + authority)) > most:
        truncated, answer = True, []
    flags = 0x8180 | CODES.get(word, 0) | (0x0200 if truncated else 0)
    counts = [1, 1 if word == "counted" else len(answer), len(authority), 0]
    header = b"".join(field.to_bytes(2, "big") for field in [flags, *counts])
    return query[:2] + header + question + b"".join(answer + authority)


def answer(query, most):
    """The answer; `None`: none at all, empty: the connection is closed."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    if "QUESTIONS" in os.environ:
        with open(os.environ["QUESTIONS"], "a") as file:
            file.write(f"{'.'.join(labels)} {'A' if kind == A else 'AAAA'}\n")
    word = word_of(labels, kind)
    if word == "silence":
        return None
    if word == "cutoff" and most > 512:
        return b""
    return message(query, at + 5, word, kind, most)


def serve_datagrams(server):
    while True:
        query, peer = server.recvfrom(65535)
        reply = answer(query, 512)
        if reply is not None:
            server.sendto(reply, peer)


def serve_connections(server, converse):
    server.listen(64)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=converse, args=[connection], daemon=True).start()


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
