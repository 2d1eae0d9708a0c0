"""A class's book for tests: pupils, half-days and marks made by the real rules from what was tapped and said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from hub.attendance.evidence import Session, Statement, Tap, Watermark
from hub.attendance.schoolday import Binding, Marked, Pupil, SchoolDay, by_card, marks_of
from hub.reports.monthsheet import Stamp, Standing
from protocol.records import Half, State

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
MONDAY = date(2026, 11, 23)
NAMES = ("Nguyễn Thị Đào", "Lê Văn Dũng", "Phạm Ánh", "Trần Thị Ái", '=HYPERLINK("x")', "Đặng An")


def at(clock: str, day: date = MONDAY) -> int:
    return int(datetime.fromisoformat(f"{day}T{clock}+07:00").timestamp() * 1000)


def session(day: date, half: Half) -> Session:
    if half == "am":
        times = ("05:00", "07:15", "07:20", "07:45", "10:30")
    else:
        times = ("11:00", "13:15", "13:20", "13:45", "16:15")
    return Session(day, half, *(at(clock, day) for clock in times), half == "pm")  # type: ignore[misc]


class Book:
    """Two classes of six pupils with the same names, some school days, a gate that is complete until `complete`."""

    def __init__(self, days: Sequence[date] = (MONDAY, MONDAY + timedelta(days=1)), complete: bool = True) -> None:
        self.pupils = [
            Pupil(f"st-{school_class}-{number}", name, school_class, date.min, date.max)
            for school_class in ("3/10", "3/2")
            for number, name in enumerate(NAMES)
        ]
        self.sessions = {
            (day, school_class, half): session(day, half)
            for day in days
            for school_class in ("3/10", "3/2")
            for half in (("am", "pm") if day.weekday() != 2 else ("am",))
        }
        self.bindings = [Binding(f"a:{pupil.key}", pupil.key, 0, 1 << 60) for pupil in self.pupils]
        self.taps: list[tuple[str, Tap]] = []
        self.statements: list[Statement] = []
        self.watermarks = [Watermark("w", "cong", "expected", 0)]
        if complete:
            end_ms = at("23:00", max(days))
            self.watermarks.append(Watermark("w.1", "cong", "complete", end_ms, end_ms))

    def tap(self, key: str, clock: str, day: date = MONDAY) -> str:
        name = f"j.{len(self.taps) + 1}"
        best_ms = at(clock, day)
        self.taps.append((f"a:{key}", Tap(name, "", best_ms, best_ms, best_ms, "in")))
        return name

    def say(
        self,
        key: str,
        state: State,
        clock: str,
        by: str = "co-lan",
        half: Half = "am",
        reason: str = "",
        day: date = MONDAY,
    ) -> str:
        name = f"r.{len(self.statements) + 1}"
        self.statements.append(Statement(name, key, day, half, state, at(clock, day), by, reason))
        return name

    def marked(self) -> list[Marked]:
        known = SchoolDay(
            tuple(self.pupils),
            by_card(self.bindings),
            self.sessions,
            tuple(self.taps),
            tuple(self.statements),
            (),
            tuple(self.watermarks),
        )
        return list(marks_of(known))


STAMP = Stamp(7, "Tiểu học Hoa Mai", at("17:05"), "thay-minh", Standing(at("13:45"), ()))
