"""The kitchen's sheet: the reference school's 45 classes, frozen and adjusted, as page, answer and files."""

from __future__ import annotations

import threading
import time
from datetime import date, datetime
from statistics import median
from typing import Final

import httpx2 as httpx

from bench.figure import Broken, Figure
from bench.intake import Intake
from bench.taps import open_book, uid_of
from bench.workshop import Workshop
from hub.attendance.schoolday import VIETNAM
from hub.meals.sittings import PlannedMeal, PlannedShift, SchoolMeals
from hub.parts import Store
from hub.roster import RosterRow
from hub.web.server import WebServer
from protocol.meals import PORTIONS
from sim.school import CLASSES, PUPILS, make_school

ROW: Final = 21
ROUNDS: Final = 15
REACH_MS: Final = 200.0
CUT_EVERY: Final = 30
OTHERWISE_EVERY: Final = 12
"""So many pupils are cut, or eat something else than the usual."""
BY: Final = "bench"


def measure_kitchen(shop: Workshop) -> list[Figure]:
    """Row 21 of the table."""
    shop.say(f"21 the kitchen's sheet of {CLASSES} classes, {PUPILS:,} pupils enrolled")
    room = shop.room("kitchen")
    journal, keys, _ = open_book(room / "book")
    intake = Intake(room / "hub", keys)
    store, today = intake.hub.store, datetime.now(VIETNAM).date()
    _enter(store, today)
    web = WebServer(intake.hub._socket, store, intake.hub.status, lambda: None)
    threads = [threading.Thread(target=work, daemon=True) for work in (web.run, store.daybook.run)]
    for thread in threads:
        thread.start()
    try:
        while web.progress is None:
            time.sleep(0.05)
        host, port = intake.hub.address
        return _asked(shop, f"http://{host}:{port}", _cookie(store), today)
    finally:
        web.stop()
        store.daybook.stop()
        for thread in threads:
            thread.join(10)
        journal.close()
        intake.close()


def _enter(store: Store, today: date) -> None:
    """Everybody eats, some were cut and some eat otherwise; then the sheet is frozen, and a few are cut after it."""
    pupils = make_school(PUPILS, 1)
    rows = [RosterRow(one.key, one.name, one.school_class, uid_of(one).canonical) for one in pupils]
    store.office.take_roster(BY, rows)
    shift = PlannedShift(number=1, opens="10:30", closes="11:50")
    plan = SchoolMeals(meals=(PlannedMeal(meal="lunch", shifts=(shift,), weekdays=tuple(range(7))),))
    with store.database.transaction():
        store.mealplans.put(today, plan, store.clock.now_ms(), BY)
    office, dates = store.mealoffice, (today, today)
    for number, one in enumerate(pupils):
        office.enrol(BY, one.key, today, None, tuple(range(7)))
        if number % OTHERWISE_EVERY == 0:
            office.portion(BY, one.key, PORTIONS[1 + number % (len(PORTIONS) - 1)], today, None)
        if number % CUT_EVERY == 1:
            office.cut(BY, one.key, *dates)
    office.lock(BY, today, "lunch")
    for one in pupils[2::400]:
        office.cut(BY, one.key, *dates)
    while store.daybook.catch_up(500) or store.daybook.attribute(500):
        pass


def _cookie(store: Store) -> str:
    store.carry_out("user-add", {"name": "bep", "role": "kitchen", "class": None, "until": None, "shown": None})
    secret = store.sessions.begin("bep", "bench", store.clock.now_ms())
    assert secret is not None
    return secret


def _asked(shop: Workshop, url: str, cookie: str, today: date) -> list[Figure]:
    """Each way to have the sheet, in turns."""
    ways = {
        "page": f"/meals?day={today}&meal=lunch",
        "answer to programs": f"/v1/meals/sheet?day={today}&meal=lunch",
        "workbook": f"/meals/sheet/file?day={today}&meal=lunch&format=xlsx",
        "PDF": f"/meals/sheet/file?day={today}&meal=lunch&format=pdf",
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    with httpx.Client(base_url=url, cookies={"k12": cookie}, timeout=30) as client:
        for _ in range(shop.rounds(ROUNDS) + 1):
            for name, path in ways.items():
                began_s = time.perf_counter()
                answer = client.get(path)
                took[name].append((time.perf_counter() - began_s) * 1000)
                if answer.status_code != 200:
                    raise Broken(f"{path} answered {answer.status_code}")
    # Of each the first: what is made once is made then.
    return [
        Figure(ROW, f"kitchen sheet of {CLASSES} classes, {name}", median(ms[1:]), "ms", REACH_MS,
               low=min(ms[1:]), high=max(ms[1:]), note=f"the first {ms[0]:.0f} ms")
        for name, ms in took.items()
    ]  # fmt: skip
