"""The intake: what a device's batch is worth, record by record. Pure: bytes in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from protocol.envelope import Event, decode_data, decode_event, digest_bytes, expected_event, is_digest, text_of
from protocol.errors import BadMessage
from protocol.records import PreviousJournal
from protocol.taps import TAP_TYPES, TapData

Fault = Literal["unreadable", "unknown-version", "foreign-source", "misplaced", "bad-data", "chain-broken"]

_TAP_NAMES: Final = frozenset(TAP_TYPES)


class Sound(msgspec.Struct, frozen=True, gc=False):
    """A record that can be taken: its sequence, bytes, digest, and the decoded envelope."""

    sequence: int
    raw: bytes
    digest: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Faulty:
    """A record to be set aside with its bytes, and why."""

    sequence: int
    raw: bytes
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A batch taken apart. `broken_before`: the stored record before the first doesn't fit the first one's `prev`."""

    sound: tuple[Sound, ...]
    faulty: tuple[Faulty, ...]
    broken_before: bool


def examine(
    lines: Sequence[bytes], journal: str, first: int, source: str, before: bytes | None, after_prev: str | None
) -> Examined:
    """Judge each line of a batch of records `first`, `first`+1, ... of a journal of `source`.

    `before`: the stored digest of record `first`-1; `after_prev`: what the stored record after the last names as its
    `prev`; each None where that record isn't stored. A record whose bytes differ from what its successor names is the
    bad one; where it also fails to name its predecessor, it is bad by itself and the predecessor is not.
    """
    digests = [digest_bytes(line) for line in lines]
    events: list[Event | Faulty] = []
    for place, line in enumerate(lines):
        events.append(_read(line, journal, first + place, source))
    prevs = [
        event.prev if isinstance(event, Event) else _moved_prev(event, first + place)
        for place, event in enumerate(events)
    ]
    broken = _broken_links(prevs, digests, before, after_prev)
    # A `prev` that equals a digest is one; of the others the form was not looked at yet.
    unproven = {at + 1 for at in broken if at + 1 < len(events)} | ({0} if before is None else set())
    for place in sorted(unproven):
        event = events[place]
        if isinstance(event, Event) and event.prev is not None and not is_digest(event.prev):
            detail = f"record {event.id}: prev is not a SHA-256 digest in base64url"
            events[place] = Faulty(first + place, lines[place], "unreadable", detail)
    bad = {at + 1 if at + 1 in broken and at + 1 < len(lines) else at for at in broken}
    sound: list[Sound] = []
    faulty: list[Faulty] = []
    for place, event in enumerate(events):
        if isinstance(event, Faulty):
            faulty.append(event)
        elif place in bad:
            detail = f"record {event.id} is not the one that the chain names"
            faulty.append(Faulty(first + place, lines[place], "chain-broken", detail))
        else:
            sound.append(Sound(first + place, lines[place], digests[place], event))
    return Examined(tuple(sound), tuple(faulty), -1 in bad)


def _moved_prev(faulty: Faulty, sequence: int) -> str | None:
    """What a line that isn't in its place names as the digest before it, where that says something of the line before.

    An earlier record in a later place speaks: something was put before it. A later one in an earlier place doesn't:
    what it names was taken out.
    """
    if faulty.fault != "misplaced":
        return None
    moved = decode_event(faulty.raw)
    return moved.prev if moved.tap.sequence < sequence else None


def _broken_links(
    prevs: Sequence[str | None], digests: Sequence[bytes], before: bytes | None, after_prev: str | None
) -> set[int]:
    """Places whose record isn't what its successor names; -1 is the stored record before the batch."""
    broken: set[int] = set()
    digest = before
    for place, prev in enumerate(prevs):
        if digest is not None and prev is not None and prev != text_of(digest):
            broken.add(place - 1)
        digest = digests[place]
    if after_prev is not None and digest is not None and after_prev != text_of(digest):
        broken.add(len(prevs) - 1)
    return broken


def _read(line: bytes, journal: str, sequence: int, source: str) -> Event | Faulty:
    event = expected_event(line, journal, sequence, source)
    if event is None:
        return _explained(line, journal, sequence, source)
    if event.name in _TAP_NAMES:
        try:
            decode_data(event, TapData)
        except BadMessage as problem:
            return Faulty(sequence, line, "bad-data", str(problem))
    elif bytes(event.data)[:1] != b"{":
        return Faulty(sequence, line, "bad-data", f"record {event.id}: its data is not an object")
    return event


def _explained(line: bytes, journal: str, sequence: int, source: str) -> Faulty:
    """Why a line isn't the record that must stand here."""
    try:
        event = decode_event(line)
    except BadMessage as problem:
        return Faulty(sequence, line, "unknown-version" if _is_event(line) else "unreadable", str(problem))
    if event.id != f"{journal}.{sequence}":
        detail = f"record {event.id} stands in the place of {journal}.{sequence}"
        return Faulty(sequence, line, "misplaced", detail)
    return Faulty(sequence, line, "foreign-source", f"record {event.id} is said to come from {event.source[:100]}")


class _Typed(msgspec.Struct):
    """Enough to see that a line is a record of some version."""

    type: str
    specversion: str


def _is_event(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=_Typed).type.startswith("vn.k12edge.")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


class _Opened(msgspec.Struct):
    previous: PreviousJournal | None = None


def previous_of(raw: bytes) -> str | None:
    """The journal that a first record names as the one before; None where it names none."""
    try:
        event = decode_event(raw)
        previous = msgspec.json.decode(event.data, type=_Opened).previous if event.name == "journal.opened" else None
    except (BadMessage, msgspec.DecodeError, ValueError, RecursionError):
        # Signed nonsense: the record is kept as it is, and nothing else may fail by it.
        return None
    return None if previous is None else previous.journal
