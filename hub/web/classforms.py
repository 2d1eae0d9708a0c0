"""What is sent from a class's pages: a word on a pupil, a leave for today, both taken back, a signature."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

from fastapi import Form, Request
from fastapi.responses import Response

from hub.attendance.evidence import HALVES, STATES
from hub.days.office import EntryRefused, HalfDayOf
from hub.dayview.pupilday import class_on
from hub.web.dayforms import MARKS, REASONS, FormDay, FormHalf, Half, back_to, done
from hub.web.doorman import person_of
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.leaves import held_to, why
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor

if TYPE_CHECKING:
    from hub.store.peoplerows import Person

FormBack = Annotated[str, Form(max_length=20)]
FormAct = Annotated[str, Form(max_length=120)]
FormReason = Annotated[str, Form(max_length=20)]
EXCUSED: Final = N_("nghỉ phép hôm nay (P)")
UNDONE: Final = N_("Đã hoàn tác.")


def add_class_forms(web: Web) -> None:
    """`/class/mark`, `/class/leave`, `/class/leave/back`, `/class/sign`."""
    _add_marks(web)
    _add_leave(web)
    _add_leave_back(web)


def _add_marks(web: Web) -> None:
    @web.form("/class/mark", "mark-class", "mark pupil", of="class")
    def mark(
        visit: Visitor,
        request: Request,
        act: FormAct = "",
        day: FormDay = None,
        half: FormHalf = "am",
        reason: FormReason = "",
        back: FormBack = "",
    ) -> Response:
        pupil, _, state = act.partition(" ")
        day = day or visit.today
        if state not in STATES:
            return web.show_problem(visit, 422, "invalid-request")
        person = _member(web, visit, pupil, day)
        if day < visit.today and reason not in REASONS:
            return web.show_problem(visit, 409, "reason-needed")
        before = _said(web, pupil, day, half)
        if before != state:
            try:
                web.store.office.roll_call(
                    person_of(visit).name,
                    HalfDayOf(visit.school_class or "", day, half),
                    {pupil: state},
                    reason=REASONS.get(reason, ""),
                )
            except EntryRefused as problem:
                return web.show_refused(visit, problem)
            visit.note(f"mark {state}", pupil)
        text = f"{person.name}: {web.say(visit, MARKS[state])}"
        fields = {"act": f"{pupil} {before}", "day": day.isoformat(), "half": half, "reason": "slip"}
        undo = None if before == state else (_path("/class/mark", visit), fields)
        return done(request, text, undo, back_to(back, visit.school_class, day, half, pupil))

    @web.form("/class/sign", "mark-class", "sign class", of="class")
    def sign(
        visit: Visitor, request: Request, day: FormDay = None, half: FormHalf = "am", back: FormBack = ""
    ) -> Response:
        day = day or visit.today
        try:
            place = HalfDayOf(visit.school_class or "", day, half)
            web.store.office.roll_call(person_of(visit).name, place, {}, confirms=True)
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        return done(
            request,
            web.say(visit, N_("Đã xác nhận danh sách như đang có.")),
            None,
            back_to(back, visit.school_class, day, half),
        )


def _add_leave(web: Web) -> None:
    @web.form("/class/leave", "leave", "leave for a day", of="class")
    def leave(
        visit: Visitor,
        request: Request,
        act: FormAct = "",
        day: FormDay = None,
        half: FormHalf = "am",
        reason: FormReason = "",
        back: FormBack = "",
    ) -> Response:
        day, pupil = day or visit.today, act
        person = _member(web, visit, pupil, day)
        held_to(web, visit, pupil, day, day)
        by, because = person_of(visit).name, why(visit, day, reason)
        made: str | None = None
        word = ""
        try:
            # Of two touches at once the second finds what the first one made.
            with web.store.database.transaction():
                if not _stands(web, pupil, day, half):
                    made = str(web.store.office.leave(by, pupil, (day, half), (day, HALVES[-1]), because))
                said = _said(web, pupil, day, half)
                if visit.allows("mark-class", visit.school_class) and said != "withdrawn":
                    # A word that was said before would stand before the notice.
                    place = HalfDayOf(visit.school_class or "", day, half)
                    web.store.office.roll_call(by, place, {pupil: "withdrawn"}, reason=because or REASONS["parents"])
                    word = said
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        if made is not None:
            visit.note("leave", pupil)
        text = f"{person.name}: {web.say(visit, EXCUSED)}"
        undo = _undo_of_leave(visit, pupil, made, word, {"day": day.isoformat(), "half": half, "reason": "slip"})
        return done(request, text, undo, back_to(back, visit.school_class, day, half, pupil))


def _add_leave_back(web: Web) -> None:
    @web.form("/class/leave/back", "leave", "leave taken back", of="class")
    def leave_back(
        visit: Visitor,
        request: Request,
        act: FormAct = "",
        day: FormDay = None,
        half: FormHalf = "am",
        reason: FormReason = "",
        word: FormReason = "",
        back: FormBack = "",
    ) -> Response:
        """From `day` on; what of the notice lies before stays. `word`: what the touch that is undone took back."""
        day = day or visit.today
        with web.store.database.lock:
            found, gone = web.store.days.leave(act), web.store.days.withdrawal(act) is not None
        if found is None:
            return web.show_problem(visit, 409, EntryRefused.code)
        _member(web, visit, found.pupil, day)
        held_to(web, visit, found.pupil, min(day, found.last[0]), found.last[0])
        if not found.first[0] <= day <= found.last[0]:
            # The day says whose pupil it is and what stays of the notice: it can't be one that the notice hasn't.
            return web.show_problem(visit, 409, EntryRefused.code)
        because = why(visit, day, reason)
        by, place = person_of(visit).name, HalfDayOf(visit.school_class or "", day, half)
        try:
            if not gone:
                with web.store.database.transaction():
                    web.store.office.withdraw_leave(by, act, day, because)
                    unsaid = word in STATES and _said(web, found.pupil, day, half) == "withdrawn"
                    if unsaid and word != "withdrawn" and visit.allows("mark-class", visit.school_class):
                        # Only where nobody said anything since.
                        web.store.office.roll_call(by, place, {found.pupil: word}, reason=REASONS["slip"])
                visit.note("leave taken back", found.pupil)
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        return done(request, web.say(visit, UNDONE), None, back_to(back, visit.school_class, day, half, found.pupil))


def _path(path: str, visit: Visit) -> str:
    return f"{path}?class={quote(visit.school_class or '', safe='/')}"


def _member(web: Web, visit: Visit, pupil: str, day: date) -> Person:
    """The pupil, who is of the page's class on that day, or of a day to come is of it today; raises Refusal of any
    other, and of one that isn't there.
    """
    with web.store.database.lock:
        asked = {class_on(web.store, pupil, day), class_on(web.store, pupil, min(day, visit.today))}
        person = web.store.people.find(pupil)
    if person is None:
        raise Refusal(409, EntryRefused.code, "There is no such pupil.")
    if visit.school_class is None or visit.school_class not in asked:
        visit.deny(pupil)
    return person


def _said(web: Web, pupil: str, day: date, half: Half) -> str:
    """What stands as people's last word; `withdrawn` where nobody said anything."""
    last = "withdrawn"
    with web.store.database.lock:
        for said, how, _ in web.store.days.statements(day, day):
            if (said.pupil, said.half) == (pupil, half) and how != "gate":
                last = said.state
    return last


def _stands(web: Web, pupil: str, day: date, half: Half) -> bool:
    """Whether a notice excuses the half-day, whoever entered it."""
    with web.store.database.lock:
        return any(
            leave.pupil == pupil and gone_ms is None and leave.covers(day, half)
            for leave, gone_ms in web.store.days.leaves(day, day)
        )


def _undo_of_leave(
    visit: Visit, pupil: str, made: str | None, word: str, fields: Mapping[str, str]
) -> tuple[str, dict[str, str]] | None:
    """What takes back what a touch on leave did: the notice that it made, the word that it took back; None: nothing."""
    if made is not None:
        return _path("/class/leave/back", visit), {"act": made, "word": word, **fields}
    return (_path("/class/mark", visit), {"act": f"{pupil} {word}", **fields}) if word else None
