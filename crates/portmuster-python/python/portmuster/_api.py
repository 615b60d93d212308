"""The functions of the package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from . import _native

if TYPE_CHECKING:
    from ._native import Checks, Outcome
    from ._types import CheckSettings, Host, Method, PortStatus


def check_a_port(ip_or_name: Host, port: int, timeout: float = 10.0) -> PortStatus:
    """Check whether one port accepts connections.

    The addresses of the host are tried in the resolver's order until one accepts, once each.

    Parameters
    ----------
    ip_or_name : str or ipaddress.IPv4Address or ipaddress.IPv6Address
        The host: an address, or a name that the system's resolver looks up.
    port : int
        The TCP port.
    timeout : float, default 10.0
        How long to wait for each address, in seconds.

    Returns
    -------
    PortStatus
        The named tuple ``(ip_or_name, port, open)``. A host without an address has no open port.

    Raises
    ------
    TargetError
        The host or the port is invalid.
    StartError
        This machine lacks the threads or descriptors for a check.

    Examples
    --------
    >>> import portmuster
    >>> portmuster.check_a_port("127.0.0.1", 1)
    PortStatus(ip_or_name='127.0.0.1', port=1, open=False)
    """
    return _native.check_a_port(ip_or_name, port, {"timeout": timeout, "method": "serial"})


def check_ports(
    ip_ports: Iterable[tuple[Host, int]],
    *,
    timeout: float = 10.0,
    method: Method = "event-loop",
    workers: int | None = None,
    threads: int | None = None,
    in_flight: int | None = None,
    rate: int | None = None,
    per_host: int | None = None,
    source: Host | None = None,
    proxy: str | None = None,
) -> Checks[PortStatus]:
    """Check concurrently which ports accept connections.

    Every target has one result. Results come as they become known, in any order. A thread takes the
    targets as the run needs them, at most about 12,000 ahead, so the iterable may be endless. Each
    address of a host is tried once, until one accepts.

    Parameters
    ----------
    ip_ports : iterable of (str or address, int)
        Pairs of a host and a TCP port. A host is an address, as text or as an object of
        ``ipaddress``, or a name that the system's resolver looks up.
    timeout : float, default 10.0
        How long to wait for each address, in seconds.
    method : str, default "event-loop"
        How checks run side by side: "serial", "threads", "processes", "process-threads",
        "event-loop" or "process-event-loops".
    workers : int, optional
        The number of threads, loops or processes, by method. None: 256 threads, 32 processes, or one
        loop or larger process per core.
    threads : int, optional
        The number of threads in each process of the method "process-threads". None: 250.
    in_flight : int, optional
        The most connections that are open at the same time. None: as many as the method and this
        machine allow, at most 262,144.
    rate : int, optional
        The most new connections per second. None: no limit.
    per_host : int, optional
        The most open connections to one address. None: no limit.
    source : str or address, optional
        The local address to connect from. None: the system chooses it.
    proxy : str, optional
        The SOCKS5 proxy to connect through: "socks5://[user:password@]host:port", or "socks5h://..."
        if it looks names up. "none" connects directly even if a preloaded library redirects
        connections, as that of proxychains does; None then raises StartError.

    Returns
    -------
    Checks
        An iterator over the results, each a named tuple ``(ip_or_name, port, open)``, and an
        asynchronous iterator, and a context manager.

    Raises
    ------
    SettingError
        A setting is invalid.
    StartError
        This machine can't start the run.
    TargetError
        Raised by the iterator, after the results of the targets before: a target is invalid. Its
        attribute ``index`` is the position of the target.

    Examples
    --------
    >>> import portmuster
    >>> for ip_or_name, port, is_open in portmuster.check_ports([("127.0.0.1", 1)]):
    ...     print(ip_or_name, port, is_open)
    127.0.0.1 1 False
    """
    settings: dict[str, Any] = {
        "timeout": timeout,
        "method": method,
        "workers": workers,
        "threads": threads,
        "in_flight": in_flight,
        "rate": rate,
        "per_host": per_host,
        "source": source,
        "proxy": proxy,
    }
    return _native.check_ports(ip_ports, settings)


def check(
    targets: str | Iterable[str | tuple[Host, int] | tuple[Host, int, str | None]] = (),
    **settings: Unpack[CheckSettings],
) -> Checks[Outcome]:
    """Check targets, and find out what the open ports serve.

    It does what the program ``portmuster check`` does, with the same defaults: it reads what the
    servers send, limits the rate, tries silent targets again, and checks each target once, in a
    shuffled order. An iterator of targets, which may be endless, is read during the run, in its
    order. Other iterables and files are read before the run starts.

    Parameters
    ----------
    targets : str or iterable
        An expression, or any number of expressions and tuples. Expressions are ``"10.0.0.5"``,
        ``"10.0.0.0/24:22"``, ``"10.0.0.1-10.0.3.9"``, ``"[2001:db8::1]:22,23"``,
        ``"db.example:ssh"``, ``"ssh://db.example"`` and the like. Tuples are ``(host, port)`` or
        ``(host, port, label)``.
    ports : str, default "ssh,telnet"
        The ports of expressions that name none.
    files : path or iterable of paths
        Lists of targets, in any format that the program reads.
    input_format : str, optional
        The format of the files: "list", "csv", "nmap-xml", "nmap-grep", "masscan", "known-hosts" or
        "ansible". It is detected otherwise.
    columns : str, optional
        The columns of CSV files, such as "ip,port,name" or "1,2,3".
    labels : bool, default False
        Whether any text after a target of a list is its label, even if it looks like a mistake.
    hosts_up : bool, default False
        Whether to take all hosts that are up from the results of a scan, instead of open ports.
    exclude : str or iterable of str
        What is never connected to: addresses, networks or names.
    exclude_files : path or iterable of paths
        Files with such items, one per line.
    family : str, default "any"
        "ipv4" or "ipv6" restricts the run to one address family.
    all_addresses : bool, default False
        Whether each address of a name is a target of its own.
    source : str or address, optional
        The local address to connect from.
    proxy : str, optional
        The SOCKS5 proxy to connect through: "socks5://[user:password@]host:port", or "socks5h://..."
        if it looks names up. "none" connects directly even if a preloaded library redirects
        connections.
    order : str, default "shuffled"
        "shuffled" spreads the load over hosts and networks; "given" keeps the order.
    seed : int, optional
        The seed of the shuffled order and of random samples.
    shard : str, default "1/1"
        "M/N" checks only part M of N.
    probe : str, default "key-exchange"
        How far a check goes: "key-exchange" reads the algorithms of ssh, "greeting" ends at its
        identification, and "connect" only connects.
    speak_first : bool, default True
        Whether silent ports get a second connection on which this side speaks first.
    evidence : bool, default False
        Whether outcomes keep the conversation.
    recog : path, optional
        A directory of Recog's XML files, whose fingerprints name software in addition to the built-in ones.
    host_keys : str, default "off"
        Which host keys ssh servers are asked for, in a key exchange without authentication: "first"
        for one key, "all" for one of each type.
    timeout, first_byte, quiet, deadline : float
        Time limits in seconds: of connecting (10), of the first byte (12), of the pause that ends a
        greeting (2), and of the whole conversation (20).
    method, workers, threads, in_flight
        As of ``check_ports``.
    rate : int or None, default 10000
        The most new connections per second. None: no limit.
    per_host : int or None, default 4
        The most open connections to one address. None: no limit.
    host_timeout : float, optional
        How long one address may occupy the run, in seconds.
    retries : int, default 1
        How often a target that does not answer is tried again.
    patience : str, default "adaptive"
        "full" makes every attempt wait for the whole timeout.
    max_missed : float or str or None, default "0.1%"
        The largest share of silent targets that may be missed. Some of them are asked again, and
        ``certainty`` of the result has the bound. None: none are asked again.

    Returns
    -------
    Checks
        An iterator over the outcomes, each with the fields of a row as attributes, and an
        asynchronous iterator, and a context manager.

    Raises
    ------
    TargetError
        A target, a line of a file or an excluded item is invalid, or there is no target. If the
        targets come from an iterator, the iterator of the results raises it.
    SettingError
        A setting is invalid.
    StartError
        This machine can't start the run, or an excluded name can't be looked up.
    OSError
        A file can't be read.

    Examples
    --------
    >>> import portmuster
    >>> for outcome in portmuster.check("127.0.0.1:1,2"):
    ...     assert not outcome.is_open
    """
    return _native.check(targets, settings)
