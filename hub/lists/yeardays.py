"""What a list does to the year's days: holidays and make-up days that go and come, and what must be meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from hub.attendance.timetable import WEEKDAYS, Holiday, MakeUp, Timetable

DAYS_GONE: Final = "days-gone"
"""The guard: a day that was free has lessons again, or a make-up day none, and the list only says nothing of it."""
SPAN_DAYS_MAX: Final = 400
"""A holiday is looked at day by day; none is longer than a school year."""
HALF_WORDS: Final = {"am": "sáng / morning", "pm": "chiều / afternoon"}
WEEKDAY_WORDS: Final = ("T2 / Monday", "T3 / Tuesday", "T4 / Wednesday", "T5 / Thursday", "T6 / Friday",
                        "T7 / Saturday", "CN / Sunday")  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayChange:
    """A holiday or make-up day that goes, or comes; `guarded`: it goes, and nothing of the list stands in its place."""

    goes: bool
    entry: Holiday | MakeUp
    guarded: bool = False


def day_changes(before: Timetable, after: Timetable, since: date) -> Iterator[DayChange]:
    """What of `before` isn't in `after`, then what is new; `since`: from when on `after` holds, days before stay."""
    new: list[Holiday | MakeUp] = [*after.holidays, *after.make_up]
    old: list[Holiday | MakeUp] = [*before.holidays, *before.make_up]
    for entry in old:
        if entry not in new:
            yield DayChange(True, entry, not _stands(entry, after, since))
    for entry in new:
        if entry not in old:
            yield DayChange(False, entry)


def _stands(entry: Holiday | MakeUp, after: Timetable, since: date) -> bool:
    """Whether all that it says of days from `since` on is said by others for the same classes, or for all."""
    if isinstance(entry, MakeUp):
        return entry.day < since or any(entry.day == one.day and _speaks_for(one, entry) for one in after.make_up)
    others = [one for one in after.holidays if _speaks_for(one, entry)]
    first = max(entry.first, since, after.first)
    count = (min(entry.last, after.last) - first).days + 1
    days = [first + timedelta(days=number) for number in range(min(count, SPAN_DAYS_MAX))]
    return all(
        any(one.first <= day <= one.last and half in one.halves for one in others)
        for day in days
        for half in entry.halves
    )


def _speaks_for(one: Holiday | MakeUp, entry: Holiday | MakeUp) -> bool:
    whole = not one.grades and not one.classes
    return whole or (set(one.grades), set(one.classes)) == (set(entry.grades), set(entry.classes))


def told_days(changes: Iterable[DayChange]) -> list[dict[str, Any]]:
    """The changes for a document: plain values, each once though several versions have it."""
    found = []
    for change in changes:
        entry = change.entry
        one: dict[str, Any] = {"goes": change.goes, "guarded": change.guarded}
        if isinstance(entry, Holiday):
            one |= {"first": entry.first.isoformat(), "last": entry.last.isoformat(), "taught_as": None}
            one["halves"] = list(entry.halves)
        else:
            one |= {"first": entry.day.isoformat(), "last": entry.day.isoformat(), "taught_as": entry.taught_as}
            one["halves"] = []
        one |= {"grades": list(entry.grades), "classes": list(entry.classes), "name": entry.why}
        if one not in found:
            found.append(one)
    return found


def day_words(one: Mapping[str, Any]) -> str:
    """A told day in one line, Vietnamese and English."""
    days = " – ".join(dict.fromkeys("/".join(reversed(one[end].split("-"))) for end in ("first", "last")))
    kind = "nghỉ / holiday"
    if one["taught_as"] is not None:
        kind, days = "học bù / make-up day", f"{days} ({WEEKDAY_WORDS[WEEKDAYS.index(one['taught_as'])]})"
    elif len(one["halves"]) == 1:
        days = f"{days} ({HALF_WORDS[one['halves'][0]]})"
    whom = [f"khối / grades {', '.join(one['grades'])}"] if one["grades"] else []
    whom += [f"lớp / classes {', '.join(one['classes'])}"] if one["classes"] else []
    return f"{'bỏ / goes' if one['goes'] else 'thêm / comes'}: {kind} {days}: {'; '.join([one['name'], *whom])}"
