"""The hub's store, reception and receipts in one process, on a real file: what a hub does between link and link."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from host.machine import Machine
from hub.config import HubConfig, hub_config_from
from hub.papers import read_paper, wrapped, write_paper
from hub.parts import Store
from hub.road.fleet import Fleet
from hub.road.receipts import Receipts
from hub.road.reception import Followups, Reception
from hub.web.status import Status
from protocol.receipts import JournalMarks, Receipt, decode_receipt
from protocol.signing import open_message
from tests.hub.handmade import SCHOOL, Gateway


def config_in(data_dir: Path, **tables: dict[str, Any]) -> HubConfig:
    document = {"hub": {"id": "tram", "school": SCHOOL, "data_dir": str(data_dir), "listen": "127.0.0.1:0"}}
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table}
    return hub_config_from("hub.toml", document)


class HubRoom:
    """Opened again on the same directory it is the hub after a restart."""

    def __init__(
        self,
        data_dir: Path,
        *,
        city: bool = True,
        hold_s: int = 0,
        machine: Machine | None = None,
        **tables: dict[str, Any],
    ) -> None:
        data_dir.mkdir(exist_ok=True)
        plan = {"kind": "k12records", "url": "http://127.0.0.1:9", "city_hold_s": hold_s} if city else {"kind": "none"}
        self.config = config_in(data_dir, city=plan, **tables)
        self.store = Store(self.config, machine)
        self.own = self.store.open_own_journal()
        self.fleet = Fleet()
        store = self.store
        self.reception = Reception(
            SCHOOL,
            store.ledger,
            store.devices,
            store.secrets,
            store.roster,
            self.fleet,
            self.own,
            store.anchors,
            store.clock,
        )
        self.receipts = Receipts(
            SCHOOL,
            secrets.token_hex(8),
            store.ledger,
            store.devices,
            store.secrets.identity(),
            store.clock,
            with_city=city,
        )
        self.status = Status(store, self.fleet)

    def close(self) -> None:
        self.store.database.close()

    def state(self, gateway: Gateway, payload: bytes | None = None) -> Followups:
        follow = Followups()
        with self.store.database.transaction():
            self.reception.take_state(gateway.device, gateway.state() if payload is None else payload, follow)
        return follow

    def batch(self, gateway: Gateway, payload: bytes) -> Followups:
        follow = Followups()
        with self.store.database.transaction():
            self.reception.take_batch(gateway.device, payload, follow)
        return follow

    def replay(self) -> None:
        while self.reception.replaying:
            with self.store.database.transaction():
                self.reception.replay_some(Followups())

    def accept(self, gateway: Gateway, fingerprint: str | None = None) -> str:
        text = self.store.desk.carry_out("devices-accept", {"device": gateway.device, "fingerprint": fingerprint}).text
        self.reception.replay_soon(gateway.device)
        self.replay()
        return text

    def export_keys(self, file: Path) -> None:
        paper = self.store.desk.carry_out("keys-export", {"file": str(file)}).paper
        assert paper is not None
        write_paper(file, paper)

    def import_keys(self, file: Path) -> None:
        self.store.desk.carry_out("keys-import", {"file": str(file), "paper": wrapped(read_paper(file))})

    def known(self, gateway: Gateway) -> Gateway:
        """The gateway met and accepted."""
        self.state(gateway)
        self.accept(gateway)
        return gateway

    def receipts_for(self, gateway: Gateway, follow: Followups) -> list[Receipt]:
        """What the mailroom would send after that."""
        if gateway.device not in follow.receipts:
            return []
        topic, payloads = self.receipts.messages(
            gateway.device,
            sorted(follow.receipts[gateway.device]),
            follow.answer_states.get(gateway.device),
        )
        key = self.store.secrets.identity().key
        return [decode_receipt(open_message(key, topic, payload)) for payload in payloads]

    def marks(self, gateway: Gateway, follow: Followups) -> dict[str, JournalMarks]:
        return {journal: marks for one in self.receipts_for(gateway, follow) for journal, marks in one.journals.items()}

    def events(self) -> list[tuple[str, bytes]]:
        """Every device record in the ledger: id and bytes, in the order of commits."""
        return [
            (f"{journal}.{sequence}", bytes(raw))
            for journal, sequence, raw in self.store.database.connection.execute(
                "SELECT j.journal, sequence, raw FROM events JOIN journals AS j ON number = events.journal"
                " WHERE j.device IS NOT NULL ORDER BY position"
            )
        ]

    def parked(self) -> list[dict[str, Any]]:
        return self.status.beside("parked", 0, 1000)

    def alarms(self) -> dict[str, list[str]]:
        """Code -> details."""
        found: dict[str, list[str]] = {}
        for alarm in self.status.whole()["alarms"]:
            found.setdefault(alarm["code"], []).append(alarm["detail"])
        return found
