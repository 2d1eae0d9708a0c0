"""Taps for the bench: drafts as a station makes them, and journals filled with them by the real journal."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME
from protocol.cards import CardKey, CardUid
from protocol.envelope import clock_data
from protocol.taps import Draft, TapData
from protocol.topics import device_source
from sim.road import SCHOOL
from sim.school import Pupil, make_school

DEVICE = "gate-a1"
ROSTER = "r-20261122T180011Z-8812"
PUPILS = 1763
WRITERS = 48
"""Threads that fill a journal: they share its commits, so that 100,000 taps take seconds."""
KEY = CardKey(1, bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Card:
    """A pupil's card as a gate's roster knows it."""

    keyed: str
    student: str


def make_cards(seed: int = 1) -> list[Card]:
    """The cards of the reference school."""
    return [Card(KEY.keyed(uid_of(pupil)), pupil.key) for pupil in make_school(PUPILS, seed)]


def uid_of(pupil: Pupil) -> CardUid:
    """The number that a reader sees."""
    return CardUid.from_bytes("a", pupil.uid)


def make_draft(card: Card, clock: SystemClock) -> Draft:
    """An accepted tap at a gate, now."""
    reading = clock.read()
    data = TapData(
        kind="gate",
        point="cong-a",
        dir="in",
        card=card.keyed,
        student=card.student,
        decision="accepted",
        reason=None,
        signal="ok",
        roster=ROSTER,
        clock=clock_data(reading),
    )
    return Draft("attendance.tap", reading.best_ms, data, f"student/{card.student}")


def make_clock() -> SystemClock:
    """A gateway's clock whose error a person declared, so that every record carries a bound."""
    return SystemClock("declared", 1000)


def open_book(folder: Path, device: str = DEVICE) -> tuple[SqliteJournal, DeviceKeys, SystemClock]:
    """A gateway's journal in `folder`, opened as the gateway opens it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys, clock = DeviceKeys(folder, None), make_clock()
    journal = SqliteJournal(
        folder / FILE_NAME,
        journal=secrets.token_hex(8),
        source=device_source(SCHOOL, device),
        identity=keys.identity,
        clock=clock,
        version="bench",
    )
    return journal, keys, clock


def fill(journal: SqliteJournal, clock: SystemClock, count: int, cards: Sequence[Card], seed: int = 1) -> None:
    """Append `count` taps by many threads at once, with a signed head every thousand, as the gateway does."""
    rng = Random(seed)
    each = [count // WRITERS + (number < count % WRITERS) for number in range(WRITERS)]
    failures: list[BaseException] = []

    def write(taps: int, chosen: list[Card]) -> None:
        try:
            for number in range(taps):
                card = chosen[number % len(chosen)]
                journal.append(make_draft(card, clock), "cong-a", card.keyed, "accepted")
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=write, args=(taps, rng.sample(cards, 40))) for taps in each]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if journal.head_due():
            journal.sign_head()
        threading.Event().wait(0.01)
    if failures:
        raise failures[0]
