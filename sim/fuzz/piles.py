"""The incident pack of a hostile journal: whatever a counter's file holds, a list comes of it, and nothing ends."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from edge.journalfile import open_for_writing
from edge.journalrows import SEQUENCE_BITS
from edge.pile import Pile, pile_of
from hub.incidents.files import files_of
from hub.incidents.journals import Found, Volume, known_of
from hub.incidents.pack import Pack, incident_pack
from hub.incidents.tables import Issue
from hub.incidents.versions import difference, kept_of, packed, unpacked
from hub.meals.sittings import DAY_MS, midnight_of
from sim.fuzz.messages import JOURNALS, SOURCE, example, lines
from sim.fuzz.mutator import Mutator, sound_json
from sim.fuzz.parser import Parser, must

DAY: Final = date(2026, 11, 23)
"""The day of the published examples."""
KINDS: Final = ("meal.pickup", "meal.referred", "meal.pickup", "meal.correction", "device.watermark", "attendance.tap")


def _renamed(raw: bytes, sequence: int) -> bytes:
    """A published example as record `sequence` of the journal."""
    event = msgspec.json.decode(raw)
    event |= {"id": f"{JOURNALS[0]}.{sequence}", "sequence": f"{sequence:012d}", "source": SOURCE}
    event["prev"] = event["prev"] or "A" * 43
    return msgspec.json.encode(event)


class Piles(Parser):
    """`pile`: a journal whose records are hostile, made into a pack and its CSV."""

    name = "pile"
    refusals = ()
    every = 50
    cpu_ms_max = 400.0
    share = 20

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        first = lines(JOURNALS[0])[:3]
        self._records = [*first, *(_renamed(example(kind), place) for place, kind in enumerate(KINDS, len(first) + 1))]
        self._mutator = Mutator([sound_json(raw) for raw in self._records])
        self._empty = folder / "empty.db"
        open_for_writing(self._empty).close()

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        records = list(self._records)
        for _ in range(1 + int(rng.random() * 3)):
            records[int(rng.random() * len(records))] = self._mutator.mutated(rng)
        return b"\0\n".join(records)

    def take(self, octets: bytes) -> Pack:
        """See Parser."""
        path = self.folder / "journal.db"
        shutil.copyfile(self._empty, path)
        database = open_for_writing(path)
        database.execute("INSERT INTO journal (number, journal, boot) VALUES (1, ?, '7d3e0c2a')", (JOURNALS[0],))
        records = octets.split(b"\0\n")
        database.executemany(
            "INSERT INTO event (position, raw) VALUES (?, ?)",
            [(1 << SEQUENCE_BITS | place, raw) for place, raw in enumerate(records, 1)],
        )
        database.close()
        pile = pile_of([path], midnight_of(DAY), midnight_of(DAY) + DAY_MS)
        pack = incident_pack(known_of(_found(pile), [(DAY, "lunch")]))
        must(sum(bool(line.record) for line in pack.lines) <= 2 * len(records), "more lines than records")
        must(not pack.complete, "a journal without a list of counters is called complete")
        return pack

    def follow(self, octets: bytes, taken: Pack) -> None:
        """What was said is remembered, differs from nothing, and can be written."""
        kept = kept_of(taken)
        must(unpacked(packed(kept)) == kept and not difference(kept, kept), "what a pack said reads otherwise again")
        (table,) = files_of(taken, Issue(1, "-", 0, "-"), "su-co", forms=("csv",))
        must(table.octets.count(b"\n") > len(taken.lines), "a line is missing in the CSV")


def _found(pile: Pile) -> Found:
    volumes = [
        Volume(
            book.journal,
            book.source,
            book.held.last if book.held else book.pruned_through,
            book.near,
            book.pruned_through,
            tuple(book.holes()),
            book.before,
            book.opened,
            book.newest,
        )
        for book in pile.books.values()
    ]
    return Found(volumes, pile.timelines, [(one.where, one.code, one.about) for one in pile.faults])
