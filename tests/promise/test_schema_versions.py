"""A file of every schema version that was ever shipped opens, twice, with all that was in it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.journalfile import FILE_NAME as JOURNAL
from edge.journalfile import schema_steps
from edge.verify import VALID, verify_path
from hub.parts import FILE_NAME as LEDGER
from hub.store.database import SCHEMA
from tests.edge.room import begin, records, tap
from tests.hub.room import HubRoom

FIXTURES = Path(__file__).parents[1] / "fixtures"
SETTINGS = "SELECT name, value FROM settings WHERE name <> 'own_journal' ORDER BY name"
"""All but which run was the last one."""
LEDGER_STEPS = len(list(SCHEMA.glob("[0-9][0-9][0-9].sql")))


def version_of(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_every_shipped_version_has_its_file() -> None:
    for name, steps in (("journal", len(schema_steps())), ("ledger", LEDGER_STEPS)):
        for version in range(1, steps + 1):
            assert (FIXTURES / f"{name}-{version}.db").exists(), "run tests/fixtures/schemas.py"


@pytest.mark.parametrize("version", range(1, len(schema_steps()) + 1))
def test_a_journal_of_this_version_opens_twice_with_its_records(version: int, tmp_path: Path) -> None:
    file = tmp_path / JOURNAL
    shutil.copyfile(FIXTURES / f"journal-{version}.db", file)
    assert version_of(file) == version
    before = records(file)
    assert len(before) > 20
    for _ in range(2):
        journal = begin(tmp_path)
        tap(journal)
        journal.close()
        assert records(file)[: len(before)] == before
    assert version_of(file) == len(schema_steps())
    assert verify_path(tmp_path, None).exit_code == VALID


@pytest.mark.parametrize("version", range(1, LEDGER_STEPS + 1))
def test_a_ledger_of_this_version_opens_twice_with_its_records(version: int, tmp_path: Path) -> None:
    file = tmp_path / LEDGER
    shutil.copyfile(FIXTURES / f"ledger-{version}.db", file)
    assert version_of(file) == version
    kept = "SELECT position, journal, sequence, digest, raw, received_ms FROM events ORDER BY position"
    with closing(sqlite3.connect(file)) as database:
        before = database.execute(kept).fetchall()
        settings = database.execute(SETTINGS).fetchall()
        pending = database.execute("SELECT count(*) FROM pending_batches").fetchone()[0]
    assert len(before) > 20 and pending == 1
    for _ in range(2):
        room = HubRoom(tmp_path)
        assert {device.device: device.standing for device in room.store.devices.all()} == {
            "cong": "accepted",
            "la": "pending",
        }
        room.close()
        with closing(sqlite3.connect(file)) as database:
            assert database.execute(kept).fetchall()[: len(before)] == before
            assert database.execute(SETTINGS).fetchall() == settings
            assert database.execute("SELECT count(*) FROM pending_batches").fetchone()[0] == pending
    assert version_of(file) == LEDGER_STEPS


def test_a_roster_of_before_there_were_records_of_cards_stays_with_its_pupils_and_cards(tmp_path: Path) -> None:
    file = tmp_path / LEDGER
    shutil.copyfile(FIXTURES / "ledger-3.db", file)
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executemany(
            "INSERT INTO roster_rows (pupil_key, display_name, class, card) VALUES (?, ?, ?, ?)",
            [
                ("st-1", "Nguyễn An", "1A", "a:04A1B2C3D4E581"),
                ("st-1", "Nguyễn An", "1A", "a:04A1B2C3D4E582"),
                ("st-2", "Lê Bé", "1B", None),
            ],
        )
    for _ in range(2):
        room = HubRoom(tmp_path)
        found = [(row.pupil_key, row.display_name, row.school_class, row.card) for row in room.store.releases.rows()]
        room.store.daybook.anew()
        again = [(row.pupil_key, row.display_name, row.school_class, row.card) for row in room.store.releases.rows()]
        room.close()
        assert (
            found
            == again
            == [
                ("st-1", "Nguyễn An", "1A", "a:04A1B2C3D4E581"),
                ("st-1", "Nguyễn An", "1A", "a:04A1B2C3D4E582"),
                ("st-2", "Lê Bé", "1B", None),
            ]
        )
