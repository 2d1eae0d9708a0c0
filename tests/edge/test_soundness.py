"""Rows of the journal's table that don't fit its records: the file counts as damaged, and every record comes back."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from random import Random

import pytest

from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME, PAGE_BYTES
from edge.journalrows import SEQUENCE_BITS, head_text
from edge.salvage import open_journal, salvage
from protocol.envelope import decode_event, digest
from tests.edge.room import SOURCE, begin, parts, records, tap
from tests.patience import within

TAPS = 20
PRUNED = 9


def _two_runs(data: Path, *, pruned: bool = False) -> dict[str, bytes]:
    """Two runs that ended cleanly, the first one pruned through PRUNED where asked; the records that are left."""
    for _ in range(2):
        journal = begin(data)
        for _ in range(TAPS):
            tap(journal)
        journal.close()
    if pruned:
        first = records(data)[: TAPS + 2]
        name, head = decode_event(first[0]).id.partition(".")[0], digest(first[PRUNED - 1])
        signature = DeviceKeys(data, None).identity.sign(head_text(name, PRUNED, head))
        _change(
            data,
            f"UPDATE journal SET pruned_through = {PRUNED}, pruned_head = '{head}', pruned_sig = '{signature}'"
            " WHERE number = 1",
            f"DELETE FROM event WHERE position <= (1 << {SEQUENCE_BITS}) + {PRUNED}",
        )
    return {decode_event(raw).id: raw for raw in records(data)}


def _change(data: Path, *steps: str) -> None:
    database = sqlite3.connect(data / FILE_NAME, isolation_level=None)
    for step in steps:
        database.execute(step)
    database.close()


def _reopened(data: Path) -> list[str]:
    """Open as a starting gateway does; what was set aside."""
    journal, aside = open_journal(data, **parts(data))
    salvage(data, journal)
    journal.close()
    return aside


SWAPPED = (
    "CREATE TEMP TABLE two AS SELECT number, journal FROM journal",
    "UPDATE journal SET journal = 'x' || journal",
    "UPDATE journal SET journal = (SELECT journal FROM two WHERE two.number = 3 - journal.number)",
)


@pytest.mark.parametrize(
    "steps",
    [
        ("UPDATE journal SET pruned_through = 15 WHERE number = 1",),
        ("UPDATE journal SET pruned_through = 15 WHERE number = 2",),
        ("UPDATE journal SET pruned_through = 1000000 WHERE number = 1",),
        ("DELETE FROM journal WHERE number = 1",),
        ("DELETE FROM journal",),
        ("UPDATE journal SET number = 7 WHERE number = 1",),
        ("UPDATE journal SET journal = '0123456789abcdef' WHERE number = 1",),
        ("UPDATE journal SET journal = 'none' WHERE number = 1",),
        SWAPPED,
        (*SWAPPED, "UPDATE journal SET salvaged = 1"),
    ],
)
@pytest.mark.parametrize("pruned", [False, True])
def test_a_row_that_hides_records_is_damage_and_every_record_comes_back(
    tmp_path: Path, steps: tuple[str, ...], pruned: bool
) -> None:
    truth = _two_runs(tmp_path, pruned=pruned)
    _change(tmp_path, *steps)
    assert len(_reopened(tmp_path)) == 1
    held = {decode_event(raw).id: raw for raw in records(tmp_path / FILE_NAME)}
    assert truth.items() <= held.items()
    reader = sqlite3.connect(tmp_path / FILE_NAME)
    assert reader.execute("SELECT max(pruned_through) FROM journal").fetchone()[0] == 0, "nothing of it is believed"
    reader.close()
    assert _reopened(tmp_path) == [], "what came back is sound"


@pytest.mark.parametrize("first", [1, 3, TAPS + 2])
def test_records_missing_at_the_front_that_nobody_pruned_are_damage(tmp_path: Path, first: int) -> None:
    truth = _two_runs(tmp_path)
    _change(tmp_path, f"DELETE FROM event WHERE position <= (1 << {SEQUENCE_BITS}) + {first}")
    assert len(_reopened(tmp_path)) == 1
    held = {decode_event(raw).id for raw in records(tmp_path / FILE_NAME)}
    assert {name for name in list(truth)[TAPS + 2 :]} <= held


@pytest.mark.parametrize(
    "steps",
    [
        ("UPDATE journal SET pruned_sig = NULL WHERE number = 1",),
        ("UPDATE journal SET pruned_sig = substr(pruned_sig, 2) || substr(pruned_sig, 1, 1) WHERE number = 1",),
        ("UPDATE journal SET pruned_head = NULL WHERE number = 1",),
        ("UPDATE journal SET pruned_head = substr(pruned_head, 1, 42) || 'ă' WHERE number = 1",),
        (
            "UPDATE journal SET pruned_through = 12 WHERE number = 1",
            f"DELETE FROM event WHERE position <= (1 << {SEQUENCE_BITS}) + 12",
        ),
    ],
)
def test_a_checkpoint_that_the_device_did_not_sign_is_damage(tmp_path: Path, steps: tuple[str, ...]) -> None:
    _two_runs(tmp_path, pruned=True)
    _change(tmp_path, *steps)
    truth = {decode_event(raw).id: raw for raw in records(tmp_path)}
    assert len(_reopened(tmp_path)) == 1
    assert truth.items() <= {decode_event(raw).id: raw for raw in records(tmp_path / FILE_NAME)}.items()


def test_a_pruned_file_is_sound_and_stays_so_with_another_key(tmp_path: Path) -> None:
    _two_runs(tmp_path, pruned=True)
    assert _reopened(tmp_path) == []
    for name in ("keys.json", "keys-copy.json"):
        (tmp_path / name).unlink()
    assert _reopened(tmp_path) == []
    assert _reopened(tmp_path) == []


def test_a_pruned_run_whose_key_no_record_names_any_more_is_sound_with_another_key(tmp_path: Path) -> None:
    _two_runs(tmp_path, pruned=True)
    _change(
        tmp_path, f"DELETE FROM event WHERE position >> {SEQUENCE_BITS} = 2", "DELETE FROM journal WHERE number = 2"
    )
    for name in ("keys.json", "keys-copy.json"):
        (tmp_path / name).unlink()
    assert _reopened(tmp_path) == []
    assert _reopened(tmp_path) == []


def test_one_damaged_record_at_an_end_is_not_a_damaged_row(tmp_path: Path) -> None:
    _two_runs(tmp_path)
    _change(tmp_path, f"UPDATE event SET raw = x'7b7d' WHERE position = (1 << {SEQUENCE_BITS}) + 1")
    assert _reopened(tmp_path) == []


def test_a_year_of_records_is_looked_at_within_a_moment(tmp_path: Path) -> None:
    """Look-ups, not a scan: the number of steps of SQLite's machine doesn't grow with the records."""
    begin(tmp_path).close()
    raw = records(tmp_path)[0]
    database = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO event VALUES (?, ?)", (((1 << SEQUENCE_BITS) + n, raw[:20]) for n in range(3, 600_001))
    )
    database.execute("COMMIT")
    database.close()
    began_s = time.monotonic()
    journal, aside = open_journal(tmp_path, **parts(tmp_path))
    assert time.monotonic() - began_s < within(0.5) and aside == []
    journal.close()


def _leaves(content: bytes) -> list[int]:
    """The pages that hold records."""
    pages = range(1, len(content) // PAGE_BYTES)
    return [page for page in pages if content[page * PAGE_BYTES] == LEAF and SOURCE.encode() in _page(content, page)]


def _page(content: bytes, page: int) -> bytes:
    return content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]


LEAF = 13  # The first byte of a page that ends a table's tree (SQLite's file format, 1.6).


def _copied(content: bytes, pairs: list[tuple[int, int]]) -> bytes:
    """With a page's bytes over another page, for each pair: what a card does that mixes up its blocks."""
    mixed = bytearray(content)
    for source, target in pairs:
        mixed[target * PAGE_BYTES : (target + 1) * PAGE_BYTES] = _page(content, source)
    return bytes(mixed)


def test_pages_that_a_card_mixed_up_neither_end_the_start_nor_hold_it_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _two_runs(data)
    _two_runs(data)
    content = (data / FILE_NAME).read_bytes()
    leaves = _leaves(content)
    assert len(leaves) > 10
    mixes = [[(one, other)] for one in leaves[::2] for other in leaves if one != other]
    # Tree pages out of order answer a look-up with what lies before it, so that a walk would never end.
    last, rng = len(leaves) - 1, Random(1)
    mixes += [[(leaves[1], leaves[last - 3]), (leaves[1], leaves[last - 2]), (leaves[5], leaves[last - 3])]]
    mixes += [[(rng.choice(leaves), rng.choice(leaves)) for _ in range(3)] for _ in range(60)]
    aside = 0
    for mix in mixes:
        for path in data.glob("*journal*"):
            path.unlink()
        for path in data.glob("salvaged-*"):
            path.unlink()
        (data / FILE_NAME).write_bytes(_copied(content, mix))
        aside += len(_reopened(data))
    assert aside > len(mixes) / 10
