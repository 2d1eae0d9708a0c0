"""The demonstration's kitchen: who eats, who is cut, what a child must not eat, the frozen sheet; and its own count.

Everything is entered at the hub as people do it: by its command, pages and API. Only its hours are laid around now.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import Grade
from hub.meals.sittings import PlannedMeal, PlannedShift, SchoolMeals, plan_bytes
from sim.demo.canteen import Canteen
from sim.demo.chain import COUNTERS
from sim.demo.office import Office, Visitor, asked
from sim.parts import until
from sim.school import Pupil

WEEK: Final = tuple(range(7))
SHIFTS: Final[tuple[tuple[Grade, ...], ...]] = (("6", "7"), ("8", "9"))
"""Grades by shift."""
CUTS: Final = 3
VEGETARIANS: Final = 5
ALERT: Final = "lạc"
"""What a child of the demonstration must not eat: peanuts."""
MEAL_MINUTES: Final = 55
BORDER_S: Final = 15
"""The shifts change at the first whole minute that is so far ahead: hours are told in minutes."""
FIRST_S: Final = 3.0
"""So much of the first shift must be left when the counters have the sheet."""
LOCKS_S: Final = 3
"""The locks fall at the first whole minute that is so far ahead."""
SHEET_S: Final = 90.0
"""A change is at the counters within 60 s."""
Numbers = dict[str, Counter[str]]
"""Class -> registered, cut, and portions by kind."""


class Kitchen:
    """See the room."""

    def __init__(self, canteen: Canteen, office: Office, pupils: Sequence[Pupil], border_s: float = BORDER_S) -> None:
        """Choose who is cut, eats otherwise, or mustn't eat something; nothing is entered yet. See BORDER_S."""
        self._canteen, self._pupils, self._border_s = canteen, pupils, border_s
        away = {pupil.key for pupil in office.absent}
        self.day = office.day.isoformat()
        self._absent = away
        ready = [pupil for pupil in pupils if pupil.key not in away]
        self.cut = tuple(ready[:CUTS])
        first = [pupil for pupil in ready[CUTS:] if shift_of(pupil) == 1]
        self.late, self.allergic, *others = first
        self._portions: dict[str, str] = {pupil.key: "vegetarian" for pupil in others[:VEGETARIANS]}
        self._excused = office.absent[0].key
        self._token = ""
        self._locks: datetime | None = None

    # --- what is entered ----------------------------------------------------------------------------------------------

    def open(self, principal: Visitor) -> None:
        """Before anybody comes: the plan, who eats, three cuts, five vegetarians; and the sheet is frozen by hand."""
        canteen, now = self._canteen, datetime.now(VIETNAM)
        self._token = canteen.command("token", "add", "--role", "principal", "--name", "bep").split()[-1]
        soon = now + timedelta(minutes=20), now + timedelta(minutes=30)
        self._plan(*soon)
        for name, members in by_class(self._pupils).items():
            for at in range(0, len(members), 200):
                fields: dict[str, str | list[str]] = {
                    "day": self.day,
                    "pupils": [pupil.key for pupil in members[at : at + 200]],
                    "meals": ["lunch"],
                    "weekdays": [str(day) for day in WEEK],
                }
                principal.send("/meals/menu", f"/meals/enrol?class={name}", fields)
        for pupil in self.cut:
            self._cut(pupil)
        for pupil in self._pupils:
            if pupil.key in self._portions:
                self._diet(principal, pupil, self._portions[pupil.key], "")
        self._ask("POST", "/v1/meals/locks", {"day": self.day, "meal": "lunch", "lock": "final"})
        # Now that all is entered the locks may fall. A plan can't put them where they have passed already.
        self._locks = (datetime.now(VIETNAM) + timedelta(seconds=LOCKS_S + 59)).replace(second=0, microsecond=0)
        self._plan(*soon)

    def change(self, principal: Visitor) -> datetime:
        """Before lunch, when the sheet is frozen: what a child must not eat, a cut by phone; and the counters know it.

        The hour between both shifts.
        """
        locks = self._locks
        assert locks is not None
        until(
            lambda: datetime.now(VIETNAM) >= locks, "the locks don't fall", also=self._canteen.check, within_s=SHEET_S
        )
        border = self._lunch_now()
        self._diet(principal, self.allergic, "regular", ALERT)
        done = self._cut(self.late)
        assert done["late"] == ["lunch"], done
        self._await_sheet(border)
        while (border - datetime.now(VIETNAM)).total_seconds() < FIRST_S:
            # A slow machine: nobody would be left in the first shift.
            border = self._lunch_now()
            self._await_sheet(border)
        return border

    def _lunch_now(self) -> datetime:
        """The first shift is open, until the first whole minute that is far enough ahead."""
        now = datetime.now(VIETNAM)
        border = (now + timedelta(seconds=self._border_s + 59)).replace(second=0, microsecond=0)
        self._plan(now, border)
        return border

    def _await_sheet(self, border: datetime) -> None:
        """Until each counter has the hours, and expects whom it must."""
        # Who stays away without a word is expected: nobody cut them.
        cut = self._cut_now()
        wanted = sum(shift_of(pupil) == 1 and pupil.key not in cut for pupil in self._pupils)
        screens = [self._canteen.screens[counter] for counter in COUNTERS]
        until(
            lambda: all(one.numbers()[:1] == (wanted,) and f"{border:%H:%M}" in one.page("staff") for one in screens),
            f"not every counter expects {wanted} pupils in the first shift",
            also=self._canteen.check,
            within_s=SHEET_S,
        )

    def _plan(self, opens: datetime, border: datetime) -> None:
        """Lunch in two shifts with these hours; its locks fall when it begins, or earlier, where that is said."""
        ends = min(border + timedelta(minutes=MEAL_MINUTES), border.replace(hour=23, minute=59))
        times = [f"{moment:%H:%M}" for moment in (opens, border, ends)]
        shifts = tuple(
            PlannedShift(number=number, opens=times[number - 1], closes=times[number], grades=grades)
            for number, grades in enumerate(SHIFTS, 1)
        )
        locks = times[0] if self._locks is None else f"{self._locks:%H:%M}"
        lunch = PlannedMeal(meal="lunch", shifts=shifts, weekdays=WEEK, provisional=locks, final=locks, money=locks)
        path = self._canteen.folder / "meal-plan.json"
        path.write_bytes(plan_bytes(SchoolMeals(meals=(lunch,))))
        self._canteen.command("meal-plan", "set", str(path), "--from", self.day)

    def _cut(self, pupil: Pupil) -> Any:
        body = {"student": pupil.key, "first": self.day, "last": self.day, "meals": ["lunch"], "how": "phone"}
        return self._ask("POST", "/v1/meals/cuts", body)

    def _diet(self, principal: Visitor, pupil: Pupil, portion: str, alerts: str) -> None:
        fields = {"day": self.day, "pupil": pupil.key, "portion": portion, "alerts": alerts, "confirmed": "1"}
        principal.send("/meals/menu", f"/meals/diet?class={pupil.school_class}", fields)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return asked(self._canteen.hub_url, self._token, method, path, body)

    # --- what it counts by itself -------------------------------------------------------------------------------------

    def eaters(self) -> list[Pupil]:
        """Whoever comes to lunch: at school and not cut."""
        gone = {*self._absent, *(pupil.key for pupil in (*self.cut, self.late))}
        return [pupil for pupil in self._pupils if pupil.key not in gone]

    def _cut_now(self) -> set[str]:
        """Cut before the lock, after it, and by a leave notice."""
        return {*(pupil.key for pupil in (*self.cut, self.late)), self._excused}

    def _numbers(self, cut: Iterable[str]) -> Numbers:
        gone, found = set(cut), {name: Counter[str]() for name in by_class(self._pupils)}
        for pupil in self._pupils:
            mine = found[pupil.school_class]
            mine["registered"] += 1
            mine["cut" if pupil.key in gone else self._portions.get(pupil.key, "regular")] += 1
        return found

    def problems(self) -> list[str]:
        """What of the hub's sheet isn't as counted here: as it was frozen, and frozen and adjusted together."""
        frozen, now = self._numbers(pupil.key for pupil in self.cut), self._numbers(self._cut_now())

        def followed() -> bool:
            return _same({name: one["now"] for name, one in self._sheet()["classes"].items()}, now)

        until(followed, "the frozen sheet and its adjustments aren't what was said", also=self._canteen.check)
        sheet = self._sheet()
        held = {name: one["frozen"] for name, one in sheet["classes"].items()}
        found = [] if sheet["final"] and _same(held, frozen) else ["the frozen sheet isn't what had been said then"]
        together: dict[str, Counter[str]] = {name: Counter(numbers) for name, numbers in held.items()}
        for one in sheet["adjustments"]:
            for name, numbers in one["classes"].items():
                together[name].update(numbers)
        if not _same(together, now):
            found.append("frozen and adjustments together aren't what all words say")
        meals = json.loads(self._canteen.command("recompute", "--day", self.day, "--from-records", "--json"))["meals"]
        counts = [(one["registered"], one["cut"]) for one in meals if one["meal"] == "lunch"]
        if counts != [(sum(one["registered"] for one in now.values()), sum(one["cut"] for one in now.values()))]:
            found.append(f"counted anew from all records lunch has registered and cut {counts}")
        return found

    def _sheet(self) -> Any:
        return self._ask("GET", f"/v1/meals/sheet?day={self.day}&meal=lunch")

    def servings(self) -> Any:
        """The hub's servings of the lunch."""
        return self._ask("GET", f"/v1/meals/servings?day={self.day}&meal=lunch")

    def adjustments(self) -> int:
        """How many adjustments follow the frozen sheet."""
        return len(self._sheet()["adjustments"])


def shift_of(pupil: Pupil) -> int:
    """In which shift a pupil's class eats, from 1."""
    return next(number for number, grades in enumerate(SHIFTS, 1) if pupil.school_class[0] in grades)


def by_class(pupils: Iterable[Pupil]) -> dict[str, list[Pupil]]:
    """Class -> its pupils."""
    found: dict[str, list[Pupil]] = {}
    for pupil in pupils:
        found.setdefault(pupil.school_class, []).append(pupil)
    return found


def _same(told: Mapping[str, Mapping[str, int]], counted: Numbers) -> bool:
    """Whether the hub's numbers of every class are these; it leaves no zero out."""
    return told.keys() == counted.keys() and all(
        {name: count for name, count in told[of].items() if count and name != "total"} == +numbers
        for of, numbers in counted.items()
    )
