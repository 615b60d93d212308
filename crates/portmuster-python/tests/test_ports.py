"""check_a_port and check_ports: the functions of the reference."""

import collections
import concurrent.futures
import ipaddress
import itertools
import logging
import pickle
import threading

import pytest
from conftest import descriptors, is_open, run_python, threads, wait_for_resources

import portmuster
from portmuster import PortStatus

METHODS = [
    "serial",
    "threads",
    "processes",
    "process-threads",
    "event-loop",
    "process-event-loops",
]


def test_check_a_port_tells_open_from_refused(serve, refused):
    server = serve()
    status = portmuster.check_a_port("127.0.0.1", server.port)
    assert status == ("127.0.0.1", server.port, True)
    assert type(status) is PortStatus
    assert portmuster.check_a_port("127.0.0.1", refused, timeout=5).open is False


def test_host_without_an_address_is_not_open():
    assert portmuster.check_a_port("no..name", 22) == ("no..name", 22, False)


def test_port_status_is_a_frozen_tuple_that_pickles(refused):
    (status,) = portmuster.check_ports([("127.0.0.1", refused)])
    assert pickle.loads(pickle.dumps(status)) == status
    assert type(pickle.loads(pickle.dumps(status))) is PortStatus
    with pytest.raises(AttributeError):
        status.open = True
    ip_or_name, port, open_ = status
    assert (ip_or_name, port, open_) == (status.ip_or_name, status.port, status.open)


def mixed_targets(serve, refused, has_ipv6):
    servers = [serve() for _ in range(20)]
    open_ports = itertools.cycle([server.port for server in servers])
    if has_ipv6:
        v6 = serve(host="::1").port
        spellings = [("::1", v6), ("0:0:0:0:0:0:0:1", v6), ("::1", refused)]
    else:
        spellings = []
    kinds = [
        *spellings,
        ("127.0.0.1", refused),
        ("127.0.7.7", refused),
        ("localhost", refused),
        ("localhost", servers[0].port),
        ("no..name", 22),
        ("no..name", refused),
        (ipaddress.ip_address("127.0.0.1"), servers[1].port),
        ["127.0.0.1", servers[2].port],
    ]
    mixed = itertools.cycle(kinds)
    return [
        ("127.0.0.1", next(open_ports)) if index % 3 == 0 else next(mixed) for index in range(300)
    ]


@pytest.mark.parametrize("method", METHODS)
def test_300_mixed_targets_have_the_results_of_the_standard_library(
    serve, refused, has_ipv6, method
):
    targets = mixed_targets(serve, refused, has_ipv6)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        expected = collections.Counter(
            pool.map(lambda target: (str(target[0]), target[1], is_open(*target)), targets)
        )
    workers = {"processes": 4, "process-threads": 2, "process-event-loops": 2}.get(method)
    checks = portmuster.check_ports(targets, method=method, workers=workers)
    assert collections.Counter(map(tuple, checks)) == expected
    assert checks.account.targets == 300
    assert checks.account.left == 0


def test_endless_input_is_read_only_as_far_as_needed(refused):
    taken = itertools.count()
    number = 0

    def endless():
        nonlocal number
        for number in taken:
            yield f"127.1.{number >> 8 & 255}.{number & 255}", refused

    with portmuster.check_ports(endless(), in_flight=64) as checks:
        results = list(itertools.islice(checks, 5000))
        assert len(results) == 5000
        # The consumer takes nothing now. Unless the input stops too, this never ends.
        before, unchanged = number, threading.Event()
        while unchanged.wait(0.3) or before != number:
            before = number
    assert number >= 4999


def test_results_arrive_while_the_input_blocks(refused):
    is_consumed = threading.Event()

    def waits_for_its_result():
        for number in range(50):
            yield f"127.1.0.{number}", refused
            assert is_consumed.wait(60)
            is_consumed.clear()

    count = 0
    for _ in portmuster.check_ports(waits_for_its_result()):
        count += 1
        is_consumed.set()
    assert count == 50


def test_exception_of_the_input_comes_after_the_results_before_it(refused):
    def failing():
        for number in range(100):
            yield f"127.1.0.{number}", refused
        raise KeyError("broken inventory")

    checks = portmuster.check_ports(failing())
    results = []
    with pytest.raises(KeyError, match="broken inventory"):
        results.extend(checks)
    assert len(list(itertools.chain(results, checks))) <= 100
    assert checks.account.targets == 100
    assert list(checks) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (7, r"target 2: expected a pair \(ip_or_name, port\), not 7 \(int\)"),
        (("127.0.0.1",), "target 2: expected a pair"),
        (("127.0.0.1", 70000), "target 2: port 70000 is not from 0 to 65535"),
        (("127.0.0.1", -1), "target 2: port -1 is not from 0 to 65535"),
        (("127.0.0.1", "22"), "target 2: expected a port number, not '22'"),
        ((None, 22), "target 2: expected a host name or an address, not None"),
        (("\udcff", 22), "target 2: the host contains characters that are not Unicode"),
    ],
)
def test_bad_target_is_named_by_its_index(refused, bad, message):
    good = ("127.0.0.1", refused)
    checks = portmuster.check_ports([good, good, bad, good])
    assert next(checks).open is False
    assert next(checks).open is False
    with pytest.raises(portmuster.TargetError, match=message) as raised:
        next(checks)
    assert raised.value.index == 2
    assert isinstance(raised.value, ValueError)
    assert pickle.loads(pickle.dumps(raised.value)).index == 2


def test_input_that_is_no_iterable_of_pairs_is_refused_at_once():
    with pytest.raises(TypeError, match="not iterable"):
        portmuster.check_ports(22)
    with pytest.raises(TypeError, match="call check"):
        portmuster.check_ports("127.0.0.1:22")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "fork"}, "method takes one of \"serial\", .*; this is 'fork'"),
        ({"timeout": 0}, "`timeout` must be greater than zero"),
        ({"timeout": float("nan")}, "timeout takes a time in seconds"),
        ({"timeout": "10s"}, "timeout takes a time in seconds, such as 2.5; this is '10s'"),
        ({"rate": 0}, "`rate` must be greater than zero"),
        ({"rate": 1.5}, "rate takes a whole number from 1, or None; this is 1.5"),
        ({"threads": 3}, "the method event-loop has no setting `threads`"),
        ({"source": "eth0"}, "source takes an address of this machine"),
    ],
)
def test_bad_setting_is_an_error_that_names_it(settings, message):
    with pytest.raises(portmuster.SettingError, match=message):
        portmuster.check_ports([], **settings)


def test_source_that_this_machine_lacks_is_an_error():
    with pytest.raises(portmuster.StartError, match="connecting from 192.0.2.1 is not possible"):
        portmuster.check_ports([("127.0.0.1", 1)], source="192.0.2.1")


def test_no_targets_have_no_results():
    assert list(portmuster.check_ports([])) == []
    assert list(portmuster.check_ports(iter(()))) == []


def endless_targets(port):
    return (("127.1.0.1", port) for _ in itertools.count())


def test_100_runs_that_are_closed_leak_no_thread_and_no_descriptor(refused):
    next(portmuster.check_ports([("127.0.0.1", refused)]))
    before = threads(), descriptors()
    for number in range(100):
        checks = portmuster.check_ports(endless_targets(refused), in_flight=64)
        next(checks)
        if number % 2:
            checks.close()
        del checks
    wait_for_resources(*before)


def test_closed_run_has_no_more_results(refused):
    with portmuster.check_ports(endless_targets(refused)) as checks:
        next(checks)
    checks.close()
    assert list(checks) == []
    assert checks.account.targets > 0


def test_close_does_not_wait_for_an_input_that_blocks(refused):
    may_end = threading.Event()

    def blocks():
        yield "127.0.0.1", refused
        may_end.wait(60)

    checks = portmuster.check_ports(blocks())
    next(checks)
    checks.close()
    (feeder,) = [it for it in threading.enumerate() if it.name == "portmuster-targets"]
    may_end.set()
    feeder.join(60)
    assert not feeder.is_alive()


def test_threads_share_the_results_of_one_run(refused):
    targets = [(f"127.1.{number >> 8}.{number & 255}", refused) for number in range(5000)]
    checks = portmuster.check_ports(targets)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: list(checks), range(4)))
    hosts = [status.ip_or_name for part in parts for status in part]
    assert sorted(hosts) == sorted(host for host, _ in targets)


def test_other_threads_run_while_one_waits(silent):
    checks = portmuster.check_ports([("127.0.0.1", silent)], timeout=60)
    waiting = threading.Thread(target=list, args=(checks,))
    waiting.start()
    # Only because the waiting thread lets the interpreter go, this thread runs, and ends its wait.
    checks.close()
    waiting.join(60)
    assert not waiting.is_alive()


def test_run_that_this_machine_limits_is_logged(refused, caplog):
    with caplog.at_level(logging.DEBUG, logger="portmuster"):
        list(portmuster.check_ports([("127.0.0.1", refused)], in_flight=10))
    assert [record.name for record in caplog.records] == ["portmuster"] * 2
    assert caplog.messages[0] == "in flight: 10"
    assert caplog.messages[1].startswith("1 of 1 targets done in ")


def test_nothing_is_printed(refused):
    code = """
import sys, portmuster
print(portmuster.check_a_port("127.0.0.1", int(sys.argv[1])).open)
"""
    ended = run_python(code, refused)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("False\n", "", 0)


def test_run_is_not_pickled_and_says_so(refused):
    with pytest.raises(RuntimeError, match="a run can't be pickled"):
        pickle.dumps(portmuster.check_ports([("127.0.0.1", refused)]))
