# Written by stubs.py from _native.pyi.in and the fields of a row; do not edit.
"""The extension module. It is private: import ``portmuster``."""

from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, final

from ._types import PortStatus

_T = TypeVar("_T")

__all__ = [
    "VERSION",
    "Account",
    "ArrowStream",
    "Certainty",
    "Checks",
    "Feeder",
    "Outcome",
    "after_fork_in_child",
    "check",
    "check_a_port",
    "check_ports",
    "close_all",
    "outcome_from_row",
    "row_schema",
    "run_program",
]

VERSION: str

@final
class Checks(Generic[_T]):
    """The results of a run, as they become known."""

    def __iter__(self) -> Iterator[_T]: ...
    def __next__(self) -> _T: ...
    def __aiter__(self) -> AsyncIterator[_T]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def close(self) -> None: ...
    @property
    def account(self) -> Account: ...
    @property
    def certainty(self) -> Certainty | None: ...
    def arrow(self) -> ArrowStream: ...
    def _poll(self) -> _T | None: ...
    def _wake_descriptor(self) -> int: ...

@final
class ArrowStream:
    """The results of a run as a stream of Arrow record batches, which can be read once."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class Account:
    """The sums over a run."""

    @property
    def targets(self) -> int: ...
    @property
    def open(self) -> int: ...
    @property
    def closed(self) -> int: ...
    @property
    def filtered(self) -> int: ...
    @property
    def unresolved(self) -> int: ...
    @property
    def unchecked(self) -> int: ...
    @property
    def excluded(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def services(self) -> dict[str, int]: ...
    @property
    def findings(self) -> dict[str, int]: ...
    @property
    def found_on_retry(self) -> int: ...
    @property
    def syns(self) -> int: ...
    @property
    def syns_lost(self) -> int: ...
    @property
    def faults(self) -> int: ...
    @property
    def elapsed(self) -> float: ...
    def as_dict(self) -> dict[str, Any]: ...

@final
class Certainty:
    """What asking a random sample of the silent targets once more has shown."""

    @property
    def silent(self) -> int: ...
    @property
    def asked_again(self) -> int: ...
    @property
    def answered(self) -> int: ...
    @property
    def missed_max(self) -> int | None: ...
    @property
    def missed_share(self) -> float | None: ...
    @property
    def is_blocked(self) -> bool: ...
    def is_within(self, share: float) -> bool: ...

@final
class Outcome:
    """The outcome of one target: the fields of a row as attributes."""

    @property
    def is_open(self) -> bool: ...
    def as_dict(self) -> dict[str, Any]: ...
    def __hash__(self) -> int: ...
    @property
    def address(self) -> str | None:
        """The address that the row is about. Absent if no connection was tried."""
    @property
    def attempts(self) -> int:
        """How many connections were started."""
    @property
    def banner(self) -> str | None:
        """The greeting, if it is UTF-8."""
    @property
    def banner_base64(self) -> str | None:
        """The greeting, if it is not UTF-8."""
    @property
    def ciphers_client_to_server(self) -> tuple[str, ...] | None:
        """Ciphers from client to server, in the order of the server."""
    @property
    def ciphers_server_to_client(self) -> tuple[str, ...] | None:
        """Ciphers from server to client, in the order of the server."""
    @property
    def compression_client_to_server(self) -> tuple[str, ...] | None:
        """Compression methods from client to server, in the order of the server."""
    @property
    def compression_server_to_client(self) -> tuple[str, ...] | None:
        """Compression methods from server to client, in the order of the server."""
    @property
    def connect_ms(self) -> float | None:
        """Milliseconds until the connection was accepted."""
    @property
    def cpe(self) -> str | None:
        """The name of the software, the system or the device in the Common Platform Enumeration."""
    @property
    def device(self) -> str | None:
        """The kind or the model of the device."""
    @property
    def evidence(self) -> dict[str, Any] | None:
        """The conversation, if recording was requested."""
    @property
    def findings(self) -> tuple[Literal[
            "ssh-1",
            "terrapin",
            "no-encryption",
            "no-integrity",
            "group1-sha1",
            "sha1-kex",
            "ssh-dss",
            "sha1-signatures",
            "rc4",
            "des",
            "3des",
            "64-bit-block",
            "cbc",
            "md5",
            "telnet-new-environ",
            "no-post-quantum",
            "host-key-unproven",
            "host-key-short",
            "host-key-revoked",
            "host-key-changed",
            "host-key-unknown",
        ], ...] | None:
        """The weaknesses of an ssh or telnet server."""
    @property
    def fingerprint(self) -> str | None:
        """The fingerprint that names the software."""
    @property
    def first_byte_ms(self) -> float | None:
        """Milliseconds until the first byte arrived."""
    @property
    def host(self) -> str:
        """The host as it was named: an address or a name."""
    @property
    def host_key_algorithms(self) -> tuple[str, ...] | None:
        """Host key algorithms, in the order of the server."""
    @property
    def host_key_missing(self) -> Literal[
            "hung-up",
            "silence",
            "deadline",
            "disconnected",
            "no-packet",
            "other-packet",
            "too-much",
            "malformed",
            "no-method",
            "no-key-type",
            "no-algorithms",
            "bad-group",
            "spoiled",
            "no-randomness",
            "no-offer",
            "odd-identification",
            "version-1",
        ] | None:
        """Why a host key is absent although it was asked for."""
    @property
    def host_keys(self) -> tuple[dict[str, Any], ...] | None:
        """The host keys of an ssh server, if they were asked for."""
    @property
    def kex_algorithms(self) -> tuple[str, ...] | None:
        """Key exchange methods, in the order of the server."""
    @property
    def kex_missing(self) -> Literal[
            "hung-up",
            "silence",
            "deadline",
            "disconnected",
            "long-identification",
            "no-packet",
            "other-packet",
            "too-much",
            "malformed",
            "spoiled",
        ] | None:
        """Why the lists are absent although they were asked for."""
    @property
    def label(self) -> str | None:
        """The label of the target."""
    @property
    def macs_client_to_server(self) -> tuple[str, ...] | None:
        """Message authentication codes from client to server, in the order of the server."""
    @property
    def macs_server_to_client(self) -> tuple[str, ...] | None:
        """Message authentication codes from server to client, in the order of the server."""
    @property
    def open(self) -> bool:
        """Whether a connection was accepted."""
    @property
    def os(self) -> str | None:
        """The operating system."""
    @property
    def port(self) -> int:
        """The TCP port."""
    @property
    def product(self) -> str | None:
        """The software of the server, as a fingerprint names it."""
    @property
    def protocol(self) -> str | None:
        """The protocol of the service other."""
    @property
    def reason(self) -> str:
        """The reason for the state."""
    @property
    def rule(self) -> Literal[
            "identification",
            "identification-cut-off",
            "sshd-refusal",
            "sshd-broken",
            "telnet-commands",
            "login-prompt",
            "shell-prompt",
            "menu",
            "names-telnet",
            "names-login",
            "known-protocol",
            "unknown-bytes",
            "too-many-bytes",
            "too-many-lines",
            "still-talking",
            "silence",
            "hung-up",
            "connect-only",
        ] | None:
        """The rule that decided on the service."""
    @property
    def schema(self) -> Literal[1]:
        """The version of the fields."""
    @property
    def service(self) -> Literal[
            "ssh",
            "ssh-throttled",
            "ssh-broken",
            "telnet",
            "telnet-likely",
            "tarpit",
            "silent",
            "closed-early",
            "other",
            "unknown",
            "not-probed",
        ] | None:
        """The service of an open port."""
    @property
    def ssh_comment(self) -> str | None:
        """The comment in the ssh identification."""
    @property
    def ssh_protocol(self) -> str | None:
        """The version of the ssh protocol."""
    @property
    def ssh_software(self) -> str | None:
        """The software in the ssh identification, with its version."""
    @property
    def state(self) -> Literal[
            "open",
            "closed",
            "filtered",
            "unresolved",
            "unchecked",
        ]:
        """The port state."""
    @property
    def telnet_daemon(self) -> Literal[
            "gnu-inetutils",
            "mikrotik",
            "netkit",
            "busybox",
            "utelnetd",
            "freebsd",
            "windows",
            "cisco",
            "juniper-screenos",
            "huawei",
            "solaris",
            "irix",
            "os400",
            "tn3270",
            "ontap",
            "vxworks",
            "freesshd",
            "jetdirect",
        ] | None:
        """Which daemon a telnet server is, by the order of its options."""
    @property
    def telnet_daemon_confidence_percent(self) -> int | None:
        """How certain the daemon is, in percent."""
    @property
    def telnet_encryption(self) -> Literal[
            "offered",
            "no",
        ] | None:
        """Whether a telnet server offers to encrypt the session."""
    @property
    def telnet_options(self) -> tuple[str, ...] | None:
        """The options that a telnet server offered (will) or requested (do)."""
    @property
    def time(self) -> str:
        """The time of the verdict: UTC, with milliseconds."""
    @property
    def total_ms(self) -> float | None:
        """Milliseconds until the verdict. Absent if no connection was tried."""
    @property
    def vendor(self) -> str | None:
        """The maker of the software, or of the device."""
    @property
    def version(self) -> str | None:
        """The version of the software, as the server states it."""

@final
class Feeder:
    def push(self, item: object) -> None: ...
    def end(self) -> None: ...
    def fail(self, error: BaseException) -> None: ...

def check_a_port(host: object, port: object, settings: Mapping[str, Any]) -> PortStatus: ...
def check_ports(ip_ports: object, settings: Mapping[str, Any]) -> Checks[PortStatus]: ...
def check(targets: object, settings: Mapping[str, Any]) -> Checks[Outcome]: ...
def outcome_from_row(row: str) -> Outcome: ...
def row_schema() -> str: ...
def run_program(arguments: list[str]) -> int: ...
def close_all() -> None: ...
def after_fork_in_child() -> None: ...
