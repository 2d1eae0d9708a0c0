"""Reports: the reference school's month as a workbook of 45 classes, from its marks to the file's bytes."""

from __future__ import annotations

import time
from datetime import date, timedelta
from statistics import median

from bench.figure import Broken, Figure
from bench.workshop import Workshop
from hub.attendance.firsttimetable import first_timetable
from hub.attendance.marks import MARKS, Judged
from hub.attendance.schoolday import Marked, Pupil
from hub.attendance.timetable import calendar_of
from hub.reports.monthsheet import Stamp, Standing, month_sheets
from hub.reports.workbook import month_workbook

PUPILS_EACH = 39
"""45 classes of them are the 1,763 pupils of the reference school, but for eight."""
FIRST, DAYS = date(2026, 11, 1), 30
ROUNDS = 5
REACH_S = 3.0


def measure_reports(shop: Workshop) -> list[Figure]:
    """Row 10 of the table."""
    shop.say("10: a month of 45 classes as a workbook")
    classes = [f"{grade}/{number}" for grade in range(1, 6) for number in range(1, 10)]
    pupils = [
        Pupil(f"st-{name}-{number}", f"Nguyễn Văn Bình {number}", name, date.min, date.max)
        for name in classes
        for number in range(PUPILS_EACH)
    ]
    document = first_timetable(2026, ("primary",))
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    sessions = dict(calendar_of({document.first: document}, days, classes))
    of_class = {name: [found for place, found in sessions.items() if place[1] == name] for name in classes}
    marked = [
        Marked(session, pupil, Judged(pupil.key, MARKS[number % 53 % len(MARKS)], evidence=(f"j.{number}",)))
        for number, pupil in enumerate(pupils)
        for session in of_class[pupil.school_class]
    ]
    stamp = Stamp(1, "tieu-hoc", 0, "bench", Standing(0))
    took_s, size = [], 0
    for _ in range(shop.rounds(ROUNDS)):
        began_s = time.perf_counter()
        sheets = month_sheets(marked, pupils, days[0], days[-1])
        size = len(month_workbook(sheets, stamp))
        took_s.append(time.perf_counter() - began_s)
        if len(sheets) != len(classes) or sum(len(sheet.rows) for sheet in sheets) != len(pupils):
            raise Broken("a class or a pupil is missing in the month sheets")
    return [
        Figure(
            10,
            "month sheet of 45 classes, marks to file",
            median(took_s),
            "s",
            REACH_S,
            low=min(took_s),
            high=max(took_s),
            note=f"{len(marked):,} marks of {len(pupils):,} pupils, {size / 1e6:.2f} MB",
        )
    ]
