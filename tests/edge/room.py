"""A gateway's parts on a folder, real ones throughout: keys, clock, journal, and drafts to write."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.bookcopy import journal_files, opened
from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.salvage import open_journal
from protocol.envelope import Event, clock_data, decode_event, digest
from protocol.signing import Identity
from protocol.status import HubState, hub_text
from protocol.taps import Draft, TapData

SCHOOL, DEVICE = "79000701", "cong-a"
SOURCE = f"urn:k12edge:dev:{SCHOOL}-{DEVICE}"
CLOCK = SystemClock()


def begin(data: Path, **more: Any) -> SqliteJournal:
    """One run of a gateway's journal in `data`; `more` goes to the journal."""
    data.mkdir(parents=True, exist_ok=True)
    journal, aside = open_journal(data, **parts(data), **more)
    assert aside == []
    return journal


def parts(data: Path) -> dict[str, Any]:
    """What a journal is made of."""
    return {
        "journal": secrets.token_hex(8),
        "source": SOURCE,
        "identity": DeviceKeys(data, None).identity,
        "clock": CLOCK,
        "version": "test",
    }


def draft(card: str = "hk1:AAAAAAAAAAA", *, student: str | None = "st-1", decision: str = "accepted") -> Draft:
    """A gate's tap, now."""
    reading = CLOCK.read()
    data = TapData(
        kind="gate",
        point="cong",
        dir="in",
        card=card,
        student=student,
        decision=decision,  # type: ignore[arg-type]  # Tests name the three by their words.
        reason=None,
        signal="ok",
        roster=None,
        clock=clock_data(reading),
    )
    return Draft("attendance.tap", reading.best_ms, data, None if student is None else f"student/{student}")


def tap(journal: SqliteJournal, card: str = "hk1:AAAAAAAAAAA") -> int:
    """Write one tap; its sequence."""
    return journal.append(draft(card), "cong", card, "accepted").tap.sequence


def records(path: Path) -> list[bytes]:
    """Every record of a file or data directory, as stored."""
    found: list[bytes] = []
    for file in journal_files(path):
        with opened(file) as database:
            found += [bytes(raw) for (raw,) in database.execute("SELECT raw FROM event ORDER BY position")]
    return found


def events(path: Path) -> list[Event]:
    """The same, read."""
    return [decode_event(raw) for raw in records(path)]


def chain_holds(lines: list[bytes]) -> bool:
    """Whether each record names the exact bytes of the one before, within each journal."""
    heads: dict[str, str | None] = {}
    for raw in lines:
        event = decode_event(raw)
        if event.prev != heads.get(event.tap.journal):
            return False
        heads[event.tap.journal] = digest(raw)
    return True


def data_of(event: Event) -> Any:
    """A record's data, as plain values."""
    return msgspec.json.decode(event.data)


def hub_state(hub: Identity, epoch: str = "e1") -> HubState:
    """What a hub that is ready says of itself."""
    state = HubState("ready", epoch, hub.key, hub.box)
    return replace(state, sig=hub.sign(hub_text(state)))
