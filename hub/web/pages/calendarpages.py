"""The page of calendar and timetable: the year, who has lessons when, frequent edits with a preview, the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from fastapi import Form, Query, UploadFile
from fastapi.responses import RedirectResponse, Response

from hub.attendance.calendaredits import (
    DAYS_MAX,
    SHIFTS,
    Edit,
    add_holiday,
    add_make_up,
    days_touched,
    differences,
    gate_differences,
    noted,
    remove_holiday,
    scope_from,
    set_bell,
    set_halves,
    set_shift,
)
from hub.attendance.contradictions import judged, problems
from hub.attendance.documentfaults import DocumentFault, document_faults, faults_of
from hub.attendance.evidence import HALVES
from hub.attendance.knowndays import beyond
from hub.attendance.timetable import (
    DOCUMENT_BYTES_MAX,
    WEEKDAYS,
    Bell,
    Holiday,
    MakeUp,
    Timetable,
    TimetableRefused,
    halves_of,
    timetable_bytes,
    timetable_from,
)
from hub.web.ground import Web
from hub.web.pages.cardpages import classes_of, name_of
from hub.web.registry import KIB, N_
from hub.web.visits import Visit, Visitor
from hub.web.words import translated

Act = Literal["holiday", "no-holiday", "make-up", "bell", "halves", "shift", "document"]
DOCUMENT_BODY_MAX: Final = 3 * DOCUMENT_BYTES_MAX + 64 * KIB
"""A document within a form, where each of its bytes may be three."""
WEEKDAY_WORDS: Final = (
    N_("Thứ Hai"), N_("Thứ Ba"), N_("Thứ Tư"), N_("Thứ Năm"), N_("Thứ Sáu"), N_("Thứ Bảy"), N_("Chủ nhật"),
)  # fmt: skip
TITLES: Final[dict[Act, str]] = {
    "holiday": N_("Thêm ngày nghỉ hoặc buổi chiều nghỉ"),
    "make-up": N_("Thêm ngày học bù"),
    "bell": N_("Đổi giờ học của một khối"),
    "halves": N_("Đổi buổi học của một ngày trong tuần"),
    "shift": N_("Lệch giờ so với trường cùng phố"),
    "document": N_("Cả tài liệu (JSON)"),
}
"""What each form of the page does; its button says it to whoever doesn't see which form it stands in."""
PLACES: Final = {
    "first": N_("Ngày đầu"), "last": N_("Ngày cuối"), "day": N_("Ngày"), "why": N_("Vì sao"), "opens": N_("Nhận từ"),
    "starts": N_("Vào học"), "late_after": N_("Muộn sau"), "final": N_("Chốt lúc"), "ends": N_("Tan học"),
    "taught_as": N_("Học theo thời khóa biểu của"),
}  # fmt: skip
"""The forms' own labels, by the document's keys."""
T = TypeVar("T")
SHOWN_MAX: Final = 60
"""Lines of a preview; a change of more kinds is a new document."""


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a form of this page says; each act takes its own of it."""

    act: Act
    first_day: str = ""
    note: str = ""
    first: str = ""
    last: str = ""
    halves: str = ""
    scope: str = ""
    why: str = ""
    weekday: str = ""
    half: str = ""
    opens: str = ""
    starts: str = ""
    late_after: str = ""
    final: str = ""
    ends: str = ""
    shift_min: str = ""
    entry: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """Versions as they are and as they would be; `first_day`: from when on."""

    first_day: date
    before: Mapping[date, Timetable]
    after: Mapping[date, Timetable]


def add_calendar_pages(web: Web) -> None:
    """`/calendar`."""

    @web.page("/calendar")
    def calendar(visit: Visitor, said: Annotated[str, Query(max_length=20)] = "") -> Response:
        return _shown(web, visit, said=said)

    @web.file("/calendar/document", "calendar", "timetable document")
    def document(visit: Visitor) -> Response:
        with web.store.database.lock:
            current = _in_force(web, visit.today)
        headers = {"content-disposition": 'attachment; filename="timetable.json"'}
        return Response(timetable_bytes(current), media_type="application/json", headers=headers)

    @web.form("/calendar/upload", "calendar", "timetable uploaded", body_max=DOCUMENT_BYTES_MAX + 64 * KIB)
    def upload(
        visit: Visitor,
        file: UploadFile,
        first_day: Annotated[str, Form(max_length=10)] = "",
        note: Annotated[str, Form(max_length=400)] = "",
    ) -> Response:
        octets = file.file.read(DOCUMENT_BYTES_MAX + 1)
        text = octets.decode("utf-8-sig", "replace")
        return _preview(web, visit, Fields("document", first_day, note, document=text))

    @web.form("/calendar/confirm", "calendar", "timetable confirmed")
    def confirm(visit: Visitor) -> Response:
        """The calendar that came back after a loss is right as it is."""
        with web.store.database.transaction():
            web.store.timetables.confirm(visit.now_ms, name_of(visit))
        return RedirectResponse("/calendar?said=confirmed", 303)

    _add_change(web)


def _add_change(web: Web) -> None:
    @web.form("/calendar/change", "calendar", "timetable changed", body_max=DOCUMENT_BODY_MAX)
    def change(
        visit: Visitor,
        fields: Annotated[str, Form(max_length=2 * DOCUMENT_BYTES_MAX)] = "",
        act: Annotated[Act, Form()] = "holiday",
        first_day: Annotated[str, Form(max_length=10)] = "",
        note: Annotated[str, Form(max_length=400)] = "",
        first: Annotated[str, Form(max_length=10)] = "",
        last: Annotated[str, Form(max_length=10)] = "",
        halves: Annotated[str, Form(max_length=8)] = "",
        scope: Annotated[str, Form(max_length=400)] = "",
        why: Annotated[str, Form(max_length=120)] = "",
        weekday: Annotated[str, Form(max_length=10)] = "",
        half: Annotated[str, Form(max_length=2)] = "",
        opens: Annotated[str, Form(max_length=5)] = "",
        starts: Annotated[str, Form(max_length=5)] = "",
        late_after: Annotated[str, Form(max_length=5)] = "",
        final: Annotated[str, Form(max_length=5)] = "",
        ends: Annotated[str, Form(max_length=5)] = "",
        shift_min: Annotated[str, Form(max_length=4)] = "",
        entry: Annotated[str, Form(max_length=4000)] = "",
    ) -> Response:
        """Without `fields` a preview; with them, which the preview sent along, it is done."""
        if not fields:
            typed = Fields(
                act, first_day, note, first, last, halves, scope, why, weekday, half, opens, starts, late_after,
                final, ends, shift_min, entry,
            )  # fmt: skip
            return _preview(web, visit, typed)
        try:
            wanted = msgspec.json.decode(fields, type=Fields)
        except msgspec.DecodeError:
            return web.show_problem(visit, 400, "invalid-request")
        return _kept(web, visit, wanted)


def _preview(web: Web, visit: Visit, fields: Fields) -> Response:
    try:
        with web.store.database.lock:
            made = _made(web, visit, fields)
            classes = classes_of(web, visit)
            found, standing = _judged(made, classes, visit.language)
    except TimetableRefused as problem:
        return _shown(web, visit, problem=problem, http=400)
    days, cut = days_touched(made.first_day, made.before, made.after)
    changes = differences(made.before, made.after, days, classes)
    gates = gate_differences(made.before, made.after, days)
    past = made.first_day < visit.today
    touched = {day for one in changes for day in one.days} | {day for one in gates for day in one.days}
    later = [day for day in made.after if day > made.first_day]
    ready = not found and (not past or bool(fields.note.strip()))
    return web.show(
        visit, "calendarpreview.html", title=web.say(visit, N_("Xem trước thay đổi")), changes=changes[:SHOWN_MAX],
        gates=gates[:SHOWN_MAX], more=max(len(changes), len(gates)) > SHOWN_MAX, compared=DAYS_MAX if cut else 0,
        problems=found, standing=standing, first_day=made.first_day, past=past,
        touches_today=not past and visit.today in touched, note=fields.note,
        fields=msgspec.json.encode(fields).decode("utf-8"), later=later, ready=ready,
        whole=fields.act == "document",
    )  # fmt: skip


def _judged(made: Made, classes: list[str], language: str) -> tuple[list[str], list[str]]:
    """What the change makes worse in any version that it touches, and what stood before; each once."""
    worse: dict[str, None] = {}
    stands: dict[str, None] = {}
    for first_day, document in made.after.items():
        before = made.before[max(day for day in made.before if day <= first_day)]
        if document is not before:
            bad, stood = judged(before, document, classes)
            worse |= dict.fromkeys(one.said(language) for one in bad)
            stands |= dict.fromkeys(one.said(language) for one in stood)
    return list(worse), list(stands)


def _kept(web: Web, visit: Visit, fields: Fields) -> Response:
    try:
        with web.store.database.transaction():
            made = _made(web, visit, fields)
            if made.first_day < visit.today and not fields.note.strip():
                # The document's own note may be that of an earlier change: each change of past days says why itself.
                what = f"{made.first_day} is past, and this change doesn't say why its days change"
                raise TimetableRefused(what, hint="Write the reason of this change.")
            classes = tuple(classes_of(web, visit))
            for first_day, document in made.after.items():
                if made.before.get(first_day) is not document:
                    web.store.timetables.put(
                        first_day, document, visit.today, visit.now_ms, name_of(visit),
                        past=first_day < visit.today, classes=classes,
                    )  # fmt: skip
    except TimetableRefused as problem:
        return _shown(web, visit, problem=problem, http=400)
    visit.note(f"timetable {fields.act}", made.first_day.isoformat())
    return RedirectResponse("/calendar?said=kept", 303)


def _made(web: Web, visit: Visit, fields: Fields) -> Made:
    """The versions that an edit makes: one from its day on, each later one edited alike. Raises TimetableRefused."""
    edit, from_day = _edit(fields, visit.today, classes_of(web, visit))
    if fields.act == "document" and web.store.calendar_in_doubt() is not None:
        # What is brought again after a loss held on days that are past, and their marks were told by it.
        from_day = edit(_in_force(web, visit.today)).first
    first_day = _day(fields.first_day, "first_day") if fields.first_day else _known(from_day, "first_day")
    versions = {day: version.document for day, version in web.store.timetables.versions().items()}
    before = {date.min: _in_force(web, first_day), **versions}
    after = dict(before)
    if fields.act == "document":
        after[first_day] = edit(_in_force(web, first_day))
    else:
        edit = noted(edit, fields.note.strip()) if fields.note.strip() else edit
        after[first_day] = edit(_in_force(web, first_day))
        after |= {day: edit(document) for day, document in versions.items() if day > first_day}
    return Made(first_day, before, after)


def _in_force(web: Web, day: date) -> Timetable:
    return next(iter(web.store.classbook.timetables(day).values()))


def _edit(fields: Fields, today: date, classes: list[str]) -> tuple[Edit, date]:
    """What a form says is to be done, and from when on where it doesn't say. Raises TimetableRefused."""
    try:
        match fields.act:
            case "document":
                octets = fields.document.encode("utf-8")
                _sound(document_faults(octets))
                document = timetable_from("the file", octets)
                note = fields.note.strip() or document.note
                return lambda _: msgspec.structs.replace(document, note=note), max(today, document.first)
            case "no-holiday":
                gone = _entry(Holiday, msgspec.json.decode(fields.entry))
                return remove_holiday(gone), min(today, gone.first)
            case "shift":
                return set_shift(int(fields.shift_min)), today
        return _scoped(fields, today, classes)
    except (ValueError, TypeError, msgspec.ValidationError) as problem:
        raise TimetableRefused(str(problem), vi="biểu mẫu có chỗ không đọc được") from problem


def _scoped(fields: Fields, today: date, classes: list[str]) -> tuple[Edit, date]:
    scope = scope_from(fields.scope, classes)
    told: dict[str, Any] = {"grades": scope.grades, "classes": scope.classes}
    halves = [half for half in HALVES if half in fields.halves.split(",")]
    if fields.act == "holiday":
        first = _day(fields.first, "first")
        last = _day(fields.last, "last") if fields.last else first
        told |= {"first": first, "last": last, "why": fields.why.strip(), "halves": halves or HALVES}
        return add_holiday(_entry(Holiday, told)), min(today, first)
    if fields.act == "make-up":
        day = _day(fields.first, "day")
        told |= {"day": day, "taught_as": fields.weekday, "why": fields.why.strip()}
        return add_make_up(_entry(MakeUp, told)), min(today, day)
    if fields.act == "bell":
        clocks = {"opens": fields.opens, "starts": fields.starts, "late_after": fields.late_after}
        bell = _entry(Bell, {**clocks, "final": fields.final, "ends": fields.ends})
        half = next((half for half in HALVES if half == fields.half), None)
        if half is None:
            raise TimetableRefused("half is not am or pm", vi="chưa chọn buổi sáng hay chiều")
        return set_bell(scope, half, bell), today
    weekday = next((day for day in WEEKDAYS if day == fields.weekday), None)
    if weekday is None:
        raise TimetableRefused("weekday is none", vi="chưa chọn ngày trong tuần")
    return set_halves(scope, weekday, halves), today


def _sound(faults: list[DocumentFault]) -> None:
    """Raise TimetableRefused, a line for each fault."""
    if faults:
        places = [f"{one.where}: " if one.where else "" for one in faults]
        en = "\n".join(place + one.en for place, one in zip(places, faults, strict=True))
        vi = "\n".join(place + one.vi for place, one in zip(places, faults, strict=True))
        raise TimetableRefused(en, vi=vi)


def _entry(kind: type[T], told: Any) -> T:
    """An entry of the document as a form says it. Raises TimetableRefused."""
    faults = []
    for one in faults_of(told, kind):
        label = PLACES.get(one.where, one.where)
        english = translated("en", label).lower()
        faults.append(DocumentFault("", f"{label}: {one.vi}", f"{english}: {one.en}") if label else one)
    _sound(faults)
    return msgspec.convert(told, kind)


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as problem:
        told = f"{text[:20]!r} không phải là ngày"
        raise TimetableRefused(f"{name}: {text[:20]!r} is no day", vi=told) from problem
    return _known(day, name)


def _known(day: date, name: str) -> date:
    if (unknown := beyond(day)) is not None:
        raise TimetableRefused(f"{name}: {unknown}")
    return day


def _shown(
    web: Web, visit: Visit, *, said: str = "", problem: TimetableRefused | None = None, http: int = 200
) -> Response:
    with web.store.database.lock:
        versions = web.store.timetables.versions()
        current = _in_force(web, visit.today)
        back = web.store.calendar_in_doubt()
    classes = classes_of(web, visit)
    week = [(name, [halves_of(current, weekday, name) for weekday in WEEKDAYS]) for name in classes]
    told, told_in = "" if problem is None else str(problem), "en"
    if problem is not None and problem.vi and visit.language == "vi":
        told, told_in = problem.vi, "vi"
    encoded = {id(one): msgspec.json.encode(one).decode("utf-8") for one in current.holidays}
    return web.show(
        visit, "calendar.html", http, document=current, versions=list(versions.values()), week=week, said=said,
        back=back, faults=told.splitlines(), faults_in=told_in,
        standing=[one.said(visit.language) for one in problems(current, classes)],
        weekdays=list(zip(WEEKDAYS, WEEKDAY_WORDS, strict=True)), shifts=SHIFTS,
        holidays=[(one, encoded[id(one)]) for one in current.holidays],
        since=max((day for day in versions if day <= visit.today), default=None),
        titles={act: web.say(visit, text) for act, text in TITLES.items()},
    )  # fmt: skip
