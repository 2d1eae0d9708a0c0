"""The inspector: one thread that reads the ledger's new taps after they were taken, and judges their authenticity.

It stands in nobody's way: a record was taken, receipted and owed to the city before it comes here. What a group of
records leads to, and how far was read, are written in one transaction.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from hub.cards.authenticity import Checked, Finding, Moment, Tap, check_proof, facets_of, judge
from hub.cards.cardnames import CardNames
from hub.worker import RowsWorker
from protocol.anchors import Timeline
from protocol.cards import parse_card
from protocol.envelope import Event, decode_data, decode_event
from protocol.errors import BadMessage, CardNumberError, K12EdgeError
from protocol.rawread import RawRead, decode_raw
from protocol.signing import SealRefused
from protocol.taps import TAP_TYPES, TapData
from protocol.time import effective_time
from protocol.topics import device_source

if TYPE_CHECKING:
    from hub.cards.sun import SunKeys
    from hub.config import HubConfig
    from hub.parts import Store
    from hub.store.books import Book
    from hub.store.cardrows import Cursor

log = logging.getLogger("k12edge.inspector")

GROUP: Final = 100
"""Records in one transaction: a batch of a gateway's waits for the ledger no longer than for another batch."""
BETWEEN_MS: Final = 20
"""After a whole group, for others who wait for the ledger."""
GATHER_MS: Final = 1_000
"""What comes is gathered for so long: staff look later anyway, and each transaction costs the hub's disk a sync."""
IDLE_MS: Final = 5_000
FAILED_PAUSE_MS: Final = 1_000
NAMES_TEXT: Final = b"k12edge.cardnames.v1"
PROOFS_TEXT: Final = b"k12edge.proofs.v1"


@dataclass(frozen=True, slots=True)
class _Read:
    """A tap's record taken apart, its box opened: all that is asked of the store before it is judged."""

    position: int
    tap: str
    device: str
    data: TapData
    moment: Moment
    raw: RawRead | None
    card: str


class Inspector(RowsWorker):
    """See the room. `progress` grows with each turn."""

    def __init__(self, config: HubConfig, store: Store, keys: SunKeys | None) -> None:
        """Nothing was read yet."""
        super().__init__(store.ledger.database, log, FAILED_PAUSE_MS)
        self._school, self._apart_ms, self._proof_at = config.school, config.apart_ms, config.sun.proof_at
        self._ledger, self._rows, self._anchors = store.ledger, store.cards, store.anchors
        self._devices, self._secrets, self._roster, self._clock = (
            store.devices,
            store.secrets,
            store.roster,
            store.clock,
        )
        self._releases = store.releases
        self._keys = keys
        self._names: CardNames | None = None
        self._named_by: object = None
        self._since: dict[str, int] | None = None
        self._singly_to = self._settled = 0
        self._gather_until_ms = 0
        self._told = False

    def rest(self, wait_ms: int) -> None:
        """What is new doesn't shorten the pause between two groups."""
        if wait_ms == BETWEEN_MS:
            self._stopping.wait(wait_ms / 1000)
        else:
            super().rest(wait_ms)

    def work(self) -> int:
        """Judge one group; the ms to wait before the next turn, unless something new comes."""
        if self._since is None:
            self._begin()
        with self._ledger.database.lock:
            waiting = self._rows.newest() - self._rows.cursor().position
        if waiting <= 0:
            return IDLE_MS
        gather_ms = self._gather_until_ms - self._clock.mono_ms()
        if gather_ms > 0 and waiting < GROUP:
            return gather_ms
        if self._step():
            return BETWEEN_MS
        self._gather_until_ms = self._clock.mono_ms() + GATHER_MS
        return IDLE_MS

    def _begin(self) -> None:
        """Hold what was judged before to the keys of now: under other ones all is made anew."""
        with self._ledger.database.transaction():
            cursor = self._rows.cursor()
            newest = self._secrets.card_keys()[-1].secret
            names, proofs = hmac.digest(newest, NAMES_TEXT, "sha256"), self._proofs(newest)
            if names != cursor.names or (proofs is not None and proofs != cursor.proofs):
                if cursor.position:
                    log.warning("other keys than before: the authenticity of all taps is judged anew")
                self._rows.begin(names, proofs)
            since = self._rows.policies(self._proof_at)
        self._since = since

    def _proofs(self, newest: bytes) -> bytes | None:
        """What tells these keys of cards from others, and nothing about them; None where there are none."""
        if self._keys is None:
            return None
        context = b"-" if self._keys.context is None else b"+" + self._keys.context
        return hmac.digest(newest, PROOFS_TEXT + self._keys.meta + self._keys.file + context, "sha256")

    # --- one group ----------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Judge the next records; whether more may wait."""
        with self._ledger.database.lock:
            cursor = self._rows.cursor()
            singly = cursor.position < self._singly_to
            limit = 1 if singly else GROUP
            page = self._rows.page(cursor.position, limit)
            self._use_names()
            reads = [read for row in page if (read := self._noted(*row)) is not None]
        last = page[-1][0]
        taps = [(read, tap) for read in reads if (tap := self._tap(read)) is not None]
        try:
            self._write(cursor, taps, last)
        except K12EdgeError:
            raise
        except Exception:
            # One record of them leads to a fault of ours: each is taken by itself, and that one is passed over.
            log.exception("records to position %d can't be judged", last)
            if singly:
                self._write(cursor, [], last)
            self._singly_to = max(self._singly_to, last)
            return True
        return len(page) == limit

    def _write(self, cursor: Cursor, taps: list[tuple[_Read, Tap]], last: int) -> None:
        found: list[Finding] = []
        settled = self._settled
        with self._ledger.database.transaction():
            for read, tap in taps:
                state = self._rows.state(tap.card, cursor.round)
                judged = judge(state, tap, self._apart_ms, self._bound)
                found += self._rows.write(read.card, tap.moment, state, judged, cursor.round)
            if any(tap.proof is not None and tap.proof.outcome == "unchecked" for _, tap in taps):
                self._rows.unchecked()
            now_ms = self._clock.now_ms()
            for finding in found:
                moment = finding.moment
                detail = f"{moment.station}: {finding.detail} ({moment.tap})"
                self._ledger.alarm(finding.code, moment.device, detail, now_ms)
            self._rows.move(last)
            if self._settled < cursor.round and last >= self._rows.newest():
                self._rows.settle(cursor.round)
                settled = cursor.round
        self._settled = settled
        for finding in found:
            log.warning("%s: %s: %s (%s)", finding.moment.place, finding.code, finding.detail, finding.moment.tap)

    # --- one record ---------------------------------------------------------------------------------------------------

    def _noted(self, position: int, journal: int, raw: bytes) -> _Read | None:
        """A tap's record taken apart; None for what is no gateway's tap, and for what can't be understood."""
        book = self._ledger.books.numbered(journal)
        if book.device is None:
            return None
        try:
            event = decode_event(bytes(raw))
            return self._read(position, book, book.device, event) if event.name in TAP_TYPES else None
        except sqlite3.Error:
            # That is the storage's fault and not the record's: it is read again.
            raise
        except Exception as problem:
            log.warning("record at position %d of %s is not judged: %s", position, book.device, type(problem).__name__)
            return None

    def _read(self, position: int, book: Book, device: str, event: Event) -> _Read:
        data = decode_data(event, TapData)
        when = self._anchors.of(book.source).effective(event)
        moment = Moment(
            event.id,
            device,
            data.point,
            data.clock.boot,
            data.clock.mono,
            when.best_ms,
            when.not_before_ms,
            when.not_after_ms,
            data.decision == "accepted",
        )
        raw = None if data.raw is msgspec.UNSET else self._opened(str(data.raw), device)
        number = None
        if raw is not None:
            try:
                number = parse_card(raw.card)
            except CardNumberError:
                raw = None
        assert self._names is not None
        own = self._own_key(device) if number is None and data.card.startswith("hk0:") else None
        card = self._names.of(data.card, number, own)
        return _Read(position, event.id, device, data, moment, raw, card)

    def _opened(self, sealed: str, device: str) -> RawRead | None:
        """What was read, where a key of ours opens it."""
        found = self._devices.find(device)
        for key in (None, *(() if found is None else found.keys)):
            try:
                return decode_raw(self._secrets.open_raw(sealed, key))
            except (SealRefused, BadMessage):
                continue
        return None

    def _own_key(self, device: str) -> bytes | None:
        found = self._devices.find(device)
        key = None if found is None else found.accepted_key()
        return None if key is None else self._secrets.opened(key.hk0)

    def _use_names(self) -> None:
        named_by = self._roster.current()
        if self._names is None or named_by != self._named_by:
            self._names = CardNames(self._secrets.card_keys(), self._releases.rows(), self._roster.partials())
            self._named_by = named_by

    def _tap(self, read: _Read) -> Tap | None:
        """What is to be judged, its proof checked, without the ledger; None where that meets a fault of ours."""
        try:
            return self._checked(read)
        except Exception:
            log.exception("record %s is not judged", read.tap)
            return None

    def _checked(self, read: _Read) -> Tap:
        data = read.data
        assert self._since is not None
        since = self._since.get(read.moment.place)
        tap = Tap(
            read.moment,
            read.card,
            {} if data.type is msgspec.UNSET else facets_of(str(data.type)),
            None,
            desk=data.kind == "desk",
            refused=data.decision == "refused",
            known=data.reason != "unknown",
            needs_proof=since is not None and read.position > since,
        )
        if data.raw is msgspec.UNSET:
            return tap
        if read.raw is None:
            return replace(tap, proof=Checked("unreadable", why="what was read with it can't be opened here"))
        if read.raw.proof is None:
            return tap
        proof = check_proof(read.raw.proof, parse_card(read.raw.card), self._keys)
        if proof is not None and proof.outcome == "unchecked" and not self._told:
            self._told = True
            log.warning("cards prove themselves, and [sun] names no keys: their proofs aren't checked until it does")
        return replace(tap, proof=proof)

    def _bound(self, moment: Moment) -> Moment:
        """A remembered moment with its bounds, where an anchor of its boot came since."""
        timeline: Timeline = self._anchors.of(device_source(self._school, moment.device))
        if not timeline.anchored(moment.boot):
            return moment
        anchors = timeline.boots[moment.boot].all()
        when = effective_time(moment.boot, moment.mono_ms, moment.best_ms, anchors)
        return msgspec.structs.replace(
            moment, best_ms=when.best_ms, not_before_ms=when.not_before_ms, not_after_ms=when.not_after_ms
        )
