"""The reception: takes one device message into the ledger, within a transaction, and says what follows from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

import msgspec

from hub.clock import HubClock
from hub.road.fleet import Fleet
from hub.road.intake import Examined, examine, previous_of
from hub.road.states import checked_state
from hub.store.anchorrows import AnchorRows
from hub.store.books import Book
from hub.store.devices import Device, DeviceKey, DeviceRefused, Devices
from hub.store.ledger import FORKS_DEVICE_MAX, Ledger, Row
from hub.store.ownjournal import OwnJournal
from hub.store.rosterrows import RosterRows
from hub.store.secrets import Secrets
from protocol.batch import MESSAGE_BYTES_MAX, Batch, Header, decode_batch, proven_from, verify_batch
from protocol.envelope import decode_event, digest_bytes
from protocol.errors import BadMessage
from protocol.signing import SignatureRefused, fingerprint, split_message, verify
from protocol.status import DeviceState
from protocol.topics import device_source, device_topic

log = logging.getLogger("k12edge.reception")

OTHER_BYTES_MAX: Final = 12 * 1024
"""Of a fork's bytes as much goes to the city as fits into a record with its envelope (EVENT_BYTES_MAX)."""
HOLES_MAX: Final = 4_096
"""Separate ranges held of one journal; a gateway that offers oldest first makes a handful."""
JOURNALS_DEVICE_MAX: Final = 50_000
"""Journals of one device: twenty starts a day for seven years."""
REPLAYED_AT_ONCE: Final = 16
"""Batches of a newly accepted device taken in one transaction: others wait for no more than that."""


@dataclass(slots=True)
class Followups:
    """What a group of messages asks for once it is committed: receipts by device, naming the journals touched."""

    receipts: dict[str, set[str]] = field(default_factory=dict)
    answer_states: dict[str, DeviceState] = field(default_factory=dict)
    configs: set[str] = field(default_factory=set)
    new_records: int = 0
    rosters: bool = False

    def receipt(self, device: str, *journals: str) -> None:
        """A device shall hear of these journals."""
        self.receipts.setdefault(device, set()).update(journals)


class Reception:
    """See the room. Nothing that a device sends makes it raise, but for errors of the storage."""

    def __init__(
        self,
        school: str,
        ledger: Ledger,
        devices: Devices,
        secrets: Secrets,
        roster: RosterRows,
        fleet: Fleet,
        own: OwnJournal,
        anchors: AnchorRows,
        clock: HubClock,
    ) -> None:
        """Take messages for one school."""
        self._school, self._clock = school, clock
        self._ledger, self._devices, self._secrets, self._roster = ledger, devices, secrets, roster
        self._fleet = fleet
        self._own, self._anchors = own, anchors
        self._replaying: list[str] = devices.kept_of_accepted()

    # --- batches ------------------------------------------------------------------------------------------------------

    def take_batch(self, device: str, payload: bytes, follow: Followups) -> None:
        """A message on dev/<device>/ev."""
        try:
            batch = decode_batch(payload)
            key = self._signer(device, batch.header)
        except SignatureRefused as problem:
            self._park_message(device, payload, "signature-refused", str(problem))
            return
        except BadMessage as problem:
            self._park_message(device, payload, "bad-batch", str(problem))
            return
        found = self._devices.find(device)
        if key is None or found is None:
            # Its state message, which names its key, is still on the way; the gateway offers again.
            self._alarm("unknown-device", device, "records came before the device named its key")
            return
        if found.standing == "accepted" and key.standing == "accepted":
            self._accept(device, key.key, batch, follow)
        elif proven_from(batch):
            self._park_message(device, payload, "bad-batch", "its records don't follow from each other")
        elif self._devices.keep_pending(device, key.key, batch.header, payload, self._clock.now_ms()):
            follow.receipt(device, batch.header.journal)
        else:
            self._alarm("pending-full", device, "the device waits for acceptance and its share of the disk is full")

    def _signer(self, device: str, header: Header) -> DeviceKey | None:
        """Which known key of the device signed; None when none is known. Raises SignatureRefused."""
        found = self._devices.find(device)
        if found is None or not found.keys:
            return None
        for key in sorted(found.keys, key=lambda known: known.standing != "accepted"):
            try:
                verify_batch(key.key, header)
            except SignatureRefused:
                continue
            return key
        raise SignatureRefused(f"no key of {device} signed this batch of {header.journal}")

    def replay_soon(self, device: str) -> None:
        """A device was accepted: what was kept apart of it is counted by the next calls of `replay_some`."""
        if device not in self._replaying:
            self._replaying.append(device)

    @property
    def replaying(self) -> bool:
        """Whether batches of an accepted device still stand apart."""
        return bool(self._replaying)

    def replay_some(self, follow: Followups) -> None:
        """Take some batches of an accepted device, that were kept apart, into the ledger; within a transaction."""
        if not self._replaying:
            return
        device = self._replaying[0]
        found = self._devices.find(device)
        key = None if found is None or found.standing != "accepted" else found.accepted_key()
        batches = [] if key is None else self._devices.take_pending(device, key.key, REPLAYED_AT_ONCE)
        for number, payload in batches:
            assert key is not None
            self._accept(device, key.key, decode_batch(payload), follow)
            self._devices.drop_pending(device, number, len(payload))
        if len(batches) < REPLAYED_AT_ONCE:
            self._replaying.remove(device)
            self._ledger.database.on_rollback(lambda: self.replay_soon(device))

    def _accept(self, device: str, key: str, batch: Batch, follow: Followups) -> None:
        header = batch.header
        source = device_source(self._school, device)
        book = self._ledger.books.find(header.journal)
        if book is not None and book.source != source:
            detail = f"journal {header.journal} belongs to {book.source}"
            self._park_message(device, b"\n".join(batch.lines), "foreign-journal", detail)
            return
        if book is None and len(self._ledger.books.of_device(device)) >= JOURNALS_DEVICE_MAX:
            self._alarm("journals-full", device, f"more than {JOURNALS_DEVICE_MAX} journals: further ones aren't taken")
            return
        if book is None:
            book = self._ledger.books.add(header.journal, source, device)
        if book.durable().pieces >= HOLES_MAX and not _joins(book, header):
            self._alarm(
                "journal-torn", device, f"journal {book.journal} has {HOLES_MAX} holes: no further one is taken"
            )
            return
        follow.receipt(device, header.journal)
        proven = proven_from(batch)
        if proven:
            # Not taken and not receipted: what the device really holds there it offers again, under its own signature.
            last = header.first + proven - 1
            detail = f"what came as {header.journal}.{header.first} to {last} is not what was signed"
            self._park_message(device, b"\n".join(batch.lines[:proven]), "bad-batch", detail)
        first, lines = header.first + proven, batch.lines[proven:]
        before = len(book.held) + len(book.parked)
        taken = book.durable() if book.parked else book.held
        if not taken.overlaps(first, header.last):
            self._take(device, book, first, lines, follow)
        else:
            for start, piece in self._unknown(device, book, first, lines):
                self._take(device, book, start, piece, follow)
        if len(book.held) + len(book.parked) > before and not proven:
            self._ledger.keep_header(book, header, key)

    def _unknown(self, device: str, book: Book, first: int, lines: tuple[bytes, ...]) -> list[tuple[int, list[bytes]]]:
        """The runs of records that aren't held yet, or only set aside; others that differ are kept as forks."""
        known = self._ledger.digests(book, first, first + len(lines) - 1)
        runs: list[tuple[int, list[bytes]]] = []
        for sequence, line in enumerate(lines, first):
            digest = known.get(sequence)
            if digest is not None and sequence in book.parked and digest != digest_bytes(line):
                # What was set aside wasn't what the chain names; this may be (a file read again, or rescued).
                digest = None
            if digest is None:
                if runs and runs[-1][0] + len(runs[-1][1]) == sequence:
                    runs[-1][1].append(line)
                else:
                    runs.append((sequence, [line]))
            elif digest != digest_bytes(line):
                self._fork(device, book, sequence, line)
        return runs

    def _take(
        self, device: str, book: Book, first: int, lines: list[bytes] | tuple[bytes, ...], follow: Followups
    ) -> None:
        before = self._ledger.digest_at(book, first - 1) if first > 1 else None
        examined = examine(lines, book.journal, first, book.source, before, self._prev_after(book, first + len(lines)))
        now_ms = self._clock.now_ms()
        if examined.broken_before:
            self._alarm(
                "chain-broken", device, f"record {book.journal}.{first - 1} is not the one that the chain names"
            )
        if examined.sound:
            self._ledger.store(book, [Row(r.sequence, r.raw, r.digest) for r in examined.sound], now_ms)
            self._anchors.learn(book.source, [record.event for record in examined.sound])
            follow.new_records += len(examined.sound)
            if examined.sound[0].sequence == 1:
                self._note_branch(device, book, examined.sound[0].raw)
        self._park_faulty(device, book, examined, now_ms)

    def _note_branch(self, device: str, book: Book, raw: bytes) -> None:
        """A journal begins. Two that begin after the same one are two copies of a gateway's directory.

        The running one begins after none, though earlier ones of this device are here: its file is gone.
        """
        previous = previous_of(raw)
        if previous is None:
            known = len(self._ledger.books.of_device(device)) - 1
            heard = self._fleet.find(device)
            if known and heard is not None and heard.state.journal == book.journal:
                detail = f"{book.journal} begins after no other; {known} earlier ones are held here"
                self._alarm("journal-begun-anew", device, detail)
            return
        for other, first in self._ledger.opened_after(book, previous):
            if previous_of(first) == previous:
                self._alarm("journal-branched", device, f"{other} and {book.journal} both begin after {previous}")
                return

    def _prev_after(self, book: Book, sequence: int) -> str | None:
        """What the stored record `sequence` names as its `prev`; only where a hole is filled."""
        if sequence not in book.held:
            return None
        raw = self._ledger.raw_at(book, sequence)
        return None if raw is None else decode_event(raw).prev

    def _park_faulty(self, device: str, book: Book, examined: Examined, now_ms: int) -> None:
        for faulty in examined.faulty:
            self._ledger.park_record(book, device, faulty.sequence, faulty.raw, faulty.fault, faulty.detail, now_ms)
        if examined.faulty:
            worst = examined.faulty[0]
            self._alarm(worst.fault, device, f"{book.journal}.{worst.sequence}: {worst.detail}")

    def _fork(self, device: str, book: Book, sequence: int, raw: bytes) -> None:
        kept = self._ledger.fork(book, device, sequence, raw, self._clock.now_ms())
        if kept is None:
            self._alarm("forks-full", device, f"more than {FORKS_DEVICE_MAX} forks: further ones are only counted")
        if not kept:
            return
        name = f"{book.journal}.{sequence}"
        self._alarm("record-forked", device, f"other bytes came under the name {name}")
        self._own.append("record.forked", {"id": name, "source": book.source, "other": _text_or_hex(raw)})

    # --- states -------------------------------------------------------------------------------------------------------

    def take_state(self, device: str, payload: bytes, follow: Followups, *, kept: bool = False) -> None:
        """A message on dev/<device>/state; one that the broker `kept` says nothing of the connection now."""
        if not payload:
            return
        try:
            signature, signed, body = split_message(device_topic(self._school, device, "state"), payload)
            if body == b'{"state":"lost"}':
                self._lost(device, signed, signature)
                return
            state = checked_state(body)
            verify(state.key, signed, signature)
        except BadMessage as problem:
            self._park_message(device, payload, problem.code, str(problem))
            return
        try:
            found = self._met(device, state)
        except DeviceRefused as problem:
            self._alarm(problem.code, device, str(problem))
            return
        mine = next(key for key in found.keys if key.key == state.key)
        current = found.accepted_key()
        follow.receipt(device, *state.journals)
        if current is None or mine is current:
            # The time would be told to whoever holds the accepted key; another one could ask for it wrongly.
            follow.answer_states[device] = state
        if mine is not current:
            if found.expects:
                shown = fingerprint(state.key)
                self._alarm("other-key", device, f"it waits for the key {found.expects}, and key {shown} came")
            elif current is not None:
                self._alarm("other-key", device, f"the device shows another key, {fingerprint(state.key)}")
            elif len(found.keys) > 1:
                shown = ", ".join(fingerprint(key.key) for key in found.keys)
                self._alarm("other-key", device, f"{len(found.keys)} keys claim this device: {shown}")
            return
        if found.standing != "accepted":
            return
        before = self._fleet.find(device)
        self._fleet.heard(device, state, self._clock.mono_ms(), connected=not kept)
        self._ledger.database.on_rollback(lambda: self._fleet.restore(device, before))
        self._note_journals(device, state)
        if state.partials and self._roster.learn_partials(state.partials, self._clock.now_ms()):
            follow.rosters = True
        if before is None or (before.state.journal, before.state.connection) != (state.journal, state.connection):
            # What the broker keeps may have passed it by while its subscriptions were made.
            follow.configs.add(device)

    def _met(self, device: str, state: DeviceState) -> Device:
        found = self._devices.find(device)
        known = None if found is None else next((key for key in found.keys if key.key == state.key), None)
        hk0 = state.hk0 if known is None or known.hk0 is None else None
        raw0 = state.raw0 if known is None or known.raw0 is None else None
        for name, sealed in (("hk0", hk0), ("raw0", raw0)):
            if sealed is not None and self._secrets.opened(sealed) is None:
                self._alarm("seal-refused", device, f"its {name} was not sealed to this hub")
        met = self._devices.met(
            device,
            state.key,
            state.box,
            hk0 if self._secrets.opened(hk0) else None,
            raw0 if self._secrets.opened(raw0) else None,
            self._clock.now_ms(),
        )
        if found is None or known is None:
            current = met.accepted_key()
            if current is not None and current.key == state.key:
                self.replay_soon(device)
        return met

    def _lost(self, device: str, signed: bytes, signature: str) -> None:
        found = self._devices.find(device)
        current = None if found is None or found.standing != "accepted" else found.accepted_key()
        if current is None:
            return
        try:
            verify(current.key, signed, signature)
        except SignatureRefused:
            return
        self._fleet.lost(device, self._clock.mono_ms())

    def _note_journals(self, device: str, state: DeviceState) -> None:
        """What a device pruned the city holds: below it nothing is missing. What it lost of a closed journal shows."""
        for journal, held in state.journals.items():
            book = self._ledger.books.find(journal)
            if book is None or book.device != device:
                continue
            if held.pruned_through > book.pruned_through:
                self._ledger.books.change(book).pruned_through = held.pruned_through
            last = book.durable().last
            if journal != state.journal and held.last < last:
                self._alarm(
                    "journal-rolled-back", device, f"journal {journal} ends at {held.last} there, here at {last}"
                )

    # --- what people should know --------------------------------------------------------------------------------

    def _park_message(self, device: str, payload: bytes, reason: str, detail: str) -> None:
        size = len(payload)
        if size > MESSAGE_BYTES_MAX:
            payload, detail = payload[:MESSAGE_BYTES_MAX], f"of {size} bytes the first {MESSAGE_BYTES_MAX}: {detail}"
        self._ledger.park_message(device, payload, reason, detail, self._clock.now_ms())
        self._alarm(reason, device, detail)

    def park_misaddressed(self, topic: str, payload: bytes) -> None:
        """A message on a topic that no device of this school can have."""
        self._park_message("-", payload, "bad-topic", f"topic {topic[:200]!r}")

    def park_unhandled(self, device: str, payload: bytes, problem: Exception) -> None:
        """A message that met a fault of ours: its bytes are kept for those who mend it."""
        self._park_message(device, payload, "internal-fault", f"{type(problem).__name__}: {problem}")

    def _alarm(self, code: str, device: str, detail: str) -> None:
        log.warning("%s: %s: %s", device, code, detail)
        self._ledger.alarm(code, device, detail, self._clock.now_ms())


def _joins(book: Book, header: Header) -> bool:
    """Whether a batch touches what is held already."""
    return book.durable().overlaps(max(1, header.first - 1), header.last + 1)


def _text_or_hex(raw: bytes) -> str:
    """Bytes for a JSON text: as they are where they are UTF-8 and fit, else hex; cut to what a record may hold."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.hex()[:OTHER_BYTES_MAX]
    return text if len(msgspec.json.encode(text)) <= OTHER_BYTES_MAX else raw.hex()[:OTHER_BYTES_MAX]
