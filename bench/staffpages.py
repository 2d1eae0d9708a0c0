"""Staff pages: the reference school's class sheets and gate boards while fifty are open and pupils come in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import date, datetime

import msgspec

from bench.figure import Broken, Figure, percentile
from bench.intake import Intake
from bench.taps import DEVICE, SCHOOL, Card, make_draft, open_book, uid_of
from bench.workshop import Workshop
from edge.bookreader import BookReader
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import WEEKDAYS, Timetable, Week
from hub.ports import Message
from hub.roster import RosterRow
from hub.web.server import WebServer
from protocol.batch import encode_batch
from protocol.topics import device_topic
from sim.school import CLASSES, PUPILS, make_school

SECONDS = 40.0
TAPS_A_SECOND = 5
"""Four times what the reference school's gates see on average, half of its shortest bursts."""
REACH_MS = 50.0
PAINT_REACH_MS = 300.0


def measure_staff_pages(shop: Workshop) -> list[Figure]:
    """Row 13 of the table."""
    seconds = SECONDS / 2 if shop.quick else SECONDS
    shop.say(
        f"13 staff pages: {CLASSES} class sheets and 5 gate boards open for {seconds:.0f} s, {TAPS_A_SECOND} taps/s"
    )
    room = shop.room("pages")
    journal, keys, clock = open_book(room / "book")
    intake = Intake(room / "hub", keys)
    store = intake.hub.store
    pupils = make_school(PUPILS, 1)
    store.office.take_roster(
        "bench", [RosterRow(one.key, one.name, one.school_class, uid_of(one).canonical) for one in pupils]
    )
    today = datetime.now(VIETNAM).date()
    with store.database.transaction():
        store.timetables.put(today, every_day(today), today, store.clock.now_ms(), "bench")
    web = WebServer(intake.hub._socket, store, intake.hub.status, lambda: None)
    threads = [threading.Thread(target=work, daemon=True) for work in (web.run, store.daybook.run)]
    for thread in threads:
        thread.start()
    while web.progress is None:
        time.sleep(0.05)
    store.carry_out(
        "user-add", {"name": "hieu.truong", "role": "principal", "class": None, "until": None, "shown": None}
    )
    secret = store.sessions.begin("hieu.truong", "bench", store.clock.now_ms())
    host, port = intake.hub.address
    classes = sorted({one.school_class for one in pupils})
    watching = subprocess.Popen(
        [sys.executable, "-m", "bench.pagewatch", f"http://{host}:{port}", secret or "", str(seconds), *classes],
        stdout=subprocess.PIPE,
        text=True,
    )
    newest = store.secrets.card_keys()[-1]
    cards = [Card(newest.keyed(uid_of(one)), one.key) for one in pupils]
    reader = BookReader(journal.path)
    topic, sent = device_topic(SCHOOL, DEVICE, "ev"), 0
    begun_s = time.monotonic()
    while watching.poll() is None:
        card = cards[sent % len(cards)]
        journal.append(make_draft(card, clock), "cong-a", card.keyed, "ok")
        reader.journals()
        lines = reader.lines(journal.journal, sent + 2, sent + 2)
        intake.take(Message(topic, encode_batch(keys.identity, journal.journal, sent + 2, lines), 0, 1))
        sent += 1
        time.sleep(max(0.0, begun_s + sent / TAPS_A_SECOND - time.monotonic()))
    told = json.loads(watching.communicate()[0])
    web.stop()
    store.daybook.stop()
    for thread in threads:
        thread.join(10)
    reader.close()
    journal.close()
    intake.close()
    if len(told["tap"]) < sent:
        raise Broken(f"{sent} taps were taken, the boards heard of {len(told['tap'])}")
    return [_figure(*one, told) for one in FIGURES]


FIGURES = (
    ("class sheet", "class", REACH_MS),
    ("gate board", "gate", REACH_MS),
    ("tap's record to the board's script", "tap", PAINT_REACH_MS),
)


def _figure(name: str, kind: str, reach_ms: float, told: dict[str, list[float]]) -> Figure:
    took = told[kind]
    return Figure(
        13,
        f"{name}, p95 with 50 pages open",
        percentile(took, 0.95),
        "ms",
        reach_ms,
        low=min(took),
        high=max(took),
        note=f"{len(took)} answers, p50 {percentile(took, 0.5):.1f} ms; asked by another process",
    )


def every_day(today: date) -> Timetable:
    """A timetable with lessons on whatever day the bench runs."""
    first = first_timetable(today.year, ("lower",))
    week = Week(days=dict.fromkeys(WEEKDAYS, ("am", "pm")), stays=True)
    return msgspec.structs.replace(
        first, first=date(today.year, 1, 1), last=date(today.year, 12, 31), terms=(), holidays=(), weeks=(week,)
    )
