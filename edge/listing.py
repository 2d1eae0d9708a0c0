"""A listing of a journal: one line a record, oldest first, for people or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.bookcopy import journal_files, opened
from edge.journalfile import STORAGE_ERRORS, explained
from protocol.envelope import TYPE_PREFIX, decode_event
from protocol.errors import BadMessage
from protocol.taps import TAP_TYPES


def list_journal(path: Path, as_json: bool) -> Iterator[str]:
    """The lines. Raises JournalFailed, JournalDamaged; what can't be understood is listed as such."""
    for file in journal_files(path):
        with opened(file) as database:
            try:
                for position, raw in database.execute("SELECT position, raw FROM event ORDER BY position"):
                    yield _line(position, raw, as_json)
            except STORAGE_ERRORS as problem:
                raise explained(problem, f"{file} can't be read") from problem


def _line(position: int, raw: object, as_json: bool) -> str:
    try:
        if not isinstance(raw, bytes):
            raise BadMessage("its bytes are stored as something else")
        event = decode_event(raw)
        data: dict[str, Any] = msgspec.json.decode(event.data)
    except (BadMessage, msgspec.DecodeError, RecursionError, ValueError) as problem:
        if as_json:
            return _json({"id": None, "type": None, "position": position, "problem": str(problem)})
        return f"position {position}: {problem}"
    if as_json:
        shown = {"id": event.id, "type": event.type, "time": event.time, "source": event.source}
        return _json({**shown, "subject": event.subject, "prev": event.prev, "data": data})
    if event.name in TAP_TYPES:
        what = f"{data.get('point')} {data.get('decision')} {data.get('reason') or ''} {data.get('card')}"
    else:
        what = " ".join(f"{name}={value}" for name, value in data.items() if isinstance(value, str | int))[:120]
    return f"{event.time}  {event.id:<24} {event.type.removeprefix(TYPE_PREFIX):<22} {what}".rstrip()


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode("utf-8")
