"""In which order workers are given the tests: each begins with its share of the long ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeVar

LONG: Final = ("tests/promise/", "tests/browser/", "tests/sim/")
"""Tests of many processes or of whole days, each of many seconds: met last by one worker, all others wait for them."""

T = TypeVar("T")


def shared_out(items: Sequence[T], workers: int, is_long: Callable[[T], bool]) -> list[T]:
    """The same items, for workers that are each given an equal piece of the list: the long ones dealt out evenly.

    Neighbours stay together, as those of one file may share what is set up for it.
    """
    long = [item for item in items if is_long(item)]
    short = iter([item for item in items if not is_long(item)])
    order: list[T] = []
    for worker in range(workers):
        order += long[len(long) * worker // workers : len(long) * (worker + 1) // workers]
        order += islice(short, max(0, len(items) * (worker + 1) // workers - len(order)))
    return [*order, *short]
