"""Packing: records, facts and signatures put together as a pack's files, with what was counted and a signed manifest.

Pure: the same values make the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from hub.meals.portions import MEAL_RULES
from hub.recount.counting import Count, count
from hub.recount.facts import Facts, facts_bytes
from hub.recount.manifest import (
    FACTS,
    FORM,
    INDEX,
    LINES,
    READ_ME,
    RECORDS,
    SIGNED,
    Extent,
    Manifest,
    listed,
    signed_manifest,
)
from hub.recount.records import Records, Sealed, index_bytes, read_records, signatures_bytes
from hub.recount.verdict import counted_files, counts_of
from protocol.envelope import digest
from protocol.signing import Identity

TOLD: Final = """k12edge: hồ sơ kiểm toán bữa ăn bán trú / audit pack of school meals

k12edge verify FILE.zip --hub-key KEY

records/*.jsonl   bản ghi nguyên gốc, mỗi dòng một bản ghi / exact records, a line each
signatures.json   chữ ký của thiết bị trên từng lô / the devices' signatures over batches
index.json        mã băm bản ghi của máy chủ trường / digests of the hub's own records
facts.json        giờ ăn, lớp, thẻ: chỉ mã số, không tên / plans, classes, cards: keys only, no names
counted/          kết quả máy chủ đã đếm / what the hub counted
manifest.json     danh sách tệp và mã băm, có chữ ký / every file's SHA-256, signed
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """A journal's records for a pack. `sealed`: the signatures over its batches; empty for the hub's `own`.

    Packing takes the `rows` out: a school's month of records stands in memory once then, and not twice.
    """

    source: str
    first: int
    last: int
    rows: list[tuple[int, bytes]]
    sealed: Sequence[Sealed] = ()
    own: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """A pack's files by name; and what they were made of, for whoever judges them at once."""

    contents: dict[str, bytes]
    facts: Facts
    records: Records
    recount: Count


def _as_counted(recount: Count) -> Count:
    return recount


def packed(
    identity: Identity,
    hub: str,
    by: str,
    facts: Facts,
    volumes: Mapping[str, Volume],
    counted: Callable[[Count], Count] = _as_counted,
) -> Packed:
    """The pack. `counted`: from what the records come to, what the hub says was counted. Raises BadMessage."""
    files = {READ_ME: TOLD.encode(), FACTS: facts_bytes(facts)}
    sealed = {journal: list(one.sealed) for journal, one in volumes.items() if not one.own}
    index = {
        journal: {str(sequence): digest(raw) for sequence, raw in one.rows}
        for journal, one in volumes.items()
        if one.own
    }
    files |= {SIGNED: signatures_bytes(sealed), INDEX: index_bytes(index)}
    extents = {}
    for journal, one in volumes.items():
        files[f"{RECORDS}{journal}{LINES}"] = b"".join(raw + b"\n" for _, raw in one.rows)
        missing = [] if one.own else _holes(one.first, one.last, [sequence for sequence, _ in one.rows])
        extents[journal] = Extent(one.source, one.first, one.last, one.own, missing)
        one.rows.clear()
    records = read_records(files, extents, facts.keys, told=False)
    for journal, unsigned in records.unsigned.items():
        extents[journal] = msgspec.structs.replace(extents[journal], unsigned=unsigned)
    recount = count(facts, records.events)
    mine = counted(recount)
    files |= counted_files(mine)
    lists = {name: listed(octets) for name, octets in files.items()}
    numbers = counts_of(mine, len(records.events))
    manifest = Manifest(FORM, facts.school, hub, identity.key, facts.month, MEAL_RULES, by, extents, numbers, lists)
    return Packed(files | signed_manifest(identity, manifest), facts, records, recount)


def _holes(first: int, last: int, there: Sequence[int]) -> list[tuple[int, int]]:
    """What is missing of a span."""
    found, at = [], first
    for sequence in [*there, last + 1]:
        if sequence > at:
            found.append((at, sequence - 1))
        at = sequence + 1
    return found
