"""A parser under fuzz: how its inputs are made, what it may refuse, and what must hold of what it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from protocol.errors import BadMessage

SETTLING: int = 8
"""Times that an input is taken again before it counts as slow: other processes may have had the machine."""


class Broken(Exception):
    """Something that must hold of an input didn't."""


class Parser(ABC):
    """One parser. Inputs depend on the generator handed in, and on nothing else.

    `refusals`: what `take` may raise, any other error is a fault; `every`: of the inputs taken each so-many-th goes on
    to the next room; `cpu_ms_max`: what one input may cost; `bytes_max`: what one input may need while it is taken;
    `share`: of a count only each so-many-th input is made, where one takes long.
    """

    name: ClassVar[str]
    refusals: ClassVar[tuple[type[Exception], ...]] = (BadMessage,)
    every: ClassVar[int] = 1
    cpu_ms_max: ClassVar[float] = 100.0
    bytes_max: ClassVar[int] = 8 * 1024 * 1024
    share: ClassVar[int] = 1

    def __init__(self, folder: Path) -> None:
        """`folder` is this process's own, in memory where the machine has such a place."""
        self.folder = folder

    @abstractmethod
    def made(self, rng: Random) -> bytes:
        """One input."""

    @abstractmethod
    def take(self, octets: bytes) -> Any:
        """Parse it and hold the outcome to its own rules; raises `refusals`, Broken."""

    def follow(self, octets: bytes, taken: Any) -> None:  # noqa: B027  # Most have no next room.
        """Hand what was taken to the next room, which must take it; raises Broken and whatever that room throws."""

    def close(self) -> None:  # noqa: B027
        """Give back what the next rooms hold open."""


def must(holds: object, what: str) -> None:
    """Raise Broken saying `what` unless it `holds`."""
    if not holds:
        raise Broken(what)
