"""Storage: bytes a tap in the gateway's file, and its size over rounds of filling, receipts and pruning."""

from __future__ import annotations

from pathlib import Path
from random import Random

from bench.figure import Broken, Figure
from bench.taps import fill, open_book
from bench.workshop import Workshop
from edge.bookreader import BookReader
from edge.journal import SqliteJournal
from edge.pruning import plan, prune
from edge.uplink import Uplink
from protocol.receipts import JournalMarks, Mark, Receipt

ROUNDS = 6
TAPS_A_ROUND = 15_000
DAY_MS = 86_400_000
EPOCH = "0123456789abcdef"
GROWTH_MAX = 1.02
"""Between the largest and the first round; a page more or less is not growth."""


def measure_storage(shop: Workshop) -> list[Figure]:
    """Row 8 of the table."""
    shop.say("8 storage: rounds of filling, receipts and pruning")
    room = shop.room("storage")
    journal, keys, clock = open_book(room)
    reader = BookReader(journal.path)
    uplink = Uplink(Random(1))
    for row in reader.journals():
        uplink.add_journal(row.journal, row.last, row.pruned_through + 1, row.hub, row.city, running=True)
    uplink.connected(0, ready=True, epoch=EPOCH)
    taps = TAPS_A_ROUND // 3 if shop.quick else TAPS_A_ROUND
    sizes: list[int] = []
    a_tap = 0.0
    for number in range(shop.rounds(ROUNDS)):
        before = journal.last
        fill(journal, clock, taps, shop.cards, seed=number)
        journal.checkpoint(truncate=True)
        sizes.append(_size(room))
        if number == 0:
            a_tap = sizes[0] / (journal.last - before)
        _settle(journal, reader, uplink)
        cuts = plan(reader, uplink, journal.journal, clock.read().best_ms + DAY_MS)
        removed = prune(journal, keys.identity, uplink, cuts, reader)
        # The running journal keeps its last record.
        if removed < journal.last - before - 1:
            raise Broken(f"{removed} of {journal.last - before} records were pruned")
        journal.checkpoint(truncate=True)
    reader.close()
    journal.close()
    shown = ", ".join(f"{size / 2**20:.1f}" for size in sizes)
    return [
        Figure(8, "bytes a tap in the file", a_tap, "B", 1000, note=f"{taps:,} taps, heads and all pages included"),
        Figure(
            8,
            "size after pruning: largest round / first",
            max(sizes) / sizes[0],
            "x",
            GROWTH_MAX,
            beside=f"MiB when full: {shown}",
            note=f"{len(sizes)} rounds of {taps:,} taps, each held by the city and pruned",
        ),
    ]


def _settle(journal: SqliteJournal, reader: BookReader, uplink: Uplink) -> None:
    """The hub's receipt: it and the city hold everything."""
    uplink.wrote(journal.journal, journal.last, 0, tap=False)
    mark = Mark(journal.last, journal.head)
    heard = uplink.receipt(Receipt(EPOCH, {journal.journal: JournalMarks(mark, mark)}, None), reader.digest_at, 0)
    if heard.alarms:
        raise Broken(f"the receipt was refused: {heard.alarms}")
    for change in heard.settled:
        journal.settle(change.journal, change.hub, change.city)


def _size(folder: Path) -> int:
    """Database, log and index of the log."""
    return sum(path.stat().st_size for path in folder.glob("journal.db*"))
