"""Which of these host:port pairs accept connections, and which support ssh or telnet?

``check_ports`` checks any number of ports concurrently and yields the results as they become known::

    import portmuster

    for ip_or_name, port, is_open in portmuster.check_ports([("127.0.0.1", 22), ("localhost", 23)]):
        print(ip_or_name, port, is_open)

``check`` does what the program ``portmuster check`` does: it takes networks, ranges and files, reads
what the servers send, and tells ssh and telnet from everything else.
"""

import atexit
import os

from . import _native
from ._api import check, check_a_port, check_ports
from ._errors import Error, ForkedError, SettingError, StartError, TargetError
from ._native import Account, ArrowStream, Certainty, Checks, Outcome
from ._types import CheckSettings, PortStatus

__all__ = [
    "Account",
    "ArrowStream",
    "Certainty",
    "CheckSettings",
    "Checks",
    "Error",
    "ForkedError",
    "Outcome",
    "PortStatus",
    "SettingError",
    "StartError",
    "TargetError",
    "check",
    "check_a_port",
    "check_ports",
]

__version__: str = _native.VERSION

os.register_at_fork(after_in_child=_native.after_fork_in_child)
atexit.register(_native.close_all)
