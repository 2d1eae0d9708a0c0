"""The status of a hub: devices, what they owe, holes, what stands beside, the road to the city; for API and page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hub.backups.regainer import told as regained
from hub.road.intake import previous_of
from protocol.envelope import rfc3339, text_of
from protocol.signing import fingerprint

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.road.fleet import Fleet
    from hub.store.devices import Device
    from hub.store.notes import CalendarBack, DietsBack

_FIRST_RECORDS = (
    "SELECT journals.journal, events.raw FROM journals CROSS JOIN events ON events.journal = journals.number"
    " WHERE events.sequence = 1"
)
SILENT_S = 90
"""Three missed states: a gateway that was not heard for so long is shown as silent."""


class Status:
    """Made anew for each request, under the database's lock, without a look at the records themselves."""

    def __init__(self, store: Store, fleet: Fleet) -> None:
        """`parts` are asked for what is wrong with them: name -> a code, or None while all is well."""
        self._store, self.fleet = store, fleet
        self.parts: dict[str, Any] = {}
        self.standing: list[str] = []
        self.backup: Callable[[], dict[str, Any]] = dict
        """What is told of backups."""
        self._lock = threading.Lock()

    def troubles(self) -> dict[str, str]:
        """What doesn't work now, by part."""
        found = {name: ask() for name, ask in self.parts.items()}
        return {name: code for name, code in found.items() if code is not None}

    def whole(self) -> dict[str, Any]:
        """Everything that the page shows."""
        store = self._store
        with store.database.lock:
            one = _one(store)
            devices = [self._device(device) for device in store.devices.all()]
            books = store.ledger.books.all()
            city = store.config.city.kind
            release = store.roster.current()
            return {
                "school": store.config.school,
                "hub": store.config.hub_id,
                "time": rfc3339(store.clock.now_ms()),
                "time_error_ms": store.clock.error_ms(),
                "troubles": self.troubles(),
                "warnings": list(self.standing),
                "records": sum(len(book.held) for book in books),
                "owed": sum(device["owed"] or 0 for device in devices),
                "oldest_age_s": max((device["oldest_age_s"] or 0 for device in devices), default=0),
                "holes": sum(last - first + 1 for book in books for first, last in book.holes()),
                "parked": one("SELECT count(*) FROM parked"),
                "pending": one("SELECT count(*) FROM pending_batches"),
                "forks": one("SELECT count(*) FROM forks"),
                "city": {
                    "kind": city,
                    "backlog": self._backlog() if store.config.city.answers else None,
                    "held_back": one("SELECT count(*) FROM forward_exceptions WHERE state = 'held-back'"),
                    "dead": one("SELECT count(*) FROM forward_exceptions WHERE state = 'dead'"),
                },
                "backup": self.backup(),
                "regained": regained(store),
                "calendar": _back(store.calendar_in_doubt()),
                "diets": _back(store.diets_in_doubt()),
                "roster": None if release is None else release[1],
                "devices": devices,
                "alarms": self._alarms(),
            }

    def devices(self) -> list[dict[str, Any]]:
        """Every gateway as the page shows it."""
        with self._store.database.lock:
            return [self._device(device) for device in self._store.devices.all()]

    def _backlog(self) -> int:
        one = _one(self._store)
        last: int = one("SELECT coalesce(max(position), 0) FROM events")
        waiting: int = one("SELECT count(*) FROM forward_exceptions WHERE state IN ('waiting', 'held-back')")
        return last - self._store.forward.cursor() + waiting

    def _device(self, device: Device) -> dict[str, Any]:
        heard = self.fleet.find(device.device)
        state = None if heard is None else heard.state
        silent_s = None if heard is None else (self._store.clock.mono_ms() - heard.at_ms) // 1000
        link = "unheard"
        if heard is not None and silent_s is not None:
            link = "lost" if not heard.connected else "silent" if silent_s > SILENT_S else "connected"
        books = self._store.ledger.books.of_device(device.device)
        return {
            "device": device.device,
            "standing": device.standing,
            "keys": [{"fingerprint": fingerprint(key.key), "standing": key.standing} for key in device.keys],
            "link": link,
            "heard_s": silent_s,
            "records": sum(len(book.held) for book in books),
            "holes": [
                {"journal": book.journal, "first": first, "last": last}
                for book in books
                for first, last in book.holes()[:16]
            ],
            "owed": None if state is None else state.owed,
            "oldest_age_s": None if state is None else state.oldest_age_s,
            "sync": None if state is None else state.sync,
            "error_ms": None if state is None else state.err,
            "disk_free_bytes": None if state is None else state.disk_free_bytes,
            "alarms": [] if state is None else state.alarms,
            "readers": {} if state is None else state.readers,
            "counters": {} if state is None else msgspec.to_builtins(state.counters),
            "rosters": {} if state is None else state.rosters,
            "version": None if state is None else state.version,
        }

    def _alarms(self) -> list[dict[str, Any]]:
        rows = self._store.database.connection.execute(
            "SELECT code, device, detail, first_ms, last_ms, count FROM alarms ORDER BY last_ms DESC LIMIT 50"
        )
        return [
            {
                "code": code,
                "device": device,
                "detail": detail,
                "first": rfc3339(first_ms),
                "last": rfc3339(last_ms),
                "count": count,
            }
            for code, device, detail, first_ms, last_ms, count in rows
        ]

    def journals(self) -> dict[str, Any]:
        """What the hub holds of every journal: the witness that `k12edge verify` asks."""
        store = self._store
        with store.database.lock:
            before = {
                journal: previous_of(bytes(raw)) for journal, raw in store.database.connection.execute(_FIRST_RECORDS)
            }
            answer: dict[str, Any] = {}
            for book in store.ledger.books.all():
                mark = store.ledger.mark(book)
                answer[book.journal] = {
                    "source": book.source,
                    "previous": before.get(book.journal),
                    "through": mark.through,
                    "head": mark.head,
                    "missing": book.holes()[:256],
                    "parked": mark.parked,
                    "pruned_through": book.pruned_through,
                }
            return {"journals": answer}

    def beside(self, kind: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Parked records and messages, forks, or dead letters, with their bytes, in the order of arrival."""
        with self._store.database.lock:
            rows = self._store.database.connection.execute(_BESIDE[kind], (after, limit)).fetchall()
        return [
            {
                "number": number,
                "device": device,
                "name": name,
                "reason": reason,
                "detail": detail,
                "received": rfc3339(received_ms),
                "raw": _shown(bytes(raw)),
            }
            for number, device, name, reason, detail, received_ms, raw in rows
        ]


_BESIDE = {
    "parked": "SELECT number, device, journal || '.' || sequence, reason, detail, received_ms, raw FROM parked"
    " WHERE number > ? ORDER BY number LIMIT ?",
    "forks": "SELECT rowid, device, journal || '.' || sequence, 'record-forked', '', received_ms, raw FROM forks"
    " WHERE rowid > ? ORDER BY rowid LIMIT ?",
    "dead-letters": "SELECT x.position, j.source, j.journal || '.' || e.sequence, x.state, x.problem, e.received_ms,"
    " e.raw FROM forward_exceptions x JOIN events e USING (position) JOIN journals j ON j.number = e.journal"
    " WHERE x.state = 'dead' AND x.position > ? ORDER BY x.position LIMIT ?",
}


def _back(note: CalendarBack | DietsBack | None) -> dict[str, Any] | None:
    """Of which moment is what a person is to look at after a loss; None where nobody has to."""
    return None if note is None else {"asked_ms": note.asked_ms, "backup_ms": note.backup_ms}


def _shown(raw: bytes) -> dict[str, str]:
    try:
        return {"text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64url": text_of(raw)}


def _one(store: Store) -> Any:
    def ask(statement: str) -> int:
        found = store.database.connection.execute(statement).fetchone()[0]
        assert isinstance(found, int)
        return found

    return ask
