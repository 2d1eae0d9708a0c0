"""The school year: marks of a day from raw taps, a whole year made again from the records, a hub that holds it."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from datetime import date, timedelta
from pathlib import Path
from random import Random
from statistics import median

from bench.chain import School
from bench.figure import Broken, Figure
from bench.footprint import rss_mib
from bench.taps import DEVICE, PUPILS, SCHOOL, uid_of
from bench.workshop import Workshop
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.timetable import calendar_of
from hub.config import load_hub_config
from hub.days.classbook import midnight_ms
from hub.parts import Store
from hub.roster import RosterRow
from hub.store.ledger import Row
from protocol.envelope import clock_data, decode_event, digest_bytes, encode_event, text_of
from protocol.records import JournalOpened, PreviousJournal
from protocol.taps import ClockReading, Draft, TapData, TapId
from protocol.topics import device_source
from sim.school import Pupil, make_school

YEAR_DAYS, MONTH_DAYS, QUICK_DAYS = 190, 20, 8
"""School days: 190 of 5,289 taps are a million."""
FIRST = date(2026, 9, 7)
WINDOWS = ((6 * 60 + 30, 60, "in"), (13 * 60, 25, "in"), (16 * 60 + 20, 40, "out"))
"""When pupils tap: minutes of the day from, how many, which way."""
GROUP = 500
MARKS_REACH_MS, YEAR_REACH_S, RSS_REACH_MIB, GROWTH_REACH = 150.0, 60.0, 150.0, 1.25
MARKS_ROUNDS = 9
WEIGHED = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(ended.returncode)
"""
"""Runs a command and says at last how many KiB it held at most, from a small process: what a process was before it
became the command counts as its own (getrusage(2)), and this one has grown."""


def measure_school_year(shop: Workshop) -> list[Figure]:
    """Row 14 of the table."""
    days = QUICK_DAYS if shop.quick else YEAR_DAYS
    shop.say(f"14 a school year: {days} days of {PUPILS:,} pupils, marks and their recompute")
    school = School(shop.room("year"))
    weekdays = [day for n in range(2 * days) if (day := FIRST + timedelta(days=n)).weekday() < 5]
    school_days = [day for day in weekdays if lessons_on(day)][:days]
    taps = _live(school.hub_config, school_days)
    marks_ms = _marks(school.hub_config, school_days[-1])
    month_s, month_mib = _recomputed(school.hub_config, school_days[:1])
    year_s, year_mib = _recomputed(school.hub_config, school_days)
    rss = _held(school)
    scaled_s = year_s * YEAR_DAYS / days
    note = f"{taps:,} taps" + ("" if days == YEAR_DAYS else f", {year_s:.1f} s of {days} days, scaled")
    return [
        Figure(14, "marks of a day from its taps", median(marks_ms), "ms", MARKS_REACH_MS, low=min(marks_ms),
               high=max(marks_ms), note=f"{PUPILS:,} pupils, two half-days"),
        Figure(14, "a year made again from the records", scaled_s, "s", YEAR_REACH_S, note=note),
        Figure(14, "its memory, beside a single day's", year_mib / month_mib, "x", GROWTH_REACH,
               note=f"{year_mib:.0f} MiB at most, a day {month_mib:.0f} MiB in {month_s:.1f} s"),
        Figure(14, "a hub that holds it, RSS", rss, "MiB", RSS_REACH_MIB, note="after pages, marks and who is on site"),
    ]  # fmt: skip


def lessons_on(day: date) -> bool:
    """Whether the timetable that a new hub has knows lessons on a day: no holiday."""
    return any(calendar_of({date.min: first_timetable(FIRST.year)}, [day], ["1/1"]))


def _live(config: Path, days: list[date]) -> int:
    """Fill a hub's ledger: a journal a day, each tap's record as a gateway writes it; how many taps."""
    pupils = make_school(PUPILS, 1)
    plan = load_hub_config(config)
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(plan)
    try:
        rows = [RosterRow(one.key, one.name, one.school_class, uid_of(one).canonical) for one in pupils]
        store.office.take_roster("bench", rows)
        store.carry_out("devices-accept", {"device": DEVICE, "fingerprint": None})
        key = store.secrets.card_keys()[-1]
        cards = {one.key: key.keyed(uid_of(one)) for one in pupils}
        rng, count, before = Random(1), 0, None
        for day in days:
            before = _day(store, day, pupils, cards, rng, before)
            count += before.last - 1
        while store.daybook.catch_up(GROUP) or store.daybook.attribute(GROUP):
            pass
    finally:
        store.database.close()
    return count


def _day(
    store: Store,
    day: date,
    pupils: tuple[Pupil, ...],
    cards: dict[str, str],
    rng: Random,
    before: PreviousJournal | None,
) -> PreviousJournal:
    """A gate's journal of a day, switched on at midnight, after the one before; what the next one says of it."""
    source, boot = device_source(SCHOOL, DEVICE), secrets.token_hex(4)
    begin_ms = midnight_ms(day)
    taps = sorted(
        (begin_ms + first * 60_000 + rng.randrange(width * 60_000), one.key, way)
        for one in pupils
        for first, width, way in WINDOWS
    )
    with store.database.transaction():
        book = store.ledger.books.add(secrets.token_hex(8), source, DEVICE)
    clock = clock_data(ClockReading(boot, 0, begin_ms, begin_ms, "ntp", 15))
    opened = JournalOpened(book.journal, before, store.secrets.identity().key, "0", clock)
    drafts = [Draft("journal.opened", begin_ms, opened)]
    for at_ms, student, way in taps:
        clock = clock_data(ClockReading(boot, at_ms - begin_ms, at_ms, at_ms, "ntp", 15))
        data = TapData("gate", "cong-a", way, cards[student], student, "accepted", None, "ok", "r-1", clock)
        drafts.append(Draft("attendance.tap", at_ms, data))
    head, rows = None, []
    for sequence, draft in enumerate(drafts, 1):
        raw = encode_event(
            TapId(book.journal, sequence), source=source, kind=draft.kind, time_ms=draft.time_ms,
            recorded_ms=draft.time_ms, prev=head, data=draft.data,
        )  # fmt: skip
        found = digest_bytes(raw)
        head = text_of(found)
        rows.append(Row(sequence, raw, found))
    for begin in range(0, len(rows), GROUP):
        some = rows[begin : begin + GROUP]
        with store.database.transaction():
            store.ledger.store(book, some, begin_ms)
            store.anchors.learn(source, [decode_event(row.raw) for row in some])
    return PreviousJournal(book.journal, len(rows), head)


def _marks(config: Path, day: date) -> list[float]:
    store = Store(load_hub_config(config))
    try:
        took = []
        for _ in range(MARKS_ROUNDS):
            began_s = time.perf_counter()
            marked = store.classbook.marks(day)
            took.append((time.perf_counter() - began_s) * 1000)
            if len(marked) < PUPILS:
                raise Broken(f"{len(marked)} marks of {PUPILS} pupils")
    finally:
        store.database.close()
    return took


def _recomputed(config: Path, days: list[date]) -> tuple[float, float]:
    """`hub recompute --from-records` as a command: seconds, and the most memory that it held in MiB."""
    words = ["--day", days[0].isoformat(), "--to", days[-1].isoformat(), "--from-records", "--json"]
    command = [sys.executable, "-m", "k12edge", "hub", "recompute", *words, "--config", str(config)]
    began_s = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", WEIGHED, *command], capture_output=True, check=False)
    took_s = time.perf_counter() - began_s
    if ended.returncode:
        raise Broken(f"hub recompute ended with {ended.returncode}: {ended.stderr.decode('utf-8', 'replace')[-300:]}")
    told = json.loads(ended.stdout)
    if len(told) != len(days):
        raise Broken(f"hub recompute told {len(told)} of {len(days)} days")
    return took_s, int(ended.stderr.split()[-1]) / 1024


def _held(school: School) -> float:
    """The memory of a hub on that ledger, in MiB, after it was asked for a day."""
    school.hub.start()
    try:
        token = school.command("token", "add", "--role", "principal", "--name", "bench").split()[-1]
        for path in ("/v1/marks?day=2026-10-01", "/v1/onsite", "/v1/status"):
            asked = urllib.request.Request(school.hub_url + path, headers={"authorization": f"Bearer {token}"})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                answer.read()
        assert school.hub.process is not None
        return rss_mib(school.hub.process.pid)
    finally:
        school.hub.stop()
