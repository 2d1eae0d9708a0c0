"""Re-deriving: whose taps they were, had a reader been declared as it really prints; nothing is overwritten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from hub.releases import Releases
from hub.roster import listed
from hub.store.devices import Device, Devices
from hub.store.ledger import Ledger
from hub.store.ownjournal import OwnJournal
from hub.store.secrets import Secrets
from protocol.cardforms import NumberPlan, PartialPlan
from protocol.cards import CardKey, CardUid
from protocol.envelope import Event, decode_data, decode_event
from protocol.errors import BadMessage, CardNumberError, NeedsHands
from protocol.rawread import decode_raw
from protocol.records import TapCorrection
from protocol.signing import SealRefused
from protocol.taps import TAP_TYPES, TapData

GROUP: Final = 200
"""Corrections in one transaction: a gateway's batch waits for the ledger no longer than for another gateway's."""
PERSON_CHARACTERS_MAX: Final = 64
PAGE: Final = 500
"""Records read at once; the ledger is free for others in between."""


class ReaderUnknown(NeedsHands):
    """No record of that reader is here."""

    code = "reader-unknown"
    hint = "Name it as DEVICE/STATION; k12edge hub devices list names the devices, their configuration the stations."


@dataclass(frozen=True, slots=True)
class Change:
    """One tap that is another pupil's than is known: its record, who was known, who it is, under which card id."""

    event: Event
    was: str | None
    student: str | None
    card: str


class Rederiving:
    """One reader's taps read again. A run that is broken off is simply run again: what is corrected stays so."""

    def __init__(
        self, ledger: Ledger, devices: Devices, secrets: Secrets, releases: Releases, device: str, station: str
    ) -> None:
        """Nothing was looked at yet. Raises ReaderUnknown."""
        self._ledger, self._secrets, self._station = ledger, secrets, station
        with ledger.database.lock:
            found = devices.find(device)
            self._books = [book.number for book in ledger.books.of_device(device)]
            if found is None or not self._books:
                raise ReaderUnknown(f"no record of a device {device} is here")
            self._device: Device = found
            self._keys: list[CardKey] = secrets.card_keys()
            self._rows = releases.rows()
        self.counts: Counter[str] = Counter()

    def changes(self, plan: NumberPlan, *, unassign: bool = False) -> Iterator[Change]:
        """Every tap that was read under another plan and names another pupil under this one than is known of it.

        Whose a card is, the roster of now says. Who left the school is in none, so a known pupil's tap becomes nobody's
        only with `unassign`.
        """
        known = self._corrected()
        parts = plan.partials()
        owners = listed(self._rows, parts)
        for event, data in self._taps():
            self.counts["taps"] += 1
            if data.raw is msgspec.UNSET:
                # A whole number that was known: nothing else was kept of it, and nothing is wrong with it.
                self.counts["without a raw read"] += 1
                continue
            try:
                read = decode_raw(self._opened(str(data.raw)))
                if read.plan == str(plan):
                    # It was read rightly. The roster may have changed since, which is no reason to rewrite the past.
                    self.counts["declared so"] += 1
                    continue
                card = plan.read(read.text or "")
            except (SealRefused, BadMessage, CardNumberError):
                self.counts["unreadable"] += 1
                continue
            pupils = {row.pupil_key for row in owners.get(_text(card, parts), ())}
            student = pupils.pop() if len(pupils) == 1 else None
            before = known.get(event.id)
            if before is not None and before.detail == str(plan):
                self.counts["corrected already"] += 1
                continue
            was = data.student if before is None else before.student
            if student == was:
                self.counts["as known"] += 1
                continue
            if student is None and not unassign:
                self.counts["left as they are"] += 1
                continue
            self.counts["corrected" if was is None else "another pupil's" if student is not None else "nobody's"] += 1
            yield Change(event, was, student, self._keys[-1].keyed(card))

    def correct(self, plan: NumberPlan, own: OwnJournal, by: str, *, unassign: bool = False) -> int:
        """Append a correction for each of `changes`, in the hub's own journal; how many."""
        done = 0
        group: list[Change] = []
        for change in self.changes(plan, unassign=unassign):
            group.append(change)
            if len(group) == GROUP:
                done += self._append(group, plan, own, by)
                group = []
        return done + self._append(group, plan, own, by)

    def _append(self, group: list[Change], plan: NumberPlan, own: OwnJournal, by: str) -> int:
        if group:
            with self._ledger.database.transaction():
                for change in group:
                    data = {
                        "tap": change.event.id,
                        "source": change.event.source,
                        "was": change.was,
                        "student": change.student,
                        "card": change.card,
                        "why": "rederived",
                        "detail": str(plan),
                        "by": by[:PERSON_CHARACTERS_MAX],
                    }
                    kind = "meal.correction" if change.event.name.startswith("meal.") else "attendance.correction"
                    subject = None if change.student is None else f"student/{change.student}"
                    own.append(kind, data, subject)
        return len(group)

    def _opened(self, raw: str) -> bytes:
        with self._ledger.database.lock:
            for key in self._device.keys:
                # It may have been sealed before this device had its present key.
                with suppress(SealRefused):
                    return self._secrets.open_raw(raw, key)
            return self._secrets.open_raw(raw, None)

    def _taps(self) -> Iterator[tuple[Event, TapData]]:
        seen = False
        for event in self._events(lambda number: number in self._books, TAP_TYPES):
            try:
                data = decode_data(event, TapData)
            except BadMessage:
                continue
            if data.point == self._station:
                seen = True
                yield event, data
        if not seen:
            raise ReaderUnknown(f"{self._device.device} has no tap of a station {self._station}")

    def _corrected(self) -> dict[str, TapCorrection]:
        """Tap id -> its last correction."""
        with self._ledger.database.lock:
            own = {book.number for book in self._ledger.books.all() if book.device is None}
        found: dict[str, TapCorrection] = {}
        for event in self._events(own.__contains__, ("attendance.correction", "meal.correction")):
            try:
                data = decode_data(event, TapCorrection)
            except BadMessage:
                continue
            found[data.tap] = data
        return found

    def _events(self, wanted: Callable[[int], bool], kinds: tuple[str, ...]) -> Iterator[Event]:
        """Records of some journals in the order of their commits; read page by page."""
        after = 0
        while True:
            with self._ledger.database.lock:
                page = self._ledger.database.connection.execute(
                    "SELECT position, journal, raw FROM events WHERE position > ? ORDER BY position LIMIT ?",
                    (after, PAGE),
                ).fetchall()
            if not page:
                return
            for position, journal, raw in page:
                after = position
                if not wanted(journal):
                    continue
                try:
                    event = decode_event(bytes(raw))
                except BadMessage:
                    # One record that a disk has damaged is no reason to repair none.
                    self.counts["damaged"] += 1
                    continue
                if event.name in kinds:
                    yield event


def _text(card: CardUid, parts: Sequence[PartialPlan]) -> str:
    """The text under which a number that was read under a plan is listed."""
    mine = next((part for part in parts if card.partial and 2 * part.octets == len(card.hex)), None)
    return card.canonical if mine is None else mine.listed(card)
