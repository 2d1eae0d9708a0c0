"""Journals changed by hand before they reach the hub: verify and the hub find it and name the first bad record."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.parts import until
from sim.road import Road

TAPS, BAD = 40, 20
Tamper = Callable[[sqlite3.Connection, list[tuple[int, bytes]]], None]


def _bit(database: sqlite3.Connection, rows: list[tuple[int, bytes]]) -> None:
    position, raw = rows[BAD - 1]
    at = raw.index(b'"card":"hk0:') + 14
    changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    database.execute("UPDATE event SET raw = ? WHERE position = ?", (changed, position))


def _dropped(database: sqlite3.Connection, rows: list[tuple[int, bytes]]) -> None:
    database.execute("DELETE FROM event WHERE position = ?", (rows[BAD - 1][0],))


def _inserted(database: sqlite3.Connection, rows: list[tuple[int, bytes]]) -> None:
    for position, _ in reversed(rows[BAD - 1 :]):
        database.execute("UPDATE event SET position = position + 1 WHERE position = ?", (position,))
    database.execute("INSERT INTO event VALUES (?, ?)", rows[BAD - 1][:1] + rows[5][1:])


def _reordered(database: sqlite3.Connection, rows: list[tuple[int, bytes]]) -> None:
    (first, first_raw), (second, second_raw) = rows[BAD - 1 : BAD + 1]
    database.execute("UPDATE event SET raw = ? WHERE position = ?", (second_raw, first))
    database.execute("UPDATE event SET raw = ? WHERE position = ?", (first_raw, second))


TAMPERS: dict[str, Tamper] = {"bit": _bit, "dropped": _dropped, "inserted": _inserted, "reordered": _reordered}
WITNESSED = ("cut", "older")


class School:
    """One hub, and a gateway for each way of tampering."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.road = folder, Road(folder)
        self.bad: dict[str, str] = {}
        rng = random.Random(4)
        for name in (*TAMPERS, *WITNESSED):
            cards = (f"a:04{rng.randbytes(6).hex().upper()}" for _ in range(TAPS))
            self.queue(name).write_text("".join(f"3 {card} 15\n" for card in cards), encoding="ascii")
            self.road.add_gateway(name, {"cong": ("gate", f"replay:{self.queue(name)}")})

    def queue(self, name: str) -> Path:
        return self.folder / f"{name}.queue.txt"

    def file(self, name: str) -> Path:
        return self.folder / name / "journal.db"

    def tap(self) -> None:
        """Everybody taps at all gateways; then they are stopped, and have nobody left to read."""
        for part in self.road.gateways.values():
            part.start()
        for name, part in self.road.gateways.items():
            until(
                lambda name=name: self.road.answered(name) >= TAPS,
                f"{name}: not everybody was signalled",
                also=part.check,
            )
        for name in self.road.gateways:
            assert self.road.gateways[name].stop() == 0
            self.queue(name).write_text("# everybody has tapped\n", encoding="ascii")

    def tamper(self) -> None:
        for name, tamper in TAMPERS.items():
            with sqlite3.connect(self.file(name)) as database:
                rows = database.execute("SELECT position, raw FROM event ORDER BY position").fetchall()
                self.bad[name] = json.loads(rows[BAD - 1][1])["id"]
                tamper(database, rows)
            database.close()

    def status(self) -> Any:
        return self.road.status()

    def named(self) -> set[str]:
        """What the hub names: parked records and the beginnings of holes."""
        state = self.status()
        with urllib.request.urlopen(f"{self.road.hub_url}/v1/parked", timeout=10) as answer:
            parked = {item["name"] for item in json.load(answer)["items"]}
        holes = {f"{hole['journal']}.{hole['first']}" for device in state["devices"] for hole in device["holes"]}
        return parked | holes


def verify(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "k12edge", "verify", *words], capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    made = School(tmp_path_factory.mktemp("tampered"))
    try:
        made.tap()
        for name in WITNESSED:
            shutil.copytree(made.folder / name, made.folder / f"{name}.copy")
        made.tamper()
        made.road.city.start()
        made.road.hub.start()
        made.road.accept()
        for part in made.road.gateways.values():
            part.start()
        yield made
    finally:
        ends = made.road.stop()
    assert ends == dict.fromkeys(ends, 0)


@pytest.mark.parametrize("name", TAMPERS)
def test_verify_names_the_first_bad_record(school: School, name: str) -> None:
    done = verify(str(school.folder / name))
    assert done.returncode == 1
    assert f"BAD {school.bad[name]}:" in done.stdout


@pytest.mark.parametrize("name", TAMPERS)
def test_the_hub_names_the_first_bad_record_on_arrival(school: School, name: str) -> None:
    journal, _, sequence = school.bad[name].partition(".")
    earlier = {f"{journal}.{number}" for number in range(1, int(sequence))}

    def first() -> bool:
        # Newest records go first: until the backlog is in, its beginning is a hole too.
        named = school.named()
        return school.bad[name] in named and not earlier & named

    until(first, f"{school.bad[name]} is not named as the first", also=school.road.check)


def test_what_is_whole_arrives_beside_what_is_not(school: School) -> None:
    def counted() -> dict[str, int]:
        return {device["device"]: device["records"] for device in school.status()["devices"]}

    whole = TAPS + 2  # the taps, and what opened and closed the journal
    expected = {"bit": whole - 1, "dropped": whole - 1, "reordered": whole - 2, "inserted": BAD - 1, "cut": whole}
    until(
        lambda: all(counted().get(name, 0) >= least for name, least in expected.items()),
        "what is whole does not arrive",
        also=school.road.check,
    )


@pytest.mark.parametrize("name", WITNESSED)
def test_a_missing_end_is_found_with_the_hub_as_witness(school: School, name: str) -> None:
    # The whole first run, and the beginning of the next one.
    until(
        lambda: {d["device"]: d["records"] for d in school.status()["devices"]}.get(name, 0) > TAPS + 2,
        f"{name} does not arrive",
        also=school.road.check,
    )
    folder = school.folder / f"{name}.copy"
    if name == "cut":
        with sqlite3.connect(folder / "journal.db") as database:
            last, raw = database.execute("SELECT position, raw FROM event ORDER BY position DESC LIMIT 1").fetchone()
            database.execute("DELETE FROM event WHERE position = ?", (last,))
        database.close()
        missing = json.loads(raw)["id"]
    else:
        newest = school.file(name)
        with sqlite3.connect(f"file:{newest}?mode=ro", uri=True) as database:
            query = "SELECT raw FROM event ORDER BY position LIMIT 1 OFFSET ?"
            missing = json.loads(database.execute(query, (TAPS + 2,)).fetchone()[0])["id"]
        database.close()
    alone = verify(str(folder))
    assert "later records can't be excluded" in alone.stdout
    witnessed = verify(str(folder), "--witness", school.road.hub_url)
    assert witnessed.returncode == 1, witnessed.stdout + witnessed.stderr
    assert f"BAD {missing}:" in witnessed.stdout, witnessed.stdout
