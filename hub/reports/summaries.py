"""Summaries: a day by class, a term by pupil; every number beside the records that it was counted from. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hub.attendance.marks import MARKS, Mark
from hub.attendance.schoolday import WHOLE_SCHOOL, Marked, Pupil
from hub.reports.monthsheet import FIELD_OF, Stamp, Totals, totals_of
from hub.reports.tables import csv_bytes, json_bytes
from hub.reports.words import WORDS, Language, class_text
from protocol.envelope import rfc3339
from protocol.names import class_order, name_order
from protocol.records import Half

AWAY: Final[tuple[Mark, ...]] = ("excused", "unexcused", "late", "left-early", "absent", "not-known")
"""The marks that a term counts beside presence."""


@dataclass(frozen=True, slots=True)
class Line:
    """A class, or the whole school as `*`, in a half-day: the pupils of each mark, with the evidence of each."""

    day: date
    half: Half
    school_class: str
    pupils: Mapping[Mark, tuple[tuple[str, tuple[str, ...]], ...]]

    def count(self, mark: Mark) -> int:
        """How many have this mark."""
        return len(self.pupils.get(mark, ()))

    @property
    def enrolled(self) -> int:
        """How many belong to the class."""
        return sum(len(found) for found in self.pupils.values())


def day_summary(marked: Iterable[Marked]) -> list[Line]:
    """For each half-day the whole school, then each class in order."""
    found: dict[tuple[date, Half, str], dict[Mark, list[tuple[str, tuple[str, ...]]]]] = {}
    for one in marked:
        for school_class in (WHOLE_SCHOOL, one.pupil.school_class):
            place = one.session.day, one.session.half, school_class
            marks = found.setdefault(place, defaultdict(list))
            marks[one.judged.mark].append((one.pupil.key, one.judged.evidence))
    places = sorted(found, key=lambda place: (*place[:2], place[2] != WHOLE_SCHOOL, class_order(place[2])))
    return [Line(*place, {mark: tuple(rows) for mark, rows in found[place].items()}) for place in places]


def day_csv(lines: Iterable[Line], language: Language = "vi") -> bytes:
    """The day summary for a spreadsheet."""
    return csv_bytes(day_header(language), day_rows(lines, language))


def day_header(language: Language) -> tuple[str, ...]:
    """What stands above a day's lines."""
    words = WORDS[language]
    return tuple(words[name] for name in ("date", "half", "class", "enrolled", *MARKS))


def day_rows(lines: Iterable[Line], language: Language) -> Iterator[tuple[str | int, ...]]:
    """A day's lines as cells below their header."""
    words = WORDS[language]
    for line in lines:
        yield (
            line.day.isoformat(),
            words[f"{line.half}-long"],
            words["whole"] if line.school_class == WHOLE_SCHOOL else class_text(language, line.school_class),
            line.enrolled,
            *(line.count(mark) for mark in MARKS),
        )


def day_json(lines: Iterable[Line], stamp: Stamp, rules: Sequence[str]) -> bytes:
    """The day summary for programs: beside each number of a class the pupils and the records that it rests on."""
    return json_bytes(
        {
            **stamped(stamp, rules),
            "lines": [
                {
                    "date": line.day.isoformat(),
                    "half": line.half,
                    "class": line.school_class,
                    "enrolled": line.enrolled,
                    "counts": {mark: line.count(mark) for mark in MARKS},
                    # The school's numbers are the sums of its classes', and lead there.
                    "pupils": {}
                    if line.school_class == WHOLE_SCHOOL
                    else {
                        mark: [{"pupil": pupil, "evidence": list(ids)} for pupil, ids in line.pupils[mark]]
                        for mark in MARKS
                        if mark in line.pupils
                    },
                }
                for line in lines
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class Span:
    """A term: its name, first and last day."""

    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class TermRow:
    """A pupil's half-days in a term, of all classes that they were in; `school_class` is the last one.

    `code` is the school's for the pupil, empty where it gave none; `evidence`: of each half-day that isn't plain
    presence its day, half, mark and records.
    """

    term: str
    school_class: str
    key: str
    name: str
    totals: Totals
    code: str
    evidence: tuple[tuple[date, Half, Mark, tuple[str, ...]], ...]


@dataclass(slots=True)
class _Kept:
    """What is kept of a pupil's term while marks stream by."""

    counts: Counter[Mark]
    evidence: list[tuple[date, Half, Mark, tuple[str, ...]]]
    newest: tuple[date, Half, Pupil]


def term_totals(
    marked: Iterable[Marked], terms: Sequence[Span], codes: Mapping[str, str] | None = None
) -> list[TermRow]:
    """For the transcript: each pupil's totals in each term, by class and name. Marks may come in any order."""
    codes = codes or {}
    kept: dict[tuple[str, str], _Kept] = {}
    for one in marked:
        day, half, mark = one.session.day, one.session.half, one.judged.mark
        for term in terms:
            if term.first <= day <= term.last:
                place = term.name, one.pupil.key
                mine = kept.setdefault(place, _Kept(Counter(), [], (day, half, one.pupil)))
                mine.counts[mark] += 1
                if mark != "present":
                    mine.evidence.append((day, half, mark, one.judged.evidence))
                if (day, half) >= mine.newest[:2]:
                    mine.newest = day, half, one.pupil
    order = {term.name: number for number, term in enumerate(terms)}
    rows = [
        TermRow(
            term_name,
            mine.newest[2].school_class,
            key,
            mine.newest[2].name,
            totals_of(mine.counts.elements()),
            codes.get(key, ""),
            tuple(sorted(mine.evidence)),
        )
        for (term_name, key), mine in kept.items()
    ]
    return sorted(rows, key=lambda row: (order[row.term], class_order(row.school_class), name_order(row.name), row.key))


def term_csv(rows: Iterable[TermRow], language: Language = "vi") -> bytes:
    """The term's totals for a spreadsheet."""
    return csv_bytes(term_header(language), term_rows(rows, language))


def term_header(language: Language) -> tuple[str, ...]:
    """What stands above a term's totals; the hub's own key, which nobody types, comes last."""
    words = WORDS[language]
    counts = (words["in-halves"].format(word=words[mark]) for mark in AWAY)
    return (
        *(words[name] for name in ("in", "class", "code", "name")),
        *counts,
        words["there"],
        words["all"],
        words["key"],
    )


def term_rows(rows: Iterable[TermRow], language: Language) -> Iterator[tuple[str | int, ...]]:
    """A term's totals as cells below their header."""
    for row in rows:
        yield (
            row.term,
            class_text(language, row.school_class),
            row.code,
            row.name,
            *(getattr(row.totals, FIELD_OF[mark]) for mark in AWAY),
            row.totals.there,
            row.totals.all,
            row.key,
        )


def term_json(rows: Iterable[TermRow], stamp: Stamp, rules: Sequence[str]) -> bytes:
    """The term's totals for programs: no name, the opaque key, and the records behind each half-day."""
    return json_bytes(
        {
            **stamped(stamp, rules),
            "rows": [
                {
                    "term": row.term,
                    "class": row.school_class,
                    "pupil": row.key,
                    "excused": row.totals.excused,
                    "unexcused": row.totals.unexcused,
                    "late": row.totals.late,
                    "left_early": row.totals.left_early,
                    "absent": row.totals.absent,
                    "not_known": row.totals.not_known,
                    "there": row.totals.there,
                    "half_days": row.totals.all,
                    "evidence": [
                        {"date": day.isoformat(), "half": half, "mark": mark, "records": list(ids)}
                        for day, half, mark, ids in row.evidence
                    ],
                }
                for row in rows
            ],
        }
    )


def stamped(stamp: Stamp, rules: Sequence[str]) -> dict[str, Any]:
    """What a report says of itself, for programs."""
    standing = stamp.standing
    return {
        "number": stamp.number,
        "school": stamp.school,
        "made": rfc3339(stamp.made_ms),
        "by": stamp.by,
        "rules": list(rules),
        "complete_to": None if standing.complete_to_ms is None else rfc3339(standing.complete_to_ms),
        "waiting": list(standing.waiting),
        "waived": [{"device": device, "by": by} for device, by in standing.waived],
    }
