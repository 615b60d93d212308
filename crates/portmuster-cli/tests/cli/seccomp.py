"""Runs a program with forbidden system calls, as container profiles do.

    seccomp.py CALL=ERRNO … -- PROGRAM [ARGUMENT] …

CALL is the name of a system call. CALL@INDEX>=MINIMUM makes it fail only if its argument with that
index, counted from 0, is at least MINIMUM. Linux assigns the lowest free descriptor, so
connect@0>=16 allows 16 descriptors to connect, as a limit would.

Exits with status 77 on an unknown processor architecture.
"""

import ctypes
import errno
import os
import re
import struct
import sys

# Architecture identifiers (linux/audit.h) and system call numbers.
SYSTEMS = {
    "x86_64": (0xC000003E, {"connect": 42, "epoll_create1": 291, "epoll_ctl": 233, "epoll_pwait": 281,
                            "eventfd2": 290, "fcntl": 72, "fdatasync": 75, "fsync": 74,
                            "recvmsg": 47, "setsockopt": 54, "socket": 41, "unshare": 272}),
    "aarch64": (0xC00000B7, {"connect": 203, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22,
                             "eventfd2": 19, "fcntl": 25, "fdatasync": 83, "fsync": 82,
                             "recvmsg": 212, "setsockopt": 208, "socket": 198, "unshare": 97}),
}
UNKNOWN_ARCHITECTURE = 77

# Instructions and return values of a filter (linux/bpf_common.h, linux/seccomp.h).
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

# prctl(2).
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2


def instruction(code, value, then=0, otherwise=0):
    return struct.pack("HBBI", code, then, otherwise, value)


def rule(text, numbers):
    """Returns instructions that fail the matching call with the errno and skip other calls."""
    call, index, minimum, name = re.fullmatch(r"(\w+)(?:@(\d)>=(\d+))?=(\w+)", text).groups()
    body = instruction(RETURN, FAIL | getattr(errno, name))
    if index:
        load = instruction(LOAD, ARGUMENTS + 8 * int(index))
        body = load + instruction(IF_AT_LEAST, int(minimum), 0, 1) + body
    return instruction(LOAD, NUMBER) + instruction(IF_EQUAL, numbers[call], 0, len(body) // 8) + body


def forbid(rules):
    if os.uname().machine not in SYSTEMS:
        sys.exit(UNKNOWN_ARCHITECTURE)
    architecture, numbers = SYSTEMS[os.uname().machine]
    # System calls of another architecture are allowed.
    code = instruction(LOAD, ARCHITECTURE) + instruction(IF_EQUAL, architecture, 1, 0) + instruction(RETURN, ALLOW)
    code += b"".join(rule(text, numbers) for text in rules) + instruction(RETURN, ALLOW)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, MODE_FILTER, program):
        sys.exit(f"forbidding {' '.join(rules)}: {os.strerror(ctypes.get_errno())}")


end = sys.argv.index("--")
forbid(sys.argv[1:end])
os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])
