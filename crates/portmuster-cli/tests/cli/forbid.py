"""Runs a program for which the system forbids calls, as the profiles of containers do.

    forbid.py CALL=ERRNO … -- PROGRAM [ARGUMENT] …

CALL is the name of a system call, or CALL@PLACE>=LEAST: then it fails only when its argument at
that place, counted from 0, is at least so large. As descriptors are given out from the lowest on,
connect@0>=16 lets 16 descriptors be connected, as a limit would.
"""

import ctypes
import errno
import os
import re
import struct
import sys

# The numbers of the calls, and of the architecture (linux/audit.h).
SYSTEMS = {
    "x86_64": (0xC000003E, {"connect": 42, "epoll_create1": 291, "epoll_ctl": 233, "epoll_pwait": 281,
                            "eventfd2": 290, "fcntl": 72, "fdatasync": 75, "fsync": 74,
                            "recvmsg": 47, "setsockopt": 54, "socket": 41, "unshare": 272}),
    "aarch64": (0xC00000B7, {"connect": 203, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22,
                             "eventfd2": 19, "fcntl": 25, "fdatasync": 83, "fsync": 82,
                             "recvmsg": 212, "setsockopt": 208, "socket": 198, "unshare": 97}),
}
NO_SUCH_SYSTEM = 77

# What a filter is made of (linux/bpf_common.h, linux/seccomp.h).
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

# prctl(2).
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2


def step(code, value, then=0, otherwise=0):
    return struct.pack("HBBI", code, then, otherwise, value)


def rule(text, numbers):
    """Fails the call with the errno if it is this one, and goes on otherwise."""
    call, place, least, name = re.fullmatch(r"(\w+)(?:@(\d)>=(\d+))?=(\w+)", text).groups()
    body = step(RETURN, FAIL | getattr(errno, name))
    if place:
        load = step(LOAD, ARGUMENTS + 8 * int(place))
        body = load + step(IF_AT_LEAST, int(least), 0, 1) + body
    return step(LOAD, NUMBER) + step(IF_EQUAL, numbers[call], 0, len(body) // 8) + body


def forbid(rules):
    if os.uname().machine not in SYSTEMS:
        sys.exit(NO_SUCH_SYSTEM)
    architecture, numbers = SYSTEMS[os.uname().machine]
    # Calls by the numbers of another architecture pass.
    code = step(LOAD, ARCHITECTURE) + step(IF_EQUAL, architecture, 1, 0) + step(RETURN, ALLOW)
    code += b"".join(rule(text, numbers) for text in rules) + step(RETURN, ALLOW)
    steps = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, MODE_FILTER, program):
        sys.exit(f"forbidding {' '.join(rules)}: {os.strerror(ctypes.get_errno())}")


end = sys.argv.index("--")
forbid(sys.argv[1:end])
os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])
