"""The contradictions of a timetable: what it says twice, or leaves unsaid, by name, and what to do. Pure.

A change is judged by what it makes worse: what stood before may stay, so that a school gets rid of one after another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from hub.attendance.evidence import HALVES
from hub.attendance.timetable import (
    WEEKDAYS,
    Scope,
    Timetable,
    Weekday,
    bell_of,
    halves_of,
    minute_of,
)
from hub.fitting import PROBLEMS, unfit
from protocol.names import spelled
from protocol.records import Half

SHOWN_MAX: Final = 50
PLACES: Final[Mapping[str, str]] = {
    "name": "tên lịch",
    "note": "ghi chú",
    "terms": "học kỳ",
    "holidays": "ngày nghỉ",
    "make_up": "ngày học bù",
    "bells": "giờ học",
    "weeks": "buổi học trong tuần",
    "windows": "khung giờ của cổng",
}
"""The document's parts in Vietnamese."""
_PLACE: Final = re.compile(r"(\w+)(?:\[(\d+)\])?(?:\.\w+)?")
_WEEKDAYS_VI: Final = dict(
    zip(WEEKDAYS, ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật"), strict=True)
)
_HALVES_VI: Final[Mapping[str, str]] = {"am": "buổi sáng", "pm": "buổi chiều"}
_WAYS_VI: Final[Mapping[str, str]] = {"in": "vào", "out": "ra"}
ANY_CLASS: Final = "?"
"""Stands for a class that no entry names, where the school's classes aren't known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person must decide: where it stands in the document, what it is, what to do.

    `vi`: the last two in Vietnamese.
    """

    where: str
    what: str
    do: str
    vi: str
    matter: str = ""

    @property
    def key(self) -> str:
        """What it is about, wherever it stands in the document; two with one `matter` are steps of the same."""
        return self.matter or re.sub(r"\[\d+\]", "[]", f"{self.where}: {self.what}")

    def __str__(self) -> str:
        """One line for people, in English."""
        return f"{self.where}: {self.what}; {self.do}"

    def said(self, language: str) -> str:
        """One line for people, in Vietnamese (`vi`) or English."""
        if language != "vi":
            return str(self)
        place = _PLACE.fullmatch(self.where)
        if place is None:
            return f"{self.where}: {self.vi}"
        number = "" if place[2] is None else f", mục {int(place[2]) + 1}"
        return f"{PLACES.get(place[1], place[1])}{number} ({self.where}): {self.vi}"


def problems(document: Timetable, classes: Collection[str] = ()) -> list[Problem]:
    """Everything that contradicts itself, at most SHOWN_MAX. With the school's `classes` also who is left out."""
    return _all(document, classes)[:SHOWN_MAX]


def judged(before: Timetable, after: Timetable, classes: Collection[str] = ()) -> tuple[list[Problem], list[Problem]]:
    """What a change makes worse, which is refused, and what stood before and still does; each at most SHOWN_MAX."""
    stood = Counter(problem.key for problem in _all(before, classes))
    worse: list[Problem] = []
    stands: list[Problem] = []
    for problem in _all(after, classes):
        (stands if stood[problem.key] > 0 else worse).append(problem)
        stood[problem.key] -= 1
    return worse[:SHOWN_MAX], stands[:SHOWN_MAX]


def _all(document: Timetable, classes: Collection[str]) -> list[Problem]:
    found: list[Problem] = []
    for part in (_texts, _terms, _make_ups, _doubles, _windows, _shifted):
        found += part(document)
    found += _lessons(document, classes)
    if classes:
        found += _strangers(document, classes)
    return found


def _texts(document: Timetable) -> Iterator[Problem]:
    """What people wrote is shown on pages and in files, so it is held to the rule of every other text."""
    texts = {"name": document.name, "note": document.note}
    texts |= {f"terms[{number}].name": term.name for number, term in enumerate(document.terms)}
    texts |= {f"holidays[{number}].why": holiday.why for number, holiday in enumerate(document.holidays)}
    texts |= {f"make_up[{number}].why": made.why for number, made in enumerate(document.make_up)}
    for where, text in texts.items():
        problem = unfit(spelled(text), symbols=True)
        if problem is not None:
            vi, en = PROBLEMS[problem]
            yield Problem(where, f"the text {en}", "type it again", f"dòng chữ này {vi}; hãy gõ lại")


def _terms(document: Timetable) -> Iterator[Problem]:
    for number, term in enumerate(document.terms):
        if term.first < document.first or term.last > document.last:
            what, vi = (
                f"{term.name} reaches beyond the school year",
                f"{term.name} vượt ra ngoài năm học; sửa một trong hai",
            )
            yield Problem(f"terms[{number}]", what, "correct one of the two", vi)
    for one, other in combinations(document.terms, 2):
        if one.first <= other.last and other.first <= one.last:
            what, vi = "have days in common", "có ngày chung; cho học kỳ trước kết thúc sớm hơn"
            names = one.name, other.name
            yield Problem(
                "terms", f"{' and '.join(names)} {what}", "let the one end before", f"{' và '.join(names)} {vi}"
            )
    for number, holiday in enumerate(document.holidays):
        if holiday.last < document.first or holiday.first > document.last:
            what, vi = "lies outside the school year", "nằm ngoài năm học; sửa lại ngày"
            yield Problem(f"holidays[{number}]", f"{holiday.why} {what}", "correct its days", f"{holiday.why} {vi}")


def _make_ups(document: Timetable) -> Iterator[Problem]:
    for number, made in enumerate(document.make_up):
        where = f"make_up[{number}]"
        if not document.first <= made.day <= document.last:
            vi = f"{made.day} nằm ngoài năm học; sửa lại ngày"
            yield Problem(where, f"{made.day} lies outside the school year", "correct the day", vi)
        for holiday in document.holidays:
            whole = set(holiday.halves) == set(HALVES)
            if whole and holiday.first <= made.day <= holiday.last and _same_scope(made, holiday):
                vi = f"{made.day} là ngày nghỉ ({holiday.why}); bỏ mục không đúng"
                yield Problem(where, f"{made.day} is a holiday ({holiday.why})", "remove the one that isn't meant", vi)
    for (first, one), (second, other) in combinations(enumerate(document.make_up), 2):
        if one.day == other.day and one.taught_as != other.taught_as and _overlap(one, other):
            what, vi = f"{one.day} is taught as another day in make_up[{first}]", f"{one.day} đã học bù cho ngày khác"
            yield Problem(f"make_up[{second}]", what, "keep one", f"{vi} ở make_up[{first}]; chỉ giữ một")


def _doubles(document: Timetable) -> Iterator[Problem]:
    for (first, one), (second, other) in combinations(enumerate(document.bells), 2):
        twice = [half for half in HALVES if one.of(half) and other.of(half) and one.of(half) != other.of(half)]
        days = set(one.weekdays) & set(other.weekdays) or (not one.weekdays and not other.weekdays)
        if twice and days and _overlap(one, other):
            vi = f"bells[{first}] có giờ khác cho cùng {_HALVES_VI[twice[0]]}; chỉ giữ một"
            yield Problem(
                f"bells[{second}]", f"bells[{first}] has other times for the same ({twice[0]})", "keep one", vi
            )
    for (first, here), (second, there) in combinations(enumerate(document.weeks), 2):
        if not _overlap(here, there):
            continue
        for weekday in WEEKDAYS:
            if weekday in here.days and weekday in there.days and {*here.days[weekday]} != {*there.days[weekday]}:
                vi = f"weeks[{first}] có {_WEEKDAYS_VI[weekday]} khác cho cùng các lớp; chỉ giữ một"
                yield Problem(f"weeks[{second}]", f"weeks[{first}] has another {weekday} for the same", "keep one", vi)
                break
        if here.stays is not None and there.stays is not None and here.stays != there.stays:
            vi = f"weeks[{first}] nói khác về việc ở lại buổi trưa; chỉ giữ một"
            yield Problem(f"weeks[{second}]", f"weeks[{first}] says otherwise who stays over noon", "keep one", vi)


def _windows(document: Timetable) -> Iterator[Problem]:
    for (first, one), (second, other) in combinations(enumerate(document.windows), 2):
        if one.device != other.device or (one.point and other.point and one.point != other.point):
            continue
        days = not one.weekdays or not other.weekdays or set(one.weekdays) & set(other.weekdays)
        if days and one.way != other.way and one.begins < other.ends and other.begins < one.ends:
            what = f"windows[{first}] says {one.way} at {one.device} where this says {other.way}"
            ways = _WAYS_VI.get(one.way, one.way), _WAYS_VI.get(other.way, other.way)
            vi = f"windows[{first}] là giờ {ways[0]} ở {one.device}, còn đây là giờ {ways[1]}; cho khung này kết thúc"
            what_vi = f"{vi} khi khung kia bắt đầu"
            yield Problem(f"windows[{second}]", what, "let the one end where the other begins", what_vi)


def _shifted(document: Timetable) -> Iterator[Problem]:
    for number, bells in enumerate(document.bells):
        for half in HALVES:
            bell = bells.of(half)
            if bell is not None:
                early, late = (minute_of(clock) + document.shift_min for clock in (bell.opens, bell.ends))
                if early < 0 or late >= 24 * 60:
                    where = f"bells[{number}].{half}"
                    vi = f"dời {document.shift_min} phút thì ra khỏi ngày; sửa một trong hai"
                    yield Problem(
                        where, f"moved by {document.shift_min} minutes it leaves the day", "correct either", vi
                    )


def _lessons(document: Timetable, classes: Collection[str]) -> Iterator[Problem]:
    """Half-days without a bell, mornings that end behind the afternoon's opening, classes without any lesson."""
    for school_class in _sample(document, classes):
        told = f"class {school_class}" if school_class != ANY_CLASS else "the default"
        week = {weekday: halves_of(document, weekday, school_class) for weekday in WEEKDAYS}
        if not any(week.values()) and school_class != ANY_CLASS:
            what, do = f"{told} has no lesson in the whole week", "add half-days and bells for it, its grade or all"
            vi = f"lớp {school_class} cả tuần không có buổi học nào; thêm buổi và giờ học cho lớp hoặc khối"
            yield Problem("weeks", what, do, vi, f"lessons of {told}")
        for problem in _days_of(document, school_class, told, week):
            yield problem
            break
        for number, made in enumerate(document.make_up):
            if not any(week.values()) or school_class == ANY_CLASS:
                break
            if made.rank(school_class) is not None and not week[made.taught_as]:
                what = f"{told} has no lessons on a {made.taught_as}, which {made.day} is taught as"
                vi = f"lớp {school_class} không học {_WEEKDAYS_VI[made.taught_as]}, mà {made.day} học bù cho thứ đó"
                do_vi = "chọn thứ khác, hoặc chỉ các lớp có học"
                yield Problem(
                    f"make_up[{number}]", what, "name another weekday, or the classes that have some", f"{vi}; {do_vi}"
                )


def _days_of(
    document: Timetable, school_class: str, told: str, week: dict[Weekday, tuple[Half, ...]]
) -> Iterator[Problem]:
    told_vi = f"lớp {school_class}" if school_class != ANY_CLASS else "lịch chung"
    for weekday, halves in week.items():
        bells = {half: bell_of(document, weekday, half, school_class) for half in HALVES if half in halves}
        for half, bell in bells.items():
            if bell is None:
                what = f"{told} has lessons on {weekday} ({half}) and no bell"
                vi = f"{told_vi} học {_WEEKDAYS_VI[weekday]} ({_HALVES_VI[half]}) mà chưa có giờ học; thêm giờ học"
                yield Problem("bells", what, "add bells for it", vi, f"lessons of {told}")
        morning, afternoon = bells.get("am"), bells.get("pm")
        if morning is not None and afternoon is not None and morning.ends > afternoon.opens:
            what = f"{told}, {weekday}: the afternoon opens at {afternoon.opens}, the morning ends at {morning.ends}"
            vi = f"{told_vi}, {_WEEKDAYS_VI[weekday]}: chiều mở lúc {afternoon.opens}, sáng tan lúc {morning.ends}"
            do_vi = "cho buổi chiều mở muộn hơn: một lần quét chỉ thuộc một buổi"
            do = "let the afternoon open later: a tap belongs to one half-day"
            yield Problem("bells", what, do, f"{vi}; {do_vi}")


def _sample(document: Timetable, classes: Collection[str]) -> list[str]:
    """The school's classes; where they aren't known every class and grade that is named, and one that isn't."""
    if classes:
        return list(classes)
    named: dict[str, None] = {ANY_CLASS: None}
    for scope in _scopes(document).values():
        named.update(dict.fromkeys((*scope.classes, *scope.grades)))
    return list(named)


def _strangers(document: Timetable, classes: Collection[str]) -> Iterator[Problem]:
    for where, scope in _scopes(document).items():
        strange = [name for name in scope.classes if name not in classes]
        if strange:
            names = ", ".join(strange[:5])
            yield Problem(
                where, f"the school has no class {names}", "correct the name", f"trường không có lớp {names}; sửa tên"
            )


def _scopes(document: Timetable) -> dict[str, Scope]:
    lists = {
        "holidays": document.holidays,
        "make_up": document.make_up,
        "bells": document.bells,
        "weeks": document.weeks,
    }
    return {f"{name}[{number}]": scope for name, found in lists.items() for number, scope in enumerate(found)}


def _overlap(one: Scope, other: Scope) -> bool:
    """Whether two entries speak of the same class with the same closeness, so that neither goes before."""
    if not one.classes and not one.grades and not other.classes and not other.grades:
        return True
    return bool({*one.classes} & {*other.classes} or {*one.grades} & {*other.grades})


def _same_scope(made: Scope, holiday: Scope) -> bool:
    """Whether a holiday is for all that a make-up day is for."""
    if not holiday.classes and not holiday.grades:
        return True
    named = (*made.classes, *made.grades)
    return bool(named) and all(holiday.rank(name) is not None for name in named)
