"""The trail of one record: when it was made, when it came here, when the city had it, what was said of it since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.cards.holders import whose
from hub.days.classbook import today_at
from protocol.envelope import decode_data, decode_event, rfc3339
from protocol.records import LeaveNotice, RollCall
from protocol.taps import TAP_TYPES, TapData, TapId

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.books import Book
    from protocol.envelope import Event
    from protocol.time import Effective


def trail_of(store: Store, name: TapId) -> dict[str, Any] | None:
    """Everything known of a record; None where the ledger hasn't it. Times are RFC 3339; no card number, no name.

    `student`: whose it is by the cards as they were then, or of whom a leave notice speaks; `class`: of which a roll
    call does; null where there is none. `corrections`: of a tap; of a leave notice its withdrawal. `city`: `held` with
    its time (null: longer ago than is remembered), `dead`, or `owed`.
    """
    with store.database.lock:
        book = store.ledger.books.find(name.journal)
        row = None
        if book is not None:
            row = store.database.connection.execute(
                "SELECT position, raw, received_ms FROM events WHERE journal = ? AND sequence = ?",
                (book.number, name.sequence),
            ).fetchone()
        if book is None or row is None:
            return None
        position, raw, received_ms = row
        event = decode_event(bytes(raw))
        when = store.anchors.of(event.source).effective(event)
        found: dict[str, Any] = {
            "id": event.id,
            "type": event.name,
            "source": event.source,
            "device": book.device,
            "day": today_at(when.best_ms).isoformat(),
            "time": _shown(when),
            "stated": event.time,
            "recorded": event.recordedtime,
            "hub": {"received": rfc3339(received_ms), "position": position},
            "city": _city(store, book, name.sequence, position),
            "student": None,
            "class": None,
            "corrections": [],
        }
        if event.name in TAP_TYPES and book.device is not None:
            found |= _tap(store, book, name, event, when)
        elif event.name == "attendance.leave" and book.device is None:
            found |= _leave(store, event)
        elif event.name == "attendance.rollcall" and book.device is None:
            found["class"] = decode_data(event, RollCall).school_class
        return found


def _shown(when: Effective) -> dict[str, Any]:
    return {
        "best": rfc3339(when.best_ms),
        "not_before": None if when.not_before_ms is None else rfc3339(when.not_before_ms),
        "not_after": None if when.not_after_ms is None else rfc3339(when.not_after_ms),
        "quality": when.quality,
    }


def _city(store: Store, book: Book, sequence: int, position: int) -> dict[str, Any]:
    if store.config.city.kind == "none":
        return {"state": "none", "time": None}
    if sequence in book.city_held:
        answered_ms = store.forward.answered_ms(position)
        return {"state": "held", "time": None if answered_ms is None else rfc3339(answered_ms)}
    return {"state": "dead" if sequence in book.city_dead else "owed", "time": None}


def _leave(store: Store, event: Event) -> dict[str, Any]:
    student = decode_data(event, LeaveNotice).student
    return {
        "student": student,
        "corrections": [
            {"record": record, "time": rfc3339(at_ms), "student": student, "why": "withdrawn"}
            for record, at_ms in store.days.withdrawals(event.id)
        ],
    }


def _tap(store: Store, book: Book, name: TapId, event: Event, when: Effective) -> dict[str, Any]:
    data = msgspec.json.decode(event.data, type=TapData)
    row = store.days.tap(book.number, name.sequence)
    student = data.student
    if row is not None:
        student = whose(store.holders.bindings(), row.card, when.best_ms, row.student)
    said = store.days.corrections_of(str(name))
    return {
        "station": data.point,
        "kind": data.kind,
        "direction": data.dir,
        "decision": data.decision,
        "reason": data.reason,
        "signal": data.signal,
        "believed": data.student,
        "student": student,
        "corrections": [
            {"record": one.record, "time": rfc3339(one.at_ms), "student": one.student, "why": one.why} for one in said
        ],
    }
