"""Which of many equal faults the log tells of: it must name each kind, and no reader may fill it."""

from __future__ import annotations


def seldom(count: int) -> bool:
    """Whether the `count`-th is told: the first, second, fourth, eighth and so on."""
    return count & (count - 1) == 0
