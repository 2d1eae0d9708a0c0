"""Cards and the roster for programs: a pupil's cards, cards of nobody, changes; pupils and the release in force."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from hub.days.office import EntryRefused
from hub.desks.cardview import CardLine
from hub.web.ground import Web
from hub.web.pages.cardpages import name_of, pupil_here, reached, tap_named
from hub.web.visits import Visitor
from protocol.envelope import rfc3339
from protocol.names import class_order, name_order


class CardIn(BaseModel):
    """What happened to a card: `card` its number or name (`hk1:...`), or `tap` the id of a tap of it."""

    model_config = ConfigDict(extra="forbid")

    change: Literal["issued", "temporary", "lost", "found", "returned", "replaced"]
    student: str = Field(min_length=1, max_length=64)
    card: str | None = Field(None, min_length=1, max_length=64)
    tap: str | None = Field(None, min_length=1, max_length=40)


def add_card_api(web: Web) -> None:
    """`/v1/cards` and `/v1/roster`."""
    _add_cards(web)
    _add_roster(web)


def _add_cards(web: Web) -> None:
    @web.api("GET", "/v1/cards", "check-card", of="object")
    def cards(visit: Visitor, student: Annotated[str | None, Query(min_length=1, max_length=64)] = None) -> Any:
        """A pupil's cards and what happened to them; without `student` the cards of nobody that were seen today."""
        if student is None:
            visit.must(None, "", "cards")
            with web.store.database.lock:
                unknown = web.store.cardbook.unknown(visit.today)
            return {
                "unknown": [
                    {
                        "tap": one.tap,
                        "tail": one.tail,
                        "bindable": one.bindable,
                        "count": one.count,
                        "first": rfc3339(one.first_ms),
                        "last": rfc3339(one.last_ms),
                        "places": list(one.places),
                    }
                    for one in unknown
                ]
            }
        person = pupil_here(web, visit, student)
        with web.store.database.lock:
            lines, history = web.store.cardbook.of(person.key), web.store.cardbook.history(person.key)
        return {
            "student": person.key,
            "cards": [_card(line) for line in lines],
            "history": [
                {
                    "record": event.record,
                    "time": rfc3339(event.at_ms),
                    "card": event.name,
                    "change": event.change,
                    "since": _time(event.from_ms),
                    "by": event.by,
                }
                for event in history
            ],
        }

    @web.api("POST", "/v1/cards", "block-card", of="object")
    def change(said: CardIn, visit: Visitor) -> Any:
        """Something happened to a card; how many earlier taps found their pupil. `lost` needs no right to cards."""
        person = pupil_here(web, visit, said.student, "block-card" if said.change == "lost" else "cards")
        book, issues = web.store.cardbook, said.change in ("issued", "temporary")
        with web.store.database.transaction():
            tap = tap_named(web, said.tap) if said.tap else None
            text = said.card or (None if tap is None else tap.card)
            card = None if text is None else book.card_of(text)
            if card is None:
                raise EntryRefused("no whole card number is named, or it isn't known here")
            if issues:
                if person.state == "left":
                    raise EntryRefused("the pupil has left the school")
                held = book.last_holding(card)
                if held is not None and held.ended == "lost":
                    raise EntryRefused("the card was reported lost; say `found` first")
                if held is not None and held.open and held.pupil != person.key:
                    raise EntryRefused("the card is another pupil's; say `returned` first")
            since_ms = book.since_ms(card, said.change) if issues else None
            record, home = web.store.office.card(name_of(visit), said.change, card, person.key, since_ms)
        return {"record": str(record), "card": book.name(card), "home": home, "reach": _reach(web)}


def _card(line: CardLine) -> dict[str, Any]:
    return {
        "card": line.name,
        "tail": line.tail,
        "state": line.state,
        "since": _time(line.from_ms),
        "until": _time(line.to_ms),
    }


def _add_roster(web: Web) -> None:
    @web.api("GET", "/v1/roster", "roster", of="class")
    def roster(visit: Visitor) -> Any:
        """The pupils of a class, or of all, with the class of today; and how far the release in force has come."""
        with web.store.database.lock:
            people = [
                one for one in web.store.people.all(visit.today) if visit.school_class in (None, one.school_class)
            ]
            counts = web.store.cardbook.open_cards()
        people.sort(key=lambda one: (class_order(one.school_class), name_order(one.name), one.key))
        return {
            "release": _reach(web),
            "students": [
                {
                    "student": one.key,
                    "name": one.name,
                    "class": one.school_class,
                    "state": one.state,
                    "cards": counts.get(one.key, 0),
                }
                for one in people
            ],
        }


def _reach(web: Web) -> dict[str, Any]:
    found, now_ms = reached(web), web.store.clock.now_ms()
    return {
        "name": found.release,
        "age_s": None if found.made_ms is None else max(0, (now_ms - found.made_ms) // 1000),
        "known": found.known,
        "devices": found.devices,
        "behind": [{"device": one.device, "link": one.link, "heard_s": one.heard_s} for one in found.behind],
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
