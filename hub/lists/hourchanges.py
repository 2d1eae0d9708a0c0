"""What a list does to lessons: half-days whose hours change, for which classes and on which days. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from hub.attendance.calendaredits import Difference

TOLD_MAX: Final = 60
"""Changes that are told; a list that brings more is a new timetable, and looked at as a whole."""
CLASSES_SHOWN: Final = 12
HALF_WORDS: Final = {"am": "sáng / morning", "pm": "chiều / afternoon"}


def told_hours(changes: Iterable[Difference]) -> list[dict[str, Any]]:
    """The first TOLD_MAX changes for a document: plain values, minutes of the day, ISO days."""
    return [
        {
            "half": one.half,
            "before": None if one.before is None else asdict(one.before),
            "after": None if one.after is None else asdict(one.after),
            "classes": list(one.classes),
            "days": [day.isoformat() for day in one.days],
        }
        for one in list(changes)[:TOLD_MAX]
    ]


def hour_words(told: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Told changes for people, a line each, Vietnamese and English."""
    for one in told:
        first, last = ("/".join(reversed(day.split("-"))) for day in (one["days"][0], one["days"][-1]))
        days = first if len(one["days"]) == 1 else f"{first} – {last} ({len(one['days'])} ngày / days)"
        names = ", ".join(one["classes"][:CLASSES_SHOWN])
        more = len(one["classes"]) - CLASSES_SHOWN
        whom = f"lớp / classes {names}{f' … +{more}' if more > 0 else ''}"
        yield f"{HALF_WORDS[one['half']]}: {_hours(one['before'])} → {_hours(one['after'])}; {whom}; {days}"


def _hours(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "nghỉ / none"
    starts, ends, late = (f"{one[name] // 60:02}:{one[name] % 60:02}" for name in ("starts", "ends", "late_after"))
    stays = ", ở lại trưa / stays over noon" if one["stays"] else ""
    return f"{starts}–{ends} (muộn sau / late after {late}{stays})"
