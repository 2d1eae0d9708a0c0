"""The hub's intake: the mailroom's full path at full batches, beside a bare executemany of the same rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.chain import free_ports
from bench.figure import Broken, Figure, ratio
from bench.taps import DEVICE, SCHOOL, fill, open_book
from bench.workshop import Workshop
from edge.bookreader import BookReader
from edge.devicekeys import DeviceKeys
from hub.app import Hub
from hub.config import hub_config_from
from hub.ports import Message
from hub.store.database import Database
from protocol.batch import BATCH_EVENTS_MAX, encode_batch
from protocol.envelope import digest_bytes, rfc3339
from protocol.signing import sign_message
from protocol.status import DeviceState
from protocol.topics import device_topic

ROUNDS = 8
BATCHES_A_ROUND = 24
"""Several checkpoints of either file fall into each round, so that none decides it."""
PATIENCE_S = 30.0
RECEIVED_MS = 1_764_000_000_000
_INSERT = "INSERT INTO events (journal, sequence, digest, raw, received_ms) VALUES (?, ?, ?, ?, ?)"


class Desk:
    """Stands where the hub's link stands: learns of each acknowledgement, which follows the commit."""

    def __init__(self) -> None:
        """Nothing is acknowledged."""
        self.acknowledged = threading.Event()
        self.receipts = 0

    def acknowledge(self, _message: Message) -> None:
        """See HubLink.acknowledge."""
        self.acknowledged.set()

    def publish(self, _topic: str, _payload: bytes) -> bool:
        """See HubLink.publish."""
        self.receipts += 1
        return True


class Intake:
    """A hub in this process, all its parts but the network: messages go to its mailroom, one transaction each."""

    def __init__(self, folder: Path, keys: DeviceKeys) -> None:
        """Open it, and accept the bench's gateway."""
        port = free_ports(1)[0]
        self.hub = Hub(
            hub_config_from(
                "bench",
                {
                    "hub": {"id": "tram", "school": SCHOOL, "data_dir": str(folder), "listen": "127.0.0.1:0"},
                    "broker": {"embedded": False, "url": f"mqtt://127.0.0.1:{port}"},
                },
            ),
            threading.Event(),
        )
        self.desk = Desk()
        self.hub.assembly.mailroom.use(self.desk)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self.hub.assembly.mailroom.run, daemon=True)
        self._thread.start()
        self.hub.store.desk.carry_out("devices-accept", {"device": DEVICE, "fingerprint": None})
        topic = device_topic(SCHOOL, DEVICE, "state")
        state = DeviceState(
            "ready",
            1,
            keys.identity.key,
            keys.identity.box,
            "0" * 8,
            1,
            rfc3339(RECEIVED_MS),
            "none",
            "bench",
            "",
            {},
            0,
        )
        self.take(Message(topic, sign_message(keys.identity, topic, msgspec.json.encode(state)), 0, 1))

    def take(self, message: Message) -> None:
        """Hand a message over; returns when it was committed and acknowledged."""
        self.desk.acknowledged.clear()
        self.hub.assembly.mailroom.on_message(message)
        if not self.desk.acknowledged.wait(PATIENCE_S):
            raise Broken("the mailroom doesn't acknowledge")

    def held(self) -> int:
        """How many records of gateways the ledger holds."""
        with self.hub.store.database.lock:
            return sum(len(book.held) for book in self.hub.store.ledger.books.all() if book.device == DEVICE)

    def close(self) -> None:
        """End its thread and close its file."""
        self.hub.assembly.mailroom.stop()
        self._thread.join(PATIENCE_S)
        self.hub.store.database.close()


class BareTable:
    """The floor: the ledger's table with its index and pragmas, and one executemany a batch in its own transaction."""

    def __init__(self, path: Path) -> None:
        """Make the file with the hub's own schema."""
        self._database = Database(path)

    def store(self, rows: Sequence[tuple[int, int, bytes, bytes, int]]) -> None:
        """One batch, durable when this returns."""
        run = self._database.connection
        run.execute("BEGIN IMMEDIATE")
        run.executemany(_INSERT, rows)
        run.execute("COMMIT")

    def close(self) -> None:
        """Close it."""
        self._database.close()


def measure_intake(shop: Workshop) -> list[Figure]:
    """Row 6 of the table."""
    rounds = shop.rounds(ROUNDS)
    count = rounds * BATCHES_A_ROUND * BATCH_EVENTS_MAX
    shop.say(f"6 intake: {count:,} records in batches of {BATCH_EVENTS_MAX}, beside executemany, then again")
    room = shop.room("intake")
    journal, keys, clock = open_book(room / "book")
    fill(journal, clock, count, shop.cards)
    reader = BookReader(journal.path)
    reader.journals()
    intake, bare = Intake(room / "hub", keys), BareTable(room / "floor.db")
    topic = device_topic(SCHOOL, DEVICE, "ev")
    new, again, floor = [], [], []
    for number in range(rounds):
        firsts = [1 + BATCH_EVENTS_MAX * (number * BATCHES_A_ROUND + batch) for batch in range(BATCHES_A_ROUND)]
        lines = [reader.lines(journal.journal, first, first + BATCH_EVENTS_MAX - 1) for first in firsts]
        messages = [
            Message(topic, encode_batch(keys.identity, journal.journal, first, batch), 0, 1)
            for first, batch in zip(firsts, lines, strict=True)
        ]
        rows = [
            [(1, first + place, digest_bytes(raw), raw, RECEIVED_MS) for place, raw in enumerate(batch)]
            for first, batch in zip(firsts, lines, strict=True)
        ]
        records = sum(len(batch) for batch in lines)
        floor.append(records / _seconds(bare.store, rows))
        new.append(records / _seconds(intake.take, messages))
        again.append(records / _seconds(intake.take, messages))
    held = intake.held()
    reader.close()
    journal.close()
    intake.close()
    bare.close()
    if held != count:
        raise Broken(f"{count} records were taken in, the ledger holds {held}")
    about = f"{rounds} rounds of {BATCHES_A_ROUND} batches, one transaction a batch; receipts made, signatures verified"
    return [
        ratio(
            6,
            "intake at batch 500 / bare executemany",
            new,
            floor,
            0.4,
            at_least=True,
            aim=0.6,
            beside=f"{median(new):,.0f}/s / {median(floor):,.0f}/s",
            note=about,
        ),
        ratio(
            6,
            "duplicates / new records",
            again,
            new,
            1.3,
            at_least=True,
            beside=f"{median(again):,.0f}/s / {median(new):,.0f}/s",
            note=about,
        ),
    ]


def _seconds(work: object, pieces: Sequence[object]) -> float:
    began_s = time.perf_counter()
    for piece in pieces:
        work(piece)  # type: ignore[operator]
    return time.perf_counter() - began_s
