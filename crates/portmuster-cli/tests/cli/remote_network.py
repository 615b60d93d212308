"""Simulates a remote network behind a tunnel device, and runs a command that connects to it.

    python3 remote_network.py COMMAND [ARGUMENT ...]

Must run in a network namespace of its own. The networks 10.77.0.0/16 and fd77::/64 are routed to
the tunnel. The port alone decides how a connection is answered. Each answer is delayed by 5 ms, so
it arrives after the system call that it answers. Exits with the command's status, or with 77 on a
machine without tunnels.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001
SKIPPED = 77
DELAY = 0.005
TCP = 6

SYN, RST, ACK = 2, 4, 16
RESET, SILENT, OPEN = "reset", "silent", "open"
# ICMP type and code for IPv4 and IPv6.
BY_PORT = {
    1001: ((3, 3), (1, 4)),
    1002: ((3, 13), (1, 1)),
    1003: ((3, 1), (1, 3)),
    1004: ((3, 0), (1, 0)),
    1005: RESET,
    1006: SILENT,
    1007: OPEN,
}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(is_v6, source, destination, protocol, body, checksum_at):
    """Returns a packet with this body. The body's checksum is at offset `checksum_at`."""
    pseudo = b""
    if is_v6:
        pseudo = source + destination + struct.pack("!II", len(body), protocol)
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + destination
    else:
        if protocol == TCP:
            pseudo = source + destination + struct.pack("!HH", protocol, len(body))
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
        head += source + destination
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    total = struct.pack("!H", checksum(pseudo + body))
    body = body[:checksum_at] + total + body[checksum_at + 2 :]
    return head + body


def answer(request):
    is_v6 = request[0] >> 4 == 6
    length = 40 if is_v6 else (request[0] & 15) * 4
    source, destination = (request[8:24], request[24:40]) if is_v6 else (request[12:16], request[16:20])
    if (request[6] if is_v6 else request[9]) != TCP:
        return None
    from_port, to_port, number = struct.unpack("!HHI", request[length : length + 8])
    behaviour = BY_PORT.get(to_port, RESET)
    if not request[length + 13] & SYN or behaviour == SILENT:
        return None
    if behaviour in (RESET, OPEN):
        flags = ACK | (RST if behaviour == RESET else SYN)
        head = struct.pack("!HHIIBBHHH", to_port, from_port, 7, number + 1, 0x50, flags, 9999, 0, 0)
        return packet(is_v6, destination, source, TCP, head, 16)
    kind, code = behaviour[is_v6]
    body = struct.pack("!BBHI", kind, code, 0, 0) + request
    return packet(is_v6, destination, source, 58 if is_v6 else 1, body, 2)


def tunnel():
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"wire", TUN_WITHOUT_HEADER))
    for line in (
        "link set wire up",
        "addr add 10.77.255.1/16 dev wire",
        "addr add fd77::ffff/64 dev wire nodad",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    return device


def main():
    try:
        device = tunnel()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no tunnel: {error}", file=sys.stderr)
        return SKIPPED
    # The command inherits stdout and stderr. Its socket closes when it ends.
    ended, ends = socket.socketpair()
    child = subprocess.Popen(sys.argv[1:], pass_fds=[ends.fileno()])
    ends.close()
    while True:
        ready, _, _ = select.select([device, ended], [], [])
        if device in ready:
            reply = answer(os.read(device, 2048))
            if reply:
                time.sleep(DELAY)
                os.write(device, reply)
        elif ended in ready:
            return child.wait()


sys.exit(main())
