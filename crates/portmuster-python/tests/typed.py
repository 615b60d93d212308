"""Uses the package as typed code does. The type checkers read this file; nobody runs it."""

import ipaddress
from typing import assert_type

import portmuster


def statuses() -> list[tuple[str, int, bool]]:
    pairs = [("127.0.0.1", 22), (ipaddress.ip_address("::1"), 23)]
    checks = portmuster.check_ports(pairs, method="threads", workers=4, rate=None)
    assert_type(checks, portmuster.Checks[portmuster.PortStatus])
    with checks:
        return [(host, port, is_open) for host, port, is_open in checks]


async def outcomes() -> None:
    async with portmuster.check("10.0.0.0/24:22", rate=100, probe="greeting") as checks:
        async for outcome in checks:
            assert_type(outcome, portmuster.Outcome)
            assert_type(outcome.host, str)
            assert_type(outcome.banner, str | None)
            assert_type(outcome.kex_algorithms, tuple[str, ...] | None)
            if outcome.state == "open":
                print(outcome.port + 1)
        assert_type(checks.account.open, int)
    portmuster.check(files="hosts.txt", rates=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def one() -> bool:
    return portmuster.check_a_port("localhost", 22, timeout=1).open
