"""Asynchronous iteration over the results of a run, on the loops of asyncio and trio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._native import Checks

T = TypeVar("T")

_BURST_MAX = 128
"""Results that are returned without a pause. Then other tasks run, even if more results are known."""


class Results(Generic[T]):
    """The asynchronous iterator over the results of a run."""

    __slots__ = ("_burst", "_checks", "_descriptor", "_is_waiting")

    def __init__(self, checks: Checks[T]) -> None:
        self._checks = checks
        self._descriptor = checks._wake_descriptor()
        self._burst = 0
        self._is_waiting = False

    def __aiter__(self) -> Results[T]:
        return self

    async def __anext__(self) -> T:
        if self._is_waiting:
            raise RuntimeError("another task is waiting for the next result of this iterator")
        if self._burst >= _BURST_MAX:
            self._burst = 0
            await _pause()
        result = self._checks._poll()
        while result is None:
            self._burst = 0
            self._is_waiting = True
            try:
                await _wait_readable(self._descriptor)
            finally:
                self._is_waiting = False
            result = self._checks._poll()
        self._burst += 1
        return result


async def enter(checks: Checks[T]) -> Checks[T]:
    """Enter the context of a run."""
    return checks


async def close(checks: Checks[Any]) -> None:
    """Leave the context of a run: end it without blocking the loop."""
    await _in_thread(checks.close)


def _trio() -> Any:
    """Return trio if this task is one of trio, else None."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


async def _pause() -> None:
    trio = _trio()
    await (asyncio.sleep(0) if trio is None else trio.lowlevel.checkpoint())


async def _in_thread(function: Callable[[], None]) -> None:
    trio = _trio()
    if trio is None:
        await asyncio.to_thread(function)
        return
    # In a scope that was cancelled too.
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(function)


async def _wait_readable(descriptor: int) -> None:
    """Wait until the descriptor is readable. Cancelling it loses no result."""
    trio = _trio()
    if trio is not None:
        await trio.lowlevel.wait_readable(descriptor)
        return
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, readable)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
