"""Is all machines at the end of a wire, and runs a command at this end of it.

    python3 far_end.py COMMAND [ARGUMENT ...]

The wire is a tunnel device in the network namespace that this runs in; 10.77.0.0/16 and fd77::/64
lie behind it. What a connection meets there depends on its port alone. Every answer comes 5 ms
late, after the call that it is an answer to. Ends with the command's status, or with 77 where this
machine has no tunnels.
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
CANNOT = 77
LATE = 0.005
TCP = 6

SYN, RST, ACK = 2, 4, 16
RESET, SILENT, OPEN = "reset", "silent", "open"
# Type and code of ICMP for IPv4 and for IPv6.
AT_PORT = {
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


def packet(is_v6, source, destination, protocol, body, at):
    """A packet with this body, whose checksum stands at that place."""
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
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    return head + body


def answer(asked):
    is_v6 = asked[0] >> 4 == 6
    length = 40 if is_v6 else (asked[0] & 15) * 4
    source, destination = (asked[8:24], asked[24:40]) if is_v6 else (asked[12:16], asked[16:20])
    if (asked[6] if is_v6 else asked[9]) != TCP:
        return None
    from_port, to_port, number = struct.unpack("!HHI", asked[length : length + 8])
    manner = AT_PORT.get(to_port, RESET)
    if not asked[length + 13] & SYN or manner == SILENT:
        return None
    if manner in (RESET, OPEN):
        flags = ACK | (RST if manner == RESET else SYN)
        head = struct.pack("!HHIIBBHHH", to_port, from_port, 7, number + 1, 0x50, flags, 9999, 0, 0)
        return packet(is_v6, destination, source, TCP, head, 16)
    kind, code = manner[is_v6]
    body = struct.pack("!BBHI", kind, code, 0, 0) + asked
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
        return CANNOT
    # Its stdout and stderr are those of this program; that it has ended shows at the pipe.
    ended, ends = socket.socketpair()
    child = subprocess.Popen(sys.argv[1:], pass_fds=[ends.fileno()])
    ends.close()
    while True:
        ready, _, _ = select.select([device, ended], [], [])
        if device in ready:
            reply = answer(os.read(device, 2048))
            if reply:
                time.sleep(LATE)
                os.write(device, reply)
        elif ended in ready:
            return child.wait()


sys.exit(main())
