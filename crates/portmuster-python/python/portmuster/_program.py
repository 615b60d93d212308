"""The program ``portmuster``, which the extension module contains."""

import os
import signal
import sys
from typing import NoReturn

from . import _native


def main() -> NoReturn:
    """Run the program with the arguments of this process, and exit with its status."""
    # The program handles Ctrl-C itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.run_program(sys.argv[1:]))


def command() -> list[str]:
    """Return the command that starts the program, such as for worker processes.

    It finds this package wherever it was imported from, and reads neither the environment nor the
    directory of the user.
    """
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = (
        f"import sys; sys.path.insert(0, {folder!r}); "
        "from portmuster._program import main; main()"
    )
    return [sys.executable or "", "-I", "-S", "-c", code]
