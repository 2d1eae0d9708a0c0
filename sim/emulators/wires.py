"""The wires that readers hang on: how what they say comes to its other end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

BYTE_S: Final = 10 / 9600
"""A byte's time at 9600 baud, with start and stop bit."""

Wire = Callable[[bytes, Random], Iterator[tuple[float, bytes]]]
"""A text's way over a wire: seconds to wait, and the bytes that come then."""


def clean(text: bytes, _: Random) -> Iterator[tuple[float, bytes]]:
    """All at once, as a USB adapter hands it over."""
    yield 0.0, text


def by_bytes(text: bytes, _: Random) -> Iterator[tuple[float, bytes]]:
    """Byte by byte at the line's speed."""
    for octet in text:
        yield BYTE_S, bytes((octet,))


def slow(text: bytes, rng: Random, most_s: float = 0.02) -> Iterator[tuple[float, bytes]]:
    """A hub that hands over a byte when it pleases, `most_s` after the one before."""
    for octet in text:
        yield rng.uniform(0.0, most_s), bytes((octet,))


def hesitant(text: bytes, rng: Random) -> Iterator[tuple[float, bytes]]:
    """A slow one on which questions are still answered within the bounds that drivers give a chip."""
    return slow(text, rng, 0.003)


def noisy(text: bytes, rng: Random) -> Iterator[tuple[float, bytes]]:
    """Bursts that are no text before and behind the number, never in it."""

    def burst() -> bytes:
        return bytes(rng.choice((0x00, 0xFF, 0x80, 0x1B, 0xC3)) for _ in range(rng.randrange(5)))

    yield 0.0, burst() + text
    yield 0.002, burst()


WIRES: Final[dict[str, Wire]] = {"clean": clean, "by bytes": by_bytes, "slow": slow, "noisy": noisy}
