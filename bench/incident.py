"""The incident pack: the reference school's lunch at four counters as PDF, CSV and Excel, by hub and by journals."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.chain import School
from bench.figure import Broken, Figure
from bench.schoolyear import WEIGHED
from bench.taps import PUPILS, SCHOOL, uid_of
from bench.workshop import Workshop
from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME, open_for_writing
from edge.journalrows import SEQUENCE_BITS
from edge.sheetbeside import FILE_NAME as SHEET
from hub.config import load_hub_config
from hub.days.classbook import midnight_ms
from hub.parts import Store
from hub.roster import RosterRow
from hub.store.ledger import Row
from protocol.countersheet import CounterSheet, Eater, MealPlan, SealedSheet, Shift, pack_sheet
from protocol.envelope import clock_data, decode_event, digest_bytes, encode_event, rfc3339, text_of
from protocol.meals import MealTap
from protocol.records import DeviceWatermark, JournalOpened
from protocol.signing import Identity, seal, sign_message
from protocol.taps import ClockReading, Draft, TapData, TapId
from protocol.topics import device_source, device_topic
from sim.school import Pupil, make_school

ROW: Final = 20
DAY: Final = date(2026, 11, 23)
COUNTERS: Final = ("quay-a", "quay-b", "quay-c", "quay-d")
ROUNDS: Final = 5
REACH_S, REACH_MIB = 5.0, 200.0
OPENS_MS: Final = (10 * 60 + 30) * 60_000
SECOND_EVERY: Final = 9
"""So many pupils come once more."""
HUB: Final = Identity(bytes(range(32)), bytes(range(32, 64)))


def measure_incident(shop: Workshop) -> list[Figure]:
    """Row 20 of the table: the whole command each time, its start included."""
    shop.say(f"20 incident packs of {PUPILS:,} pupils, from the hub and from the journals")
    school, pupils = School(shop.room("incident")), make_school(PUPILS, 1)
    plan = load_hub_config(school.hub_config)
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(plan)
    try:
        rows = [RosterRow(one.key, one.name, one.school_class, uid_of(one).canonical) for one in pupils]
        store.office.take_roster("bench", rows)
        key = store.secrets.card_keys()[-1]
        cards = {one.key: key.keyed(uid_of(one)) for one in pupils}
        journals = [_journal(place, device, pupils, cards) for place, device in enumerate(COUNTERS)]
        for device, (name, lines) in zip(COUNTERS, journals, strict=True):
            _into_ledger(store, device, name, lines)
        while store.daybook.catch_up(500) or store.daybook.attribute(500):
            pass
    finally:
        store.database.close()
    folders = []
    for device, (name, lines) in zip(COUNTERS, journals, strict=True):
        folders.append(shop.room(device))
        _into_file(folders[-1], device, name, lines, pupils)
    words = ["--meal", "lunch", "--date", DAY.isoformat()]
    by_hub = ["hub", "incident", "--config", str(school.hub_config), *words]
    alone = ["incident", "--journals", *map(str, folders), *words]
    return [*_measured(shop, "hub", by_hub), *_measured(shop, "journals", alone)]


def _measured(shop: Workshop, name: str, words: list[str]) -> list[Figure]:
    took_s, mib, size, before_s = [], 0.0, 0, _spent_s()
    for _ in range(shop.rounds(ROUNDS)):
        out = shop.room("packs")
        command = [sys.executable, "-m", "k12edge", *words, "--out", str(out)]
        began_s = time.perf_counter()
        ended = subprocess.run([sys.executable, "-c", WEIGHED, *command], capture_output=True, check=False)
        took_s.append(time.perf_counter() - began_s)
        if ended.returncode:
            raise Broken(f"{name}: ended with {ended.returncode}: {ended.stderr.decode('utf-8', 'replace')[-300:]}")
        mib = max(mib, int(ended.stderr.split()[-1]) / 1024)
        told = ended.stdout.decode()
        size = sum(path.stat().st_size for path in out.iterdir())
        if f"{PUPILS} " not in told or len(list(out.glob("*.pdf"))) != 1:
            raise Broken(f"{name}: not everybody is in the pack: {told[:200]}")
    each_s = (_spent_s() - before_s) / len(took_s)
    whom = f"{PUPILS:,} pupils, {PUPILS // SECOND_EVERY} seconds, {len(COUNTERS)} counters"
    note = f"{each_s:.1f} s of processor time each; {whom}; {size / 1e6:.2f} MB"
    return [
        Figure(ROW, f"incident pack, three files, from the {name}", median(took_s), "s", REACH_S,
               low=min(took_s), high=max(took_s), note=note),
        Figure(ROW, f"its memory, from the {name}", mib, "MiB", REACH_MIB),
    ]  # fmt: skip


def _spent_s() -> float:
    """Processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _journal(place: int, device: str, pupils: tuple[Pupil, ...], cards: dict[str, str]) -> tuple[str, list[bytes]]:
    """A counter's run of a day: every fourth pupil, some of them again, and the word that all is written."""
    begin_ms, name, boot = midnight_ms(DAY) + 5 * 3_600_000, f"{place:016x}", f"{place:08x}"

    def clock(at_ms: int) -> ClockReading:
        return ClockReading(boot, at_ms - begin_ms, at_ms, at_ms, "ntp", 15)

    opened = JournalOpened(name, None, HUB.key, "0", clock_data(clock(begin_ms)))
    drafts = [Draft("journal.opened", begin_ms, opened)]
    mine = pupils[place :: len(COUNTERS)]
    again = [one for number, one in enumerate(pupils) if number % SECOND_EVERY == SECOND_EVERY - 1]
    for number, one in enumerate([*mine, *again[place :: len(COUNTERS)]]):
        at_ms = midnight_ms(DAY) + OPENS_MS + number * 5_000
        said = MealTap(DAY.isoformat(), "lunch", 1, 1 if number < len(mine) else 2)
        data = TapData(
            "canteen", f"{device}-1", None, cards[one.key], one.key, "accepted", None, "ok", "r-1",
            clock_data(clock(at_ms)), meal=said,
        )  # fmt: skip
        drafts.append(Draft("meal.pickup", at_ms, data))
    end_ms = midnight_ms(DAY) + 14 * 3_600_000
    station = f"{device}-1"
    words = DeviceWatermark(
        len(drafts), rfc3339(end_ms), {station: "canteen"}, {station: "ready"}, [], clock_data(clock(end_ms))
    )
    drafts.append(Draft("device.watermark", end_ms, words))
    lines: list[bytes] = []
    for sequence, draft in enumerate(drafts, 1):
        prev = text_of(digest_bytes(lines[-1])) if lines else None
        lines.append(
            encode_event(
                TapId(name, sequence), source=device_source(SCHOOL, device), kind=draft.kind, time_ms=draft.time_ms,
                recorded_ms=draft.time_ms, prev=prev, data=draft.data,
            )
        )  # fmt: skip
    return name, lines


def _into_ledger(store: Store, device: str, journal: str, lines: list[bytes]) -> None:
    store.carry_out("devices-accept", {"device": device, "fingerprint": None})
    rows = [Row(sequence, raw, digest_bytes(raw)) for sequence, raw in enumerate(lines, 1)]
    source = device_source(SCHOOL, device)
    with store.database.transaction():
        book = store.ledger.books.add(journal, source, device)
        store.ledger.store(book, rows, midnight_ms(DAY) + OPENS_MS)
        store.anchors.learn(source, [decode_event(raw) for raw in lines])


def _into_file(folder: Path, device: str, journal: str, lines: list[bytes], pupils: tuple[Pupil, ...]) -> None:
    """The counter's data directory: its journal, its keys, the sheet sealed to them."""
    database = open_for_writing(folder / FILE_NAME)
    database.execute("INSERT INTO journal (number, journal, boot) VALUES (1, ?, '00000000')", (journal,))
    database.executemany(
        "INSERT INTO event (position, raw) VALUES (?, ?)",
        [(1 << SEQUENCE_BITS | place, raw) for place, raw in enumerate(lines, 1)],
    )
    database.close()
    keys = DeviceKeys(folder, HUB.key)
    sheet = CounterSheet(
        1,
        f"{DAY.isoformat()}T06:00:00.000+07:00",
        SCHOOL,
        DAY.isoformat(),
        [MealPlan("lunch", [Shift(1, "10:30", "11:50")])],
        [Eater(one.key, one.name, one.school_class, meals=["lunch"]) for one in pupils],
        counters=dict.fromkeys(COUNTERS, HUB.key),
    )
    body = msgspec.json.encode(SealedSheet(1, seal(keys.identity.box, pack_sheet(sheet))))
    (folder / SHEET).write_bytes(sign_message(HUB, device_topic(SCHOOL, device, "sheet"), body))
