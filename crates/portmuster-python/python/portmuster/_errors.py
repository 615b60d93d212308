"""The exceptions of the package."""


class Error(Exception):
    """The base class of the exceptions of this package."""


class TargetError(Error, ValueError):
    """A target, or a list of targets, that can't be read.

    Attributes
    ----------
    index : int or None
        The position of the target in the iterable, from 0. None for a list in a file and for the
        targets as a whole.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class SettingError(Error, ValueError):
    """A setting that is invalid on every machine."""


class StartError(Error, RuntimeError):
    """A run that could not be started on this machine."""


class ForkedError(Error, RuntimeError):
    """A run that was used in a forked process, where its threads do not exist."""
