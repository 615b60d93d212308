"""The types of results and settings."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    Host = str | IPv4Address | IPv6Address
    """A host name, or an address as text or as an object of ``ipaddress``."""

Method = Literal[
    "serial",
    "threads",
    "processes",
    "process-threads",
    "event-loop",
    "process-event-loops",
]
"""How checks run side by side."""

Path = str | os.PathLike[str]
"""The path of a file."""


class PortStatus(NamedTuple):
    """The result of one check of ``check_ports``.

    Attributes
    ----------
    ip_or_name : str
        The host, as it was named.
    port : int
        The port.
    open : bool
        Whether one of the addresses of the host has accepted a connection.
    """

    ip_or_name: str
    port: int
    open: bool


class CheckSettings(TypedDict, total=False):
    """The keyword arguments of ``check``, which documents them."""

    ports: str
    files: Path | Iterable[Path]
    input_format: Literal[
        "list", "csv", "nmap-xml", "nmap-grep", "masscan", "known-hosts", "ansible"
    ]
    columns: str
    labels: bool
    hosts_up: bool
    exclude: str | Iterable[str]
    exclude_files: Path | Iterable[Path]
    family: Literal["any", "ipv4", "ipv6"]
    all_addresses: bool
    source: "Host | None"
    proxy: str | None
    order: Literal["shuffled", "given"]
    seed: int | None
    shard: str
    probe: Literal["key-exchange", "greeting", "connect"]
    speak_first: bool
    evidence: bool
    recog: Path | None
    host_keys: Literal["off", "first", "all"]
    timeout: float
    first_byte: float
    quiet: float
    deadline: float
    method: Method
    workers: int | None
    threads: int | None
    in_flight: int | None
    rate: int | None
    per_host: int | None
    host_timeout: float | None
    retries: int
    patience: Literal["full", "adaptive"]
    max_missed: float | str | None
