"""Incident packs for programs: what was made, who ate by now, a new version and its files, one sent to the city."""

from __future__ import annotations

import threading
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from hub.desks.incidentdesk import IncidentNotSent, row_told
from hub.incidents.asking import HOURS_MAX, LOT_CHARACTERS_MAX, IncidentRefused, Scope, scope_of
from hub.incidents.files import FORMS, Form
from hub.incidents.pack import Line, Pack
from hub.papers import wrapped
from hub.web.dayforms import AskedDay, KnownDay
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.pages.cardpages import name_of
from hub.web.visits import Visit, Visitor
from protocol.envelope import rfc3339
from protocol.meals import Meal

LISTED: Final = 100
WAIT_S: Final = 20.0
ILL_MAX: Final = 2_000
AskedMeal = Annotated[Meal | None, Query(description="of one meal; absent: lot or hours")]
AskedLot = Annotated[str | None, Query(min_length=1, max_length=LOT_CHARACTERS_MAX, description="of a lot of food")]
AskedHours = Annotated[int | None, Query(ge=1, le=HOURS_MAX, description="of all meals of so many hours")]
_one = threading.Lock()


class PackIn(BaseModel):
    """Which pack: one of `meal` (of `day`, today), `lot` and `hours`; `ill`: pupils who are; `drill`: an exercise."""

    model_config = ConfigDict(extra="forbid")

    meal: Meal | None = None
    day: KnownDay | None = None
    lot: str | None = Field(None, min_length=1, max_length=LOT_CHARACTERS_MAX)
    hours: int | None = Field(None, ge=1, le=HOURS_MAX)
    drill: bool = False
    ill: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=ILL_MAX)
    forms: list[Form] = Field(default_factory=lambda: list(FORMS), max_length=3)


class SendIn(BaseModel):
    """A version: `scope` and `number` as `GET /v1/incidents` has them."""

    model_config = ConfigDict(extra="forbid")

    scope: str = Field(min_length=1, max_length=200)
    number: int = Field(ge=1, le=99_999)


def add_incident_api(web: Web) -> None:
    """`/v1/incidents`."""

    @web.api("GET", "/v1/incidents", "see-incident")
    def incidents(visit: Visitor) -> Any:
        """Incident packs that were made, the newest first, exercises too; names nobody."""
        with web.store.database.lock:
            rows = web.store.incidents.latest(LISTED)
        return {"items": [row_told(row) for row in rows]}

    @web.api("GET", "/v1/incidents/lists", "see-incident")
    def lists(
        visit: Visitor,
        meal: AskedMeal = None,
        day: AskedDay = None,
        lot: AskedLot = None,
        hours: AskedHours = None,
    ) -> Any:
        """Who ate by what is known now: every line of every list, with its record; no version is made."""
        scope = _scope(visit, meal, day, lot, hours)
        visit.looked(scope.key)
        try:
            return _told(scope, web.store.incidentdesk.look(scope))
        except IncidentRefused as problem:
            raise Refusal(422, problem.code, str(problem)) from problem

    @web.api("POST", "/v1/incidents", "incident")
    def make(asked: PackIn, visit: Visitor) -> Any:
        """Make the next version of a pack: its counts, and its files as base64."""
        scope = _scope(visit, asked.meal, asked.day, asked.lot, asked.hours)
        if not _one.acquire(timeout=WAIT_S):
            raise Refusal(429, "reports-busy", "Another pack is being made.", {"retry-after": "30"})
        try:
            made = web.store.incidentdesk.make(
                scope,
                name_of(visit),
                drill=asked.drill,
                ill=dict.fromkeys(asked.ill, True),
                language=visit.language,
                forms=tuple(dict.fromkeys(asked.forms)),
            )
        except IncidentRefused as problem:
            raise Refusal(422, problem.code, str(problem)) from problem
        finally:
            _one.release()
        visit.note("incident pack made", f"{scope.key} {made.issue.number}")
        return {
            "scope": scope.key,
            "number": made.issue.number,
            "record": made.record or None,
            "took": made.took_ms,
            "complete": made.pack.complete,
            "counts": made.pack.counts(),
            "files": [
                {"name": file.name, "sha256": file.sha256, "content": wrapped(file.octets)} for file in made.files
            ],
        }

    @web.api("POST", "/v1/incidents/send", "incident")
    def send(asked: SendIn, visit: Visitor) -> Any:
        """Send a version to the city, as opaque keys; how many records that took. An exercise is never sent. `travels`
        false: no city is configured, and the records wait for one.
        """
        try:
            count = web.store.incidentdesk.send(asked.scope, asked.number, name_of(visit))
        except IncidentNotSent as problem:
            raise Refusal(409, problem.code, str(problem)) from problem
        visit.note("incident pack sent", f"{asked.scope} {asked.number}")
        web.wake()
        return {"records": count, "travels": web.store.incidentdesk.travels}


def _scope(visit: Visit, meal: str | None, day: date | None, lot: str | None, hours: int | None) -> Scope:
    words = {
        "meal": meal,
        "date": None if day is None else day.isoformat(),
        "lot": lot,
        "last_hours": None if hours is None else str(hours),
    }
    try:
        return scope_of(words, visit.today)
    except IncidentRefused as problem:
        raise Refusal(422, problem.code, str(problem)) from problem


def _told(scope: Scope, pack: Pack) -> dict[str, Any]:
    return {
        "scope": scope.key,
        "complete": pack.complete,
        "counts": pack.counts(),
        "origins": [
            {
                "name": one.name,
                "complete": one.complete,
                "complete_to": None if one.complete_to_ms is None else rfc3339(one.complete_to_ms),
                "missing": [{"code": code, "about": about} for code, about in one.words],
            }
            for one in pack.known.origins
        ],
        "lines": [_line(line) for line in pack.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    who, when = line.who, line.when
    return {
        "list": line.list,
        "day": line.day.isoformat(),
        "meal": line.meal,
        "shift": line.shift,
        "student": None if who is None else who.key,
        "name": None if who is None else who.name,
        "class": None if who is None else who.school_class,
        "time": None if when is None else rfc3339(when.best_ms),
        "error_ms": None if when is None or not when.anchored else max(
            when.not_after_ms - when.best_ms, when.best_ms - when.not_before_ms
        ),
        "counter": line.counter or None,
        "nth": line.nth,
        "how": line.how,
        "presence": line.presence,
        "unsure": line.unsure,
        "record": line.record or None,
    }  # fmt: skip
