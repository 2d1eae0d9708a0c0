"""Day marks: what the city is told of a class's half-day, from what stands and what it was told before. Pure.

| what stands | the city is told |
| --- | --- |
| a person's word, also a leave notice | from the half-day's final moment on; before, once the class's list is signed |
| there by a tap: to the end, late, or not to the end | from the final moment on |
| absent, derived: nobody said anything | from the final moment on, once all taps until then are here or were waived |
| not known | never |

A category that was told and doesn't stand any more is retracted, in the record that tells the new one. One thing alone
doesn't retract: a derived absence stays told when nothing more is known of the pupil than that some device's records
may be missing after all. What is told of a half-day is therefore what followed when its data was last complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

import msgspec

from hub.attendance.completeness import Completeness
from hub.attendance.evidence import Session
from hub.attendance.marks import RULES, Judged, Mark
from protocol.envelope import rfc3339
from protocol.records import Category

CATEGORIES: Final[Mapping[Mark, Category]] = {
    "present": "In Attendance",
    "late": "Tardy",
    "left-early": "Early departure",
    "excused": "Excused Absence",
    "unexcused": "Unexcused Absence",
    "absent": "Absent",
}
"""What each mark is in Ed-Fi's words; `not-known` is none."""
KNOWN_CATEGORIES: Final = cast("tuple[Category, ...]", get_args(Category))
EVIDENCE_MAX: Final = 4
"""Records named under a mark; whoever wants all of them asks the hub for the trail."""
DEVICES_MAX: Final = 8
"""Waived, and flawed, devices that a record names."""
WHY_CHARACTERS_MAX: Final = 64
PART_BYTES_MAX: Final = 10 * 1024
"""Marks and retractions of one record, enough for a class of 45 in which all changes. The envelope has 1 KiB, the
devices' names 4.5 KiB at most: together they stay below a record's 16 KiB."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the city was last told of a pupil's half-day, for which class, and whether it was derived."""

    category: Category
    minutes: int
    school_class: str
    derived: bool


@dataclass(frozen=True, slots=True)
class HalfDay:
    """A class's half-day as it stands. `signed`: a person confirmed its list; `known`: of its final moment."""

    session: Session
    school_class: str
    judged: Sequence[Judged]
    known: Completeness
    signed: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What a half-day's next records say: pupil -> mark, and pupil -> the category that doesn't stand any more."""

    marks: Mapping[str, Judged]
    retracts: Mapping[str, Category]


def news(half: HalfDay, told: Mapping[str, Told], now_ms: int) -> News | None:
    """What is to be told at `now_ms`, None where nothing is; see the table of the room. `told`: of this class."""
    final = half.session.final_ms <= now_ms
    if not final and not half.signed:
        return None
    marks: dict[str, Judged] = {}
    retracts: dict[str, Category] = {}
    for judged in half.judged:
        before = told.get(judged.pupil)
        if before is not None and _held(judged, before, half.known):
            continue
        now = _tellable(judged, half.known, final=final)
        if now == (None if before is None else before.category):
            if before is not None and before.minutes != judged.minutes:
                marks[judged.pupil] = judged
            continue
        if before is not None:
            retracts[judged.pupil] = before.category
        if now is not None:
            marks[judged.pupil] = judged
    present = {judged.pupil for judged in half.judged}
    retracts |= {pupil: before.category for pupil, before in told.items() if pupil not in present}
    return News(marks, retracts) if marks or retracts else None


def _tellable(judged: Judged, known: Completeness, *, final: bool) -> Category | None:
    """The category of a mark that may be told now."""
    if not final and not judged.by:
        return None
    if judged.mark == "absent" and not judged.by and not known.complete:
        return None
    return CATEGORIES.get(judged.mark)


def _held(judged: Judged, before: Told, known: Completeness) -> bool:
    """Whether a derived absence stays told while records may be missing; a tap that may be the pupil's ends it."""
    silent = judged.mark == "not-known" and not judged.evidence
    return before.category == "Absent" and before.derived and silent and not known.complete


def gone(told: Mapping[str, Told]) -> News | None:
    """Of a half-day that has no lessons any more: all that was told of it is taken back."""
    return News({}, {pupil: before.category for pupil, before in told.items()}) if told else None


def records(
    found: News, place: tuple[str, str, str], final_ms: int, known: Completeness, first: int
) -> Iterator[dict[str, Any]]:
    """The data of the records that say it, each small enough; `place`: class, day, half; `first`: the first's number.

    A pupil's retraction and new mark stand in one record.
    """
    school_class, day, half = place
    number = first
    for pupils in _parts(found):
        yield {
            "class": school_class,
            "day": day,
            "half": half,
            "number": number,
            "rules": RULES,
            "watermark": {
                "final": rfc3339(final_ms),
                "complete": known.complete,
                "waived": _short(known.waived),
                "flawed": _short(known.flawed),
            },
            "marks": {pupil: _shown(found.marks[pupil]) for pupil in pupils if pupil in found.marks},
            "retracts": {pupil: found.retracts[pupil] for pupil in pupils if pupil in found.retracts},
        }
        number += 1


def _parts(found: News) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for pupil in sorted(found.marks.keys() | found.retracts.keys()):
        told = [found.retracts.get(pupil), _shown(found.marks[pupil]) if pupil in found.marks else None]
        mine = len(msgspec.json.encode([pupil, pupil, told]))
        if part and size + mine > PART_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(pupil)
        size += mine
    if part:
        yield part


def _shown(judged: Judged) -> dict[str, Any]:
    shown: dict[str, Any] = {"category": CATEGORIES[judged.mark]}
    shown |= {"minutes": judged.minutes} if judged.minutes else {}
    shown |= {"by": judged.by} if judged.by else {}
    shown |= {"evidence": list(judged.evidence[:EVIDENCE_MAX])} if judged.evidence else {}
    more = len(judged.evidence) - EVIDENCE_MAX
    return shown | ({"more": more} if more > 0 else {})


def _short(devices: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {device: why[:WHY_CHARACTERS_MAX] for device, why in sorted(devices)[:DEVICES_MAX]}
