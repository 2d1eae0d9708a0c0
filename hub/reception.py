"""The reception: takes one device message into the ledger, within a transaction, and says what follows from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from hub.clock import HubClock
from hub.fleet import Fleet
from hub.intake import Examined, examine
from hub.store.anchorrows import AnchorRows
from hub.store.books import Book
from hub.store.devices import DeviceKey, DeviceRefused, Devices
from hub.store.ledger import Ledger, Row
from hub.store.ownjournal import OwnJournal
from protocol.batch import Batch, Header, decode_batch, verify_batch
from protocol.envelope import decode_event, digest_bytes
from protocol.errors import BadMessage
from protocol.signing import SignatureRefused, fingerprint, is_public_key, split_message, verify
from protocol.status import DeviceState, decode_body
from protocol.topics import device_source, device_topic

log = logging.getLogger("k12edge.reception")


@dataclass(slots=True)
class Followups:
    """What a group of messages asks for once it is committed: receipts by device, naming the journals touched."""

    receipts: dict[str, set[str]] = field(default_factory=dict)
    answer_states: dict[str, DeviceState] = field(default_factory=dict)
    configs: set[str] = field(default_factory=set)
    new_records: int = 0

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
        fleet: Fleet,
        own: OwnJournal,
        anchors: AnchorRows,
        clock: HubClock,
    ) -> None:
        """Take messages for one school."""
        self._school, self._clock = school, clock
        self._ledger, self._devices, self._fleet, self._own, self._anchors = ledger, devices, fleet, own, anchors

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

    def replay_pending(self, device: str, follow: Followups) -> int:
        """A device was accepted: its batches that were kept apart go into the ledger. Returns how many."""
        found = self._devices.find(device)
        key = None if found is None else found.accepted_key()
        if found is None or key is None or found.standing != "accepted":
            return 0
        batches = self._devices.take_pending(device, key.key)
        for number, payload in batches:
            self._accept(device, key.key, decode_batch(payload), follow)
            self._devices.drop_pending(number)
        return len(batches)

    def _accept(self, device: str, key: str, batch: Batch, follow: Followups) -> None:
        header = batch.header
        source = device_source(self._school, device)
        book = self._ledger.books.find(header.journal)
        if book is not None and book.source != source:
            detail = f"journal {header.journal} belongs to {book.source}"
            self._park_message(device, b"\n".join(batch.lines), "foreign-journal", detail)
            return
        if book is None:
            book = self._ledger.books.add(header.journal, source, device)
        follow.receipt(device, header.journal)
        first, lines = header.first, batch.lines
        taken = book.durable() if book.parked else book.held
        if not taken.overlaps(first, header.last):
            self._take(device, book, first, lines, follow)
        else:
            for start, piece in self._unknown(device, book, first, lines):
                self._take(device, book, start, piece, follow)
        self._ledger.keep_header(book, header, key)

    def _unknown(self, device: str, book: Book, first: int, lines: tuple[bytes, ...]) -> list[tuple[int, list[bytes]]]:
        """The runs of records that aren't held yet; of the others, those that differ are kept as forks."""
        known = self._ledger.digests(book, first, first + len(lines) - 1)
        runs: list[tuple[int, list[bytes]]] = []
        for sequence, line in enumerate(lines, first):
            digest = known.get(sequence)
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
        self._park_faulty(device, book, examined, now_ms)

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
        if not self._ledger.fork(book, device, sequence, raw, self._clock.now_ms()):
            return
        name = f"{book.journal}.{sequence}"
        self._alarm("record-forked", device, f"other bytes came under the name {name}")
        self._own.append("record.forked", {"id": name, "source": book.source, "other": _text_or_hex(raw)})

    # --- states -------------------------------------------------------------------------------------------------------

    def take_state(self, device: str, payload: bytes, follow: Followups) -> None:
        """A message on dev/<device>/state."""
        if not payload:
            return
        try:
            signature, signed, body = split_message(device_topic(self._school, device, "state"), payload)
            if body == b'{"state":"lost"}':
                self._lost(device, signed, signature)
                return
            state = decode_body(body, DeviceState)
            if not is_public_key(state.key) or not is_public_key(state.box):
                raise BadMessage("the state names no public keys")
            verify(state.key, signed, signature)
        except BadMessage as problem:
            self._park_message(device, payload, problem.code, str(problem))
            return
        try:
            found = self._devices.met(device, state.key, state.box, state.hk0, self._clock.now_ms())
        except DeviceRefused as problem:
            self._alarm(problem.code, device, str(problem))
            return
        mine = next(key for key in found.keys if key.key == state.key)
        if mine.standing != "accepted" and found.accepted_key() is not None:
            self._alarm("other-key", device, f"the device shows another key, {fingerprint(state.key)}")
        self._fleet.heard(device, state, self._clock.mono_ms())
        self._note_pruned(device, state)
        if mine.standing == "accepted" and found.standing == "accepted":
            if self._devices.take_pending(device, state.key):
                self.replay_pending(device, follow)
            if found.config_version == 0:
                follow.configs.add(device)
        follow.receipt(device)
        follow.answer_states[device] = state

    def _lost(self, device: str, signed: bytes, signature: str) -> None:
        found = self._devices.find(device)
        for key in () if found is None else found.keys:
            try:
                verify(key.key, signed, signature)
            except SignatureRefused:
                continue
            self._fleet.lost(device, self._clock.mono_ms())
            return

    def _note_pruned(self, device: str, state: DeviceState) -> None:
        """What a device pruned the city holds: below it nothing is missing."""
        for journal, held in state.journals.items():
            book = self._ledger.books.find(journal)
            if book is not None and book.device == device and held.pruned_through > book.pruned_through:
                self._ledger.books.change(book).pruned_through = held.pruned_through

    # --- what people should know --------------------------------------------------------------------------------

    def _park_message(self, device: str, payload: bytes, reason: str, detail: str) -> None:
        self._ledger.park_message(device, payload, reason, detail, self._clock.now_ms())
        self._alarm(reason, device, detail)

    def park_unhandled(self, device: str, payload: bytes, problem: Exception) -> None:
        """A message that met a fault of ours: its bytes are kept for those who mend it."""
        self._park_message(device, payload, "internal-fault", f"{type(problem).__name__}: {problem}")

    def _alarm(self, code: str, device: str, detail: str) -> None:
        log.warning("%s: %s: %s", device, code, detail)
        self._ledger.alarm(code, device, detail, self._clock.now_ms())


def _text_or_hex(raw: bytes) -> str:
    """Bytes for a JSON text: as they are where they are UTF-8, else hex; cut to what a record may hold."""
    try:
        return raw.decode("utf-8")[:6000]
    except UnicodeDecodeError:
        return raw.hex()[:6000]
