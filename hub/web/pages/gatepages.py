"""The pages at the gate: the live board, and letting in a pupil without a card, found by name without accents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Form, Request
from fastapi.responses import Response

from hub.days.office import EntryRefused
from hub.dayview.board import gate_devices, newest
from hub.dayview.namesakes import called
from hub.dayview.pupilday import class_on
from hub.web.dayforms import done, shown_names
from hub.web.doorman import person_of
from hub.web.ground import Web
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.names import class_order, found_by, name_order

if TYPE_CHECKING:
    from hub.attendance.schoolday import Pupil

FOUND_MAX: Final = 20
LETTERS_MIN: Final = 2
LET_IN: Final = N_("Đã cho vào")
FormKey = Annotated[str, Form(max_length=80)]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who was let in by hand today: `at_ms` when they were seen."""

    record: str
    name: str
    school_class: str
    at_ms: int
    by: str


def add_gate_pages(web: Web) -> None:
    """`/gate`, `/guard`."""

    @web.page("/gate")
    def gate(visit: Visitor) -> Response:
        store = web.store
        with store.database.lock:
            position = store.board.read_to()
            rows = newest(store, visit.today, web.pulse.members.of(visit.today))
            devices = gate_devices(store, web.status.fleet, store.clock.mono_ms())
        return web.show(visit, "gate.html", rows=rows, devices=devices, position=position)

    @web.page("/guard")
    def guard(visit: Visitor) -> Response:
        return _guard(web, visit, "", [])

    # A name that is looked for stands in no address: it is sent, as a form.
    @web.form("/guard/find", "admit-at-gate", "find pupil at gate")
    def find(visit: Visitor, q: Annotated[str, Form(max_length=80)] = "") -> Response:
        return _guard(web, visit, q, _found(web, visit, q))

    @web.form("/guard/admit", "admit-at-gate", "admit at gate")
    def admit(visit: Visitor, request: Request, act: FormKey = "") -> Response:
        try:
            record = str(web.store.office.admit(person_of(visit).name, act))
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        visit.note("admitted", act)
        with web.store.database.lock:
            person, school_class = web.store.people.find(act), class_on(web.store, act, visit.today)
        name = "" if person is None else person.name
        text = f"{web.say(visit, LET_IN)}: {name} {school_class or ''}"
        return done(request, text, ("/guard/back", {"act": record}), "/guard")

    @web.form("/guard/back", "admit-at-gate", "admission taken back")
    def back(visit: Visitor, request: Request, act: FormKey = "") -> Response:
        try:
            web.store.office.take_back_admission(person_of(visit).name, act, visit.today)
        except EntryRefused as problem:
            return web.show_refused(visit, problem)
        return done(request, web.say(visit, N_("Đã hoàn tác.")), None, "/guard")


def _guard(web: Web, visit: Visit, asked: str, found: list[Pupil]) -> Response:
    admitted = _admitted(web, visit)
    return web.show(
        visit,
        "guard.html",
        title=web.say(visit, N_("Cho vào không thẻ")),
        asked=asked,
        found=found[:FOUND_MAX],
        more=len(found) > FOUND_MAX,
        short=len(asked.strip()) < LETTERS_MIN,
        admitted=admitted,
        names=shown_names(web, {one.by for one in admitted}),
    )


def _found(web: Web, visit: Visit, asked: str) -> list[Pupil]:
    """Pupils of today by name, or by class where that is typed beside it (`an 3/2`), in the order of lists."""
    pieces = asked.split()
    if len("".join(pieces)) < LETTERS_MIN:
        return []
    of_class = [piece for piece in pieces if any(letter.isdigit() for letter in piece)]
    name = " ".join(piece for piece in pieces if piece not in of_class)
    with web.store.database.lock:
        mine = [
            one
            for one in web.store.people.of(visit.today, visit.today)
            if (not name or found_by(name, one.name))
            and all(one.school_class.casefold() == c.casefold() for c in of_class)
        ]
        # The guard sees no birth dates: the end of the school's code tells namesakes apart.
        names = called(mine, web.store.people.find, births=False)
    order = sorted(mine, key=lambda one: (name_order(one.name), class_order(one.school_class)))
    return [replace(one, name=names[one.key]) for one in order]


def _admitted(web: Web, visit: Visit) -> list[Admitted]:
    """Who was let in by hand today and wasn't taken back, the newest first."""
    found: dict[tuple[str, int], Admitted] = {}
    with web.store.database.lock:
        people = web.pulse.members.of(visit.today)
        names = called(people.values(), web.store.people.find, births=False)
        for said, how, seen_ms in web.store.days.statements(visit.today, visit.today):
            pupil = people.get(said.pupil)
            if how != "gate" or seen_ms is None or pupil is None:
                continue
            if said.state == "withdrawn":
                found.pop((said.pupil, seen_ms), None)
            else:
                found[said.pupil, seen_ms] = Admitted(said.id, names[said.pupil], pupil.school_class, seen_ms, said.by)
    return sorted(found.values(), key=lambda one: -one.at_ms)[:FOUND_MAX]
