"""The records of a pack: exact bytes by journal, each held to its place, its chain, and its device's signature. Pure.

| of | what proves a record |
| --- | --- |
| a counter's journal | the chain to a place that its device signed: a batch's end, or a signed head among the records |
| the hub's own | its digest in the index, which the manifest's signature covers; the same key signs the hub's heads |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from hub.recount.manifest import INDEX, LINES, RECORDS, SIGNED, Extent
from protocol.batch import signed_text
from protocol.envelope import EVENT_BYTES_MAX, Event, decode_event, digest, is_digest
from protocol.errors import BadMessage
from protocol.signing import SignatureRefused, verify
from protocol.taps import parse_tap_id

BAD_MAX: Final = 50
"""Problems named; whoever changed more than these is told of the first ones."""
RECORDS_MAX: Final = 2_000_000
HEAD: Final = "k12edge.head.v1"
T = TypeVar("T")


class Sealed(msgspec.Struct, frozen=True):
    """A batch's signature: over the records from `first` to `last` of a journal, by the device's `key`."""

    first: int
    last: int
    key: str
    sig: str


class _Head(msgspec.Struct):
    through: int
    head: str
    sig: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is otherwise than it must be: about which record, serving, meal or file, and what of it."""

    about: str
    what: str


@dataclass(slots=True)
class Records:
    """What was read. `events` by id, in the order of their journals; `digests` by id; `problems` as found."""

    events: dict[str, Event] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unsigned: dict[str, int] = field(default_factory=dict)

    def blame(self, about: str, what: str) -> None:
        """Name a problem, as long as there aren't too many."""
        if len(self.problems) < BAD_MAX:
            self.problems.append(Problem(about, what))


def signatures_bytes(sealed: Mapping[str, Sequence[Sealed]]) -> bytes:
    """Journal -> its batches' signatures, as a file of the pack."""
    return msgspec.json.encode(sealed, order="sorted") + b"\n"


def index_bytes(digests: Mapping[str, Mapping[str, str]]) -> bytes:
    """Journal -> sequence -> digest of the hub's own records, as a file of the pack."""
    return msgspec.json.encode(digests, order="sorted") + b"\n"


def read_records(
    contents: Mapping[str, bytes],
    journals: Mapping[str, Extent],
    keys: Mapping[str, list[str]],
    *,
    told: bool = True,
) -> Records:
    """Every record of the pack, held to all that proves it. `keys`: source -> public keys that it signed with.

    `told`: whether the extents say already how many records no signature proves; a pack that is being made learns it.
    Raises BadMessage where the signatures or the index can't be read at all.
    """
    found = Records()
    sealed = _decoded(contents.get(SIGNED, b"{}"), dict[str, list[Sealed]], SIGNED)
    index = _decoded(contents.get(INDEX, b"{}"), dict[str, dict[str, str]], INDEX)
    for name in sorted(contents):
        journal = name.removeprefix(RECORDS).removesuffix(LINES)
        if name.startswith(RECORDS) and journal not in journals:
            found.blame(f"{journal}.1", "the manifest knows no such journal")
    for journal, extent in sorted(journals.items()):
        octets = contents.get(f"{RECORDS}{journal}{LINES}", b"")
        lines = list(_lines(found, journal, extent, octets))
        if extent.own:
            _hold_to_index(found, journal, lines, index.get(journal, {}))
        else:
            _hold_to_chain(found, journal, extent, lines, sealed.get(journal, []), keys.get(extent.source, []))
    for journal, unsigned in found.unsigned.items():
        extent = journals[journal]
        if told and unsigned != extent.unsigned and not found.problems:
            said = f"{unsigned} of the journal's records are proven by no signature of its device"
            found.blame(f"{journal}.{extent.first}", f"{said}, the manifest says {extent.unsigned}")
    return found


def _decoded(octets: bytes, shape: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(octets, type=shape)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"{name} can't be read: {problem}") from problem


def _lines(found: Records, journal: str, extent: Extent, octets: bytes) -> Iterator[tuple[int, str]]:
    """Each record's sequence and digest, in order; what is no record of this journal is named."""
    last = 0
    for raw in _split(octets):
        if len(found.events) >= RECORDS_MAX:
            raise BadMessage(f"the pack has more than {RECORDS_MAX} records")
        sequence = _taken(found, journal, extent, raw, last) if raw else None
        if sequence is not None:
            last = sequence
            yield sequence, found.digests[f"{journal}.{sequence}"]


def _split(octets: bytes) -> Iterator[memoryview]:
    """Each line as a part of the file, not as a copy: events keep their data as it stands there."""
    whole, at = memoryview(octets), 0
    while at < len(octets):
        end = octets.find(b"\n", at)
        end = len(octets) if end < 0 else end
        yield whole[at:end]
        at = end + 1


def _taken(found: Records, journal: str, extent: Extent, raw: memoryview, last: int) -> int | None:
    behind = f"the line behind {journal}.{last}"
    if len(raw) > EVENT_BYTES_MAX:
        found.blame(behind, f"a record has at most {EVENT_BYTES_MAX} bytes")
        return None
    try:
        event = decode_event(raw)
    except BadMessage as problem:
        found.blame(f"{journal}.{last + 1}", f"it is no record any more: {str(problem)[:200]}")
        return None
    name = parse_tap_id(event.id)
    if name is None or name.journal != journal:
        found.blame(event.id[:60], f"it stands in the file of journal {journal}")
        return None
    if event.source != extent.source:
        found.blame(event.id, f"it is said to come from {event.source[:80]}, its journal from {extent.source}")
    elif name.sequence <= last:
        found.blame(event.id, f"it stands behind {journal}.{last}: it was moved there, or added")
        return None
    elif not extent.first <= name.sequence <= extent.last:
        found.blame(event.id, f"the manifest knows this journal's records from {extent.first} to {extent.last} only")
    found.events[event.id] = event
    found.digests[event.id] = digest(raw)
    return name.sequence


def _hold_to_index(found: Records, journal: str, lines: Sequence[tuple[int, str]], index: Mapping[str, str]) -> None:
    there = {str(sequence): mine for sequence, mine in lines}
    for sequence in sorted(there.keys() | index.keys(), key=lambda text: (len(text), text)):
        name = f"{journal}.{sequence[:20]}"
        if sequence not in index:
            found.blame(name, "the index knows no such record: it was added")
        elif sequence not in there:
            found.blame(name, "the record is missing; the index has it")
        elif index[sequence] != there[sequence]:
            found.blame(name, "its bytes aren't those that the index names: it was changed")


def _hold_to_chain(
    found: Records,
    journal: str,
    extent: Extent,
    lines: Sequence[tuple[int, str]],
    sealed: Sequence[Sealed],
    keys: Sequence[str],
) -> None:
    """The chain from record to record; and what the device signed of it, which proves all records before it."""
    digests = dict(lines)
    missing = _missing(extent)
    at, before = extent.first, ""
    for sequence, mine in [*lines, (extent.last + 1, "")]:
        for gone in range(at, min(sequence, at + BAD_MAX)):
            if gone not in missing:
                found.blame(f"{journal}.{gone}", "the record is missing")
                before = ""
        prev = found.events[f"{journal}.{sequence}"].prev if mine else None
        if mine and before and sequence == at and prev != before:
            found.blame(f"{journal}.{sequence - 1}", "its bytes aren't those that its successor names: it was changed")
        at, before = max(at, sequence + 1), mine
    proven = set(_proven(found, journal, digests, sealed, keys))
    unsigned, reached = 0, False
    for sequence in sorted(digests, reverse=True):
        # Across a hole no chain reaches.
        reached = sequence in proven or (reached and sequence + 1 in digests)
        unsigned += not reached
    found.unsigned[journal] = unsigned


def _missing(extent: Extent) -> set[int]:
    """The sequences that the manifest says are missing, as far as they lie within the extent's own count."""
    found: set[int] = set()
    for first, last in extent.missing:
        if not extent.first <= first <= last <= extent.last or last - first > RECORDS_MAX:
            raise BadMessage("the manifest's holes lie outside their journal")
        found.update(range(first, last + 1))
        if len(found) > RECORDS_MAX:
            raise BadMessage(f"the manifest names more than {RECORDS_MAX} missing records")
    return found


def _proven(
    found: Records, journal: str, digests: Mapping[int, str], sealed: Sequence[Sealed], keys: Sequence[str]
) -> Iterator[int]:
    """The sequences at which the device's signature stands. One that doesn't hold is named."""
    for one in sealed:
        mine = digests.get(one.last)
        if mine is None or one.key not in keys:
            continue
        try:
            verify(one.key, signed_text(journal, one.first, one.last - one.first + 1, mine), one.sig)
        except (SignatureRefused, UnicodeEncodeError):
            found.blame(
                f"{journal}.{max(one.first, min(digests))}",
                f"its device signed other records from {one.first} to {one.last}: one or more were replaced",
            )
            continue
        yield one.last
    for sequence in digests:
        event = found.events[f"{journal}.{sequence}"]
        if event.name == "journal.head":
            through = _head(journal, event, digests, keys)
            if through is None:
                found.blame(event.id, "the signed head isn't over the records that stand before it")
            elif through:
                yield through


def _head(journal: str, event: Event, digests: Mapping[int, str], keys: Sequence[str]) -> int | None:
    """The sequence that a head proves; 0 where it is of a record that isn't here, None where it doesn't hold."""
    try:
        head = msgspec.json.decode(event.data, type=_Head)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    if head.through not in digests:
        return 0
    if not is_digest(head.head) or digests[head.through] != head.head:
        return None
    text = f"{HEAD}\n{journal}\n{head.through}\n{head.head}".encode("ascii")
    for key in keys:
        try:
            verify(key, text, head.sig)
        except SignatureRefused:
            continue
        return head.through
    return None
