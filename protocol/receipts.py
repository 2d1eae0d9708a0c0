"""Receipts: what a keeper (hub, city) holds of a device's journals: cumulative, with holes and a head digest."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol.envelope import is_digest, is_journal_id
from protocol.errors import BadMessage
from protocol.ranges import Range, RangeSet
from protocol.taps import SEQUENCE_MAX

MISSING_MAX = 256
"""Holes listed in one mark; where there are more, `through` is lowered to before the first unlisted one."""


WALL_MS_MAX: Final = 253_300_000_000_000
"""Unix ms in the year 9996: a hub's clock beyond can't be written as a record's time."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one keeper holds of one journal.

    Every sequence to `through` is held, but for the closed ranges in `missing`. `head` is the digest of record
    `through` (null when `through` is 0). `parked` (hub) and `dead` (city) are durable there and count as settled.
    """

    through: int
    head: str | None
    missing: list[Range] = []
    parked: list[Range] = []
    dead: list[Range] = []


class JournalMarks(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hub's and, where there is a city, the city's mark of one journal."""

    hub: Mark
    city: Mark | None = None


class HubTime(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hub's clock for devices without one.

    `hub`: its wall clock in Unix ms when it wrote this; `err`: its own error bound in ms; `echo_mono`, `echo_boot`:
    CLOCK_BOOTTIME in ms and boot id of the device's state message that this answers.
    """

    hub: int
    err: int
    echo_mono: int
    echo_boot: str


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a receipt message, signed by the hub. `epoch` is minted at every start of the hub."""

    epoch: str
    journals: dict[str, JournalMarks]
    time: HubTime | None = None


_decoder = msgspec.json.Decoder(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """The body's bytes."""
    return msgspec.json.encode(receipt)


def decode_receipt(body: bytes) -> Receipt:
    """Read a receipt and hold it to its rules; raises BadMessage."""
    try:
        receipt = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a receipt: {problem}") from problem
    for journal, marks in receipt.journals.items():
        if not is_journal_id(journal):
            raise BadMessage(f"the receipt names a journal {journal[:40]!r}")
        for mark in (marks.hub, marks.city):
            if mark is not None:
                _check(mark)
    time = receipt.time
    if time is not None and not (0 <= time.hub <= WALL_MS_MAX and 0 <= time.err <= WALL_MS_MAX):
        raise BadMessage("the receipt tells a time that can't be")
    return receipt


def _check(mark: Mark) -> None:
    if not 0 <= mark.through <= SEQUENCE_MAX or (mark.head is None) != (mark.through == 0):
        raise BadMessage("a mark has no head, or a head without a record")
    if mark.head is not None and not is_digest(mark.head):
        raise BadMessage("a mark's head is not a digest")
    for ranges in (mark.missing, mark.parked, mark.dead):
        before = 0
        for first, last in ranges:
            if not before < first <= last <= mark.through:
                raise BadMessage("a mark's ranges are not in order within what it covers")
            before = last


def mark_of(held: RangeSet, set_aside: RangeSet | None = None) -> tuple[int, list[Range], list[Range]]:
    """`through`, `missing` and the set-aside ranges of a mark, bounded by MISSING_MAX entries each.

    `held` counts everything durable with the keeper; `set_aside` (parked or dead) is a part of it.
    """
    through = held.last
    missing: list[Range] = []
    for hole in held.gaps(1, through):
        if len(missing) == MISSING_MAX:
            through = hole[0] - 1
            break
        missing.append(hole)
    aside: list[Range] = []
    for first, last in set_aside or ():
        if first > through or len(aside) == MISSING_MAX:
            break
        aside.append((first, min(last, through)))
    return through, missing, aside


def held_of(mark: Mark) -> RangeSet:
    """Everything that a mark says is durable with its keeper."""
    held = RangeSet()
    if mark.through:
        missing = RangeSet(mark.missing)
        for first, last in missing.gaps(1, mark.through):
            held.add(first, last)
    return held
