"""Regaining: which of the records that a city gives back are what a journal held, by chain and signed heads. Pure.

A city gives records in the order in which it took them. What a signed head or a later journal's first record vouches
for is proven at once; the rest waits in hand, and counts in the end where its chain fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocol.envelope import Event, digest_bytes, octets_of, text_of
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from protocol.records import PreviousJournal
from protocol.signing import SignatureRefused, verify

_CITED: Final = re.compile(rb'"([0-9a-f]{16})\.([1-9]\d{0,11})"')


class _Head(msgspec.Struct):
    through: int
    head: str
    sig: str


class _Opened(msgspec.Struct):
    previous: PreviousJournal | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A record as the city gave it."""

    sequence: int
    raw: bytes
    digest: bytes
    event: Event


@dataclass(slots=True)
class Strand:
    """One journal as it is gathered. `keys`: whose signatures count; `claims`: what was signed of it, record -> digest.

    `signed`: something of it was; `other_key`: its first record or a head names, or was signed by, a key that we don't
    know. Of such a journal only what is proven counts.
    """

    journal: str
    source: str
    keys: tuple[str, ...]
    waiting: dict[int, Piece] = field(default_factory=dict)
    claims: dict[int, bytes] = field(default_factory=dict)
    signed: bool = False
    other_key: bool = False
    refused: list[int] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """One more record that the hub doesn't hold."""
        self.waiting[piece.sequence] = piece
        if piece.event.name == "journal.head":
            head = signed_head(piece.event, self.journal, self.keys)
            if head is None:
                self.other_key = True
            else:
                self.claim(*head)

    def claim(self, sequence: int, digest: bytes) -> None:
        """Somebody whose word counts vouches for a record."""
        self.claims[sequence] = digest
        self.signed = True

    @property
    def foreign(self) -> bool:
        """Whether another hub, or another device, wrote this under our name."""
        return self.other_key and not self.signed

    def proven(self, held: Callable[[int], tuple[bytes, str | None] | None]) -> list[Piece]:
        """Take out what is proven by now, in order. `held` tells digest and `prev` of a record that the hub has.

        A record in hand that isn't what is vouched for is refused: it stays with the city.
        """
        found: dict[int, Piece] = {}
        for at in sorted(self.claims, reverse=True):
            if not self.waiting:
                break
            self._walk(at, self.claims[at], held, found)
        # The highest one vouches for all below it; one whose record hasn't come yet is still to be met.
        met = sorted(at for at in self.claims if at in found or held(at) is not None)
        for at in met[:-1]:
            del self.claims[at]
        return [found[sequence] for sequence in sorted(found)]

    def _walk(
        self,
        at: int,
        digest: bytes,
        held: Callable[[int], tuple[bytes, str | None] | None],
        found: dict[int, Piece],
    ) -> None:
        """Back along the chain from a record whose digest is vouched for, as long as there is something in hand."""
        lowest = min(self.waiting)
        while at >= lowest:
            piece = self.waiting.get(at)
            if piece is not None and piece.digest != digest:
                self.refused.append(at)
                del self.waiting[at]
                return
            if piece is not None:
                found[at] = self.waiting.pop(at)
                prev = piece.event.prev
            elif at in found:
                return
            else:
                known = held(at)
                if known is None or known[0] != digest:
                    return
                prev = known[1]
            if prev is None or not self.waiting:
                return
            at, digest = at - 1, octets_of(prev)

    def rest(self, held: Callable[[int], tuple[bytes, str | None] | None]) -> list[Piece]:
        """Take out what nobody signed, where each record fits the one before and behind it; the others are refused."""
        found: list[Piece] = []
        for sequence in sorted(self.waiting):
            piece = self.waiting[sequence]
            if self.foreign:
                self.refused.append(sequence)
                continue
            before = found[-1].digest if found and found[-1].sequence == sequence - 1 else None
            if before is None and sequence > 1 and (known := held(sequence - 1)) is not None:
                before = known[0]
            behind = held(sequence + 1)
            fits = before is None or piece.event.prev == text_of(before)
            fits = fits and (behind is None or behind[1] == text_of(piece.digest))
            if fits:
                found.append(piece)
            else:
                self.refused.append(sequence)
        self.waiting.clear()
        return found


def signed_head(event: Event, journal: str, keys: tuple[str, ...]) -> tuple[int, bytes] | None:
    """What a `journal.head` record vouches for, where one of the keys signed it: the last record and its digest."""
    if event.name != "journal.head":
        return None
    try:
        said = msgspec.json.decode(event.data, type=_Head)
        digest = octets_of(said.head, 32)
    except (msgspec.DecodeError, BadMessage, ValueError, RecursionError):
        return None
    text = f"k12edge.head.v1\n{journal}\n{said.through}\n{said.head}".encode("ascii", "replace")
    for key in keys:
        try:
            verify(key, text, said.sig)
        except (SignatureRefused, BadMessage):
            continue
        return said.through, digest
    return None


def previous_named(event: Event) -> tuple[str, int, bytes | None] | None:
    """The journal that a first record names as the one before: its id, last record, and that one's digest."""
    if event.name != "journal.opened":
        return None
    try:
        previous = msgspec.json.decode(event.data, type=_Opened).previous
        if previous is None:
            return None
        return previous.journal, previous.last, None if previous.head is None else octets_of(previous.head, 32)
    except (msgspec.DecodeError, BadMessage, ValueError, RecursionError):
        return None


def piece_of(event: Event, raw: bytes) -> Piece:
    """A record with its digest."""
    return Piece(event.tap.sequence, raw, digest_bytes(raw), event)


def cited(raw: bytes) -> Iterator[tuple[str, int]]:
    """The records that a record names: journal and number."""
    for journal, number in _CITED.findall(raw):
        yield journal.decode("ascii"), int(number)


def lost(held: RangeSet, known_to: int) -> list[tuple[int, int]]:
    """What is not held of a journal of which record `known_to` is known to have been written."""
    return list(held.gaps(1, max(held.last, known_to)))
