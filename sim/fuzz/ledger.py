"""A hub's real ledger for what the parsers take: nothing may be lost, double, or stand before others on their road."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from hub.config import hub_config_from
from hub.forwarding.owing import Answer, Forwarding, Owed, PerEvent, Result
from hub.parts import Store
from hub.road.fleet import Fleet
from hub.road.receipts import Receipts
from hub.road.reception import Followups, Reception
from hub.store.ledger import PARKED_VERSIONS_MAX
from protocol.audit import encode_page
from protocol.batch import BATCH_EVENTS_MAX, encode_batch
from protocol.envelope import decode_event, digest_bytes
from protocol.receipts import decode_receipt, held_of
from protocol.signing import open_message, sign_message
from protocol.status import DeviceState
from protocol.topics import device_topic
from sim.fuzz.messages import DEVICE, GATEWAY, JOURNALS, SCHOOL, device_state, lines
from sim.fuzz.parser import must

USES_MAX: Final = PARKED_VERSIONS_MAX - 1
"""Then a new ledger: of one place it keeps no more versions than that, and each use may add one."""
STEP_MS: Final = 4_000_000
"""Between two submissions; longer than any pause and any record's wait."""


class LedgerRoom:
    """See the room. Opened at the first use."""

    def __init__(self, folder: Path) -> None:
        """`folder` is in memory where that is possible."""
        self._folder = folder / "hub"
        self._store: Store | None = None
        self._uses = 0

    def store(self) -> Store:
        """The store, made anew after USES_MAX uses."""
        self._uses += 1
        if self._store is None or self._uses > USES_MAX:
            self.close()
            self._uses = 1
            self._open()
        assert self._store is not None
        return self._store

    @property
    def opened(self) -> Store:
        """The store as it is, after its first use."""
        assert self._store is not None
        return self._store

    def _open(self) -> None:
        self._folder.mkdir(parents=True)
        document = {
            "hub": {"id": "tram", "school": SCHOOL, "data_dir": str(self._folder)},
            "city": {"kind": "k12records", "url": "http://127.0.0.1:9", "city_hold_s": 0},
        }
        self._store = store = Store(hub_config_from("hub.toml", document))
        own = store.open_own_journal()
        self._reception = Reception(
            SCHOOL, store.ledger, store.devices, store.secrets, store.roster, Fleet(), own, store.anchors, store.clock
        )
        self._receipts = Receipts(
            SCHOOL,
            secrets.token_hex(8),
            store.ledger,
            store.devices,
            store.secrets.identity(),
            store.clock,
            with_city=True,
        )
        self._forwarding = Forwarding(Random(1))
        with store.database.transaction():
            store.devices.accept(DEVICE, None, store.clock.now_ms())
        self._state(device_state())

    def close(self) -> None:
        """Close and remove it."""
        if self._store is not None:
            self._store.database.close()
            self._store = None
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- records ------------------------------------------------------------------------------------------------------

    def take_lines(self, journal: str, first: int, records: list[bytes]) -> None:
        """Take hostile records of a journal, then the true ones of both journals; hold the ledger to its promise."""
        self.store()
        records = records[:BATCH_EVENTS_MAX]
        self._batch(journal, first, records)
        for place, raw in enumerate(records):
            must(self._kept(journal, first + place, raw), f"record {first + place} of {journal} is nowhere")
        for name in JOURNALS:
            self._batch(name, 1, list(lines(name)))
            for place, raw in enumerate(lines(name)):
                must(self._kept(name, 1 + place, raw), f"the true record {1 + place} of {name} is nowhere")
        self._audit()
        self._forward(None)

    def _batch(self, journal: str, first: int, records: Sequence[bytes]) -> None:
        store = self._store
        assert store is not None
        follow = Followups()
        with store.database.transaction():
            self._reception.take_batch(DEVICE, encode_batch(GATEWAY, journal, first, records), follow)
        self._answer(follow)

    def _answer(self, follow: Followups) -> None:
        """What the gateway is told must be readable there, and no more than what the ledger holds."""
        store = self._store
        assert store is not None
        for device, named in follow.receipts.items():
            state = follow.answer_states.get(device)
            topic, payloads = self._receipts.messages(device, sorted(named), state)
            for payload in payloads:
                receipt = decode_receipt(open_message(store.secrets.identity().key, topic, payload))
                for journal, marks in receipt.journals.items():
                    book = store.ledger.books.find(journal)
                    durable = None if book is None or book.device != device else book.durable()
                    for low, high in held_of(marks.hub):
                        must(
                            durable is not None and durable.covers(low, high),
                            f"{journal} is receipted without being held",
                        )

    def _kept(self, journal: str, sequence: int, raw: bytes) -> bool:
        """Whether these bytes stand somewhere: as the record, as a fork, parked, or in a parked message."""
        assert self._store is not None
        run = self._store.database.connection.execute
        found = run(
            "SELECT count(*) FROM events JOIN journals ON number = events.journal"
            " WHERE journals.journal = ? AND sequence = ? AND raw = ?",
            (journal, sequence, raw),
        ).fetchone()[0]
        must(found <= 1, f"record {sequence} of {journal} is held {found} times")
        return bool(
            found
            or run("SELECT 1 FROM forks WHERE digest = ?", (digest_bytes(raw),)).fetchone()
            or run("SELECT 1 FROM parked WHERE digest = ? OR instr(raw, ?)", (digest_bytes(raw), raw)).fetchone()
        )

    def _audit(self) -> None:
        """Every record can be told with its time."""
        store = self._store
        assert store is not None
        rows = []
        for position, raw in store.database.connection.execute("SELECT position, raw FROM events ORDER BY position"):
            event = decode_event(raw)
            rows.append((position, bytes(raw), store.anchors.of(event.source).effective(event)))
        msgspec.json.decode(encode_page(rows, more=False))

    # --- the city -----------------------------------------------------------------------------------------------------

    def answered(self, answer: Answer) -> None:
        """A new ledger with a journal, of which the city says `answer`, then stores all: nothing is left behind."""
        self.close()
        self.store()
        self._batch(JOURNALS[0], 1, list(lines(JOURNALS[0])))
        self._forward(answer)

    def _forward(self, first: Answer | None) -> None:
        """Give the city's `first` answer, if any, then have it store everything; nothing may wait afterwards."""
        store = self._store
        assert store is not None
        now_ms = store.clock.now_ms()
        for turn in range(200):
            with store.database.transaction():
                store.forward.release_anchored()
                store.forward.bring_near(now_ms)
                window = store.forward.window(now_ms, 500)
            batch = self._forwarding.next_batch(turn * STEP_MS, window.owed)
            if not batch:
                break
            said = first if first is not None and turn == 0 else _stored(batch)
            judged = self._forwarding.apply(turn * STEP_MS, batch, said)
            with store.database.transaction():
                store.forward.write(window, batch, judged.changes, now_ms)
            now_ms += STEP_MS
        run = store.database.connection.execute
        last = run("SELECT coalesce(max(position), 0) FROM events").fetchone()[0]
        waiting = run("SELECT count(*) FROM forward_exceptions WHERE state IN ('waiting', 'held-back')").fetchone()[0]
        must(store.forward.cursor() == last and not waiting, f"{waiting} records wait before the city, {last} are here")

    # --- states -------------------------------------------------------------------------------------------------------

    def take_state(self, body: bytes, state: DeviceState) -> None:
        """Take a state's body as if the gateway had signed it, answer it, then the true one."""
        store = self.store()
        self._state(body)
        if state.key == GATEWAY.key:
            must(store.devices.find(DEVICE) is not None, "the gateway is unknown after its state")
        self._state(device_state())
        self._batch(JOURNALS[0], 1, lines(JOURNALS[0]))
        must(self._kept(JOURNALS[0], 1, lines(JOURNALS[0])[0]), "a state keeps the ledger from taking a record")

    def _state(self, body: bytes) -> None:
        store = self._store
        assert store is not None
        follow = Followups()
        with store.database.transaction():
            self._reception.take_state(
                DEVICE, sign_message(GATEWAY, device_topic(SCHOOL, DEVICE, "state"), body), follow
            )
        self._answer(follow)


def _stored(batch: Sequence[Owed]) -> Answer:
    return PerEvent({(owed.source, owed.event_id): Result("stored") for owed in batch})
