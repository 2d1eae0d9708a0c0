"""The page of the road to the city: what waits and since when, dead letters with their reason, alarms that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.web.ground import Web
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.envelope import decode_event
from protocol.errors import BadMessage

if TYPE_CHECKING:
    from hub.parts import Store

ROWS: Final = 50
NUMBER_MAX: Final = (1 << 63) - 1
NOTE_CHARACTERS_MAX: Final = 500
Position = Annotated[int, Form(ge=1, le=NUMBER_MAX)]
REASONS: Final = {
    "unknown-student": N_("thành phố chưa biết học sinh này"),
    "too-large": N_("bản ghi quá lớn"),
    "rejected": N_("thành phố không nhận, không nói lý do"),
}
"""What the last word of a problem's type says, where it is known; else the type is shown as it came."""
SAID: Final = {
    "resent": N_("Đã đưa vào hàng đợi để gửi lại."),
    "closed": N_("Đã đóng, có ghi chú."),
    "gone": N_("Bản ghi này không còn bị từ chối; có thể ai đó đã xử lý."),
    "note": N_("Hãy viết ghi chú vì sao đóng."),
}


def add_city_pages(web: Web) -> None:
    """`/city`."""

    @web.page("/city")
    def city(
        visit: Visitor,
        after: Annotated[int, Query(ge=0, le=NUMBER_MAX)] = 0,
        said: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        status = web.status.whole()
        with web.store.database.lock:
            dead = _dead(web.store, after)
            closed = _closed(web.store)
            oldest_ms = web.store.forward.oldest_ms() if status["city"]["kind"] == "k12records" else None
        told = SAID.get(said)
        return web.show(
            visit, "city.html", status=status, dead=dead, closed=closed, oldest_ms=oldest_ms,
            trouble=status["troubles"].get("city"), more=dead[-1]["position"] if len(dead) == ROWS else None,
            reasons={code: web.say(visit, text) for code, text in REASONS.items()},
            said=said, told=None if told is None else web.say(visit, told),
        )  # fmt: skip

    @web.form("/city/resend", "city", "dead letter resent")
    def resend(visit: Visitor, position: Position) -> Response:
        with web.store.database.transaction():
            found = web.store.forward.resend(position)
        _came(visit, found, "dead letter resent", position)
        web.wake()
        return RedirectResponse(f"/city?said={'resent' if found else 'gone'}", 303)

    @web.form("/city/close", "city", "dead letter closed")
    def close(
        visit: Visitor, position: Position, note: Annotated[str, Form(max_length=NOTE_CHARACTERS_MAX)] = ""
    ) -> Response:
        if not note.strip():
            visit.failed("reason-needed")
            return RedirectResponse("/city?said=note", 303)
        with web.store.database.transaction():
            found = web.store.forward.close(position, note.strip())
        _came(visit, found, "dead letter closed", position)
        return RedirectResponse(f"/city?said={'closed' if found else 'gone'}", 303)


def _came(visit: Visit, found: bool, what: str, position: int) -> None:
    if found:
        visit.note(what, str(position))
    else:
        visit.failed("no-dead-letter")


def _dead(store: Store, after: int) -> list[dict[str, Any]]:
    rows = store.database.connection.execute(
        "SELECT x.position, e.raw, x.problem, x.attempts, e.received_ms FROM forward_exceptions AS x"
        " JOIN events AS e USING (position) WHERE x.state = 'dead' AND x.position > ? ORDER BY x.position LIMIT ?",
        (after, ROWS),
    ).fetchall()
    return [
        {"position": position, "problem": problem or "", "attempts": attempts, "received_ms": received_ms}
        | _named(bytes(raw))
        for position, raw, problem, attempts, received_ms in rows
    ]


def _closed(store: Store) -> list[dict[str, Any]]:
    rows = store.database.connection.execute(
        "SELECT x.position, e.raw, x.problem, x.note FROM forward_exceptions AS x JOIN events AS e USING (position)"
        " WHERE x.state = 'closed' ORDER BY x.position DESC LIMIT ?",
        (ROWS,),
    ).fetchall()
    return [
        {"position": position, "problem": problem or "", "note": note or ""} | _named(bytes(raw))
        for position, raw, problem, note in rows
    ]


def _named(raw: bytes) -> dict[str, str]:
    """A record's id, type and source; nothing of what it says of anybody."""
    try:
        event = decode_event(raw)
    except BadMessage:
        return {"id": "-", "type": "-", "source": "-"}
    return {"id": event.id, "type": event.name, "source": event.source.rpartition(":")[2]}
