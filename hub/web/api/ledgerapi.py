"""What programs ask of the ledger and the gateways: health, status, digests, dead letters.

Without a login it tells no names, and nothing that people entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from hub.access.records import is_personal, may_have
from hub.access.rights import Right
from hub.store.database import open_for_reading
from hub.web.errors import problem
from hub.web.ground import Web
from hub.web.visits import Visit, Visitor
from protocol.audit import PAGE_DEFAULT, PAGE_MAX, RANGE_MAX, cursor_of, encode_page, range_digest, withheld
from protocol.envelope import decode_event
from protocol.errors import BadMessage
from protocol.taps import SEQUENCE_MAX

BESIDE: Final = ("parked", "forks", "dead-letters")
NUMBER_MAX: Final = (1 << 63) - 1
"""The greatest number of a row that SQLite can have."""
Position = Annotated[int, Path(ge=1, le=NUMBER_MAX)]


class Note(BaseModel):
    """Why a dead letter is closed, in a person's words."""

    note: str = Field(min_length=1, max_length=500)


def add_ledger(web: Web) -> None:
    """All of it: open to programs of this machine, to others by a token."""
    _add_status(web)
    _add_audit(web)
    _add_dead_letters(web)
    _add_journals(web)


def _add_status(web: Web) -> None:
    status = web.status

    @web.api("GET", "/healthz", "see-devices", here=True)
    def healthz() -> Response:
        """200 while everything works, else 503 and what doesn't."""
        troubles = status.troubles()
        return JSONResponse({"status": "degraded" if troubles else "ok", **troubles}, 503 if troubles else 200)

    @web.api("GET", "/v1/status", "see-devices", here=True)
    def whole() -> Any:
        """Everything that the status page shows."""
        return status.whole()

    @web.api("GET", "/v1/devices", "see-devices", here=True)
    def devices() -> Any:
        """Every gateway: standing, fingerprints, link, what it owes."""
        return {"devices": status.whole()["devices"]}

    for kind in BESIDE:
        _add_beside(web, kind)


def _add_beside(web: Web, kind: str) -> None:
    def listing(
        visit: Visitor,
        after: Annotated[int, Query(ge=0, le=NUMBER_MAX)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    ) -> Any:
        items = web.status.beside(kind, after, limit)
        mine = _Looking(visit)
        for item in items:
            if not mine.may_have(_kind_in(item["raw"])):
                item["raw"] = None
        mine.looked()
        return {"items": items, "next": items[-1]["number"] if len(items) == limit else None}

    right: Right = "see-city" if kind == "dead-letters" else "see-devices"
    add = web.api("GET", f"/v1/{kind}", right, here=True, name=kind, summary=f"{kind}, in the order of arrival")
    add(listing)


def _add_audit(web: Web) -> None:
    store = web.store

    @web.api("GET", "/v1/ledger/events", "see-devices", here=True)
    def events(
        visit: Visitor,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    ) -> Response:
        """The ledger's records in the order of commits, each with its effective time; words as far as rights go."""
        position = cursor_of(after)
        reader = open_for_reading(store.path)
        try:
            rows = reader.execute(
                "SELECT position, raw FROM events WHERE position > ? ORDER BY position LIMIT ?", (position, limit + 1)
            ).fetchall()
        finally:
            reader.close()
        mine, page = _Looking(visit), []
        with store.database.lock:
            for row in rows[:limit]:
                raw = bytes(row["raw"])
                event = decode_event(raw)
                effective = store.anchors.of(event.source).effective(event)
                page.append((row["position"], raw if mine.may_have(event.name) else withheld(event, raw), effective))
        mine.looked()
        return Response(encode_page(page, more=len(rows) > limit), media_type="application/json")

    @web.api("GET", "/v1/ledger/events/digest", "see-devices", here=True)
    def digest(
        journal: Annotated[str, Query(pattern="^[0-9a-f]{16}$")],
        first: Annotated[int, Query(alias="from", ge=1, le=SEQUENCE_MAX)],
        last: Annotated[int, Query(alias="to", ge=1, le=SEQUENCE_MAX)],
    ) -> Response:
        """How many records of a range are held, and the hash over their digests."""
        if last < first or last - first >= RANGE_MAX:
            raise BadMessage(f"from={first} to={last} is not a range of at most {RANGE_MAX} records")
        reader = open_for_reading(store.path)
        try:
            found = range_digest(_digests(reader, journal, first, last))
        finally:
            reader.close()
        return Response(msgspec.json.encode(found), media_type="application/json")


def _digests(reader: Any, journal: str, first: int, last: int) -> Iterator[bytes]:
    for (digest,) in reader.execute(
        "SELECT e.digest FROM events e JOIN journals j ON j.number = e.journal WHERE j.journal = ?"
        " AND e.sequence BETWEEN ? AND ? ORDER BY e.sequence",
        (journal, first, last),
    ):
        yield bytes(digest)


class _Looking:
    """A look at records: which of them the visitor may read, and what the audit is told of it.

    A program of this machine that nobody logged in for counts and compares; it reads nothing that people entered.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._known: dict[str, bool] = {}

    def may_have(self, kind: str) -> bool:
        """Whether the words of such a record are theirs; `looked` is to be called before any are told."""
        if kind not in self._known:
            self._known[kind] = may_have(kind, lambda right: self._visit.allows(right, None))
        return self._known[kind]

    def looked(self) -> None:
        """Write down a look at what says something of somebody."""
        told = sorted(kind for kind, given in self._known.items() if given and is_personal(kind))
        if told:
            self._visit.looked(" ".join(told))


def _kind_in(shown: dict[str, str]) -> str:
    """The type of a record that stands beside the ledger; of bytes that are none a gateway's, which say no more."""
    try:
        return decode_event(shown.get("text", "").encode()).name
    except BadMessage:
        return "log.gap"


def _add_dead_letters(web: Web) -> None:
    store = web.store

    @web.api("POST", "/v1/dead-letters/{position}/resend", "city", here=True)
    def resend(position: Position) -> Any:
        """Submit a dead letter to the city again."""
        with store.database.transaction():
            found = store.forward.resend(position)
        web.wake()
        return {"resent": position} if found else problem(404, "no-dead-letter", "There is no such dead letter.")

    @web.api("POST", "/v1/dead-letters/{position}/close", "city", here=True)
    def close(position: Position, note: Note) -> Any:
        """Close a dead letter, saying why."""
        with store.database.transaction():
            found = store.forward.close(position, note.note)
        return {"closed": position} if found else problem(404, "no-dead-letter", "There is no such dead letter.")


def _add_journals(web: Web) -> None:
    @web.api("GET", "/v1/ledger/journals", "see-devices", here=True)
    def journals() -> Any:
        """What the hub holds of every journal: last record, head digest, holes."""
        return web.status.journals()
