"""The hub under power cuts: the real one recorded with its broker, gateways and city; its receipts are the promise."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from hub.config import HubConfig, load_hub_config
from hub.parts import FILE_NAME, Store
from hub.store.database import SCHEMA
from sim.parts import audit, until
from sim.powercut.disk import Disk
from sim.powercut.gateway import DEVICE, RUN_S, GatewayCut, Sizes
from sim.powercut.ledgerjudge import HubJudge, is_own, key_of_hub, ledger_records, moved
from sim.powercut.opening import records_of, shown_before
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Step, Write
from sim.powercut.replay import replay
from sim.powercut.traced import Traced
from sim.powercut.uneven import UnevenGateway
from sim.road import Road
from sim.school import make_school, write_roster

UNEVEN: Final = "le"


def undoing(version: int) -> str:
    """What takes a ledger's schema one version back: a file as an earlier version left it, with the records it had."""
    with closing(_made(version - 1)) as before, closing(_made(version)) as after:
        old, new = _objects(before), _objects(after)
        words = [f"DROP INDEX {name};" for kind, name in sorted(new.keys() - old.keys()) if kind == "index"]
        words += [f"DROP TABLE {name};" for kind, name in sorted(new.keys() - old.keys()) if kind == "table"]
        for kind, name in sorted(old.keys() & new.keys()):
            added = _columns(after, name) - _columns(before, name) if kind == "table" else set()
            words += [f"ALTER TABLE {name} DROP COLUMN {column};" for column in sorted(added)]
        words += [f"{old[gone]};" for gone in sorted(old.keys() - new.keys(), reverse=True)]
    head = "PRAGMA foreign_keys = OFF; BEGIN;"
    return " ".join([head, *words, f"PRAGMA user_version = {version - 1}; COMMIT;"])


def _made(version: int) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    for step in sorted(SCHEMA.glob("[0-9][0-9][0-9].sql"))[:version]:
        database.executescript(step.read_text(encoding="utf-8"))
    return database


def _objects(database: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = database.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    )
    return {(kind, name): sql for kind, name, sql in rows}


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


class HubCut:
    """A road whose hub is recorded: a real gateway and an uneven one feed it, it feeds a real city."""

    def __init__(self, folder: Path, seed: int, sizes: Sizes) -> None:
        """Start the city. Raises PartFailed."""
        self.folder, self.seed, self.sizes = folder, seed, sizes
        self.rng = Random(seed)
        self.road = Road(folder)
        self.config = load_hub_config(self.road.hub_config)
        self.data = self.config.data_dir
        self.gateway = GatewayCut(folder, self.rng, uplink=self.road.broker_url)
        self.uneven = UnevenGateway(UNEVEN, sizes.taps * sizes.stations, self.rng)
        self.road.city.start()
        self._runs = 0

    def run(self, end: signal.Signals, *, record: bool, share: float = 1.0) -> list[Step]:
        """Have a hub take what a real gateway taps and the uneven one offers to `share`, until the city has all."""
        self._runs += 1
        words = ["k12edge", "hub", "--config", str(self.road.hub_config)]
        hub = Traced(self.folder, f"hub-{self._runs}", words, record=record, sent=True)
        try:
            until(lambda: self.road.status() is not None, "the hub is not ready", also=hub.check, within_s=RUN_S)
            if self._runs == 1:
                self._introduce()
            gateway = self.gateway.start(self.sizes.taps, self.sizes.stations, record=False)
            try:
                self.uneven.offer_all(self.road.broker_url, share)
                self.gateway.answered(gateway, self._runs * self.sizes.taps * self.sizes.stations)
                until(self._at_the_city, "not everything arrived", also=hub.check, moving=self.road.progress)
                gateway.end(signal.SIGKILL)
            finally:
                gateway.leave()
            hub.end(end)
        finally:
            hub.leave()
        return hub.steps(self.data, apart=[self.data / "broker"]) if record else []

    def _introduce(self) -> None:
        for device in (DEVICE, UNEVEN):
            self.road.command("devices", "accept", device)
        roster = self.folder / "roster.csv"
        write_roster(roster, make_school(30, self.seed))
        self.road.command("roster", "import", str(roster))

    def _at_the_city(self) -> bool:
        state = self.road.status()
        if state is None or state["holes"] or state["city"]["backlog"]:
            return False
        held = {name for name, _ in audit(f"{self.road.city_url}/k12edge/v1/events")}
        return all(name in held for name in shown_before(self.gateway.signals))

    def judge(self, accepted: frozenset[str]) -> HubJudge:
        """The judge of what was recorded, who knows every record that gateways and hub wrote."""
        truth = dict(self.uneven.records()) | dict(records_of(self.gateway.data))
        for name, raw in ledger_records(self.data / FILE_NAME).items():
            if is_own(raw):
                truth.setdefault(name, raw)
        return HubJudge(self.config, truth, key_of_hub(self.config, self.data), accepted)

    def stop(self) -> None:
        """End the city."""
        self.road.city.stop()


def _replayed(cut: HubCut, steps: list[Step], start: Disk, judge: HubJudge) -> Outcome:
    sizes = cut.sizes
    how = {"draws": sizes.draws, "jobs": sizes.jobs, "every": sizes.every}
    outcome = replay(steps, start, cut.data, judge, seed=cut.seed, **how)
    for step in steps:
        judge.hear(step)
    outcome.more["receipts"] = judge.receipts
    outcome.more["submitted to the city"] = len(judge.submitted)
    if not (judge.receipts and judge.submitted and judge.city):
        outcome.corrupt.append("the recording holds no receipt, or nothing for the city: it proves nothing")
    return outcome


def hub_first_boot(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """From an empty directory through strangers accepted, a roster, holes and duplicates, to a clean end."""
    cut = HubCut(folder, seed, sizes)
    try:
        steps = cut.run(signal.SIGTERM, record=True)
        return _replayed(cut, steps, Disk(), cut.judge(frozenset()))
    finally:
        cut.stop()


def hub_after_a_kill(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """Over what a kill -9 left, taken on with the rest of the records; killed again at the end."""
    cut = HubCut(folder, seed, sizes)
    try:
        cut.run(signal.SIGKILL, record=False, share=0.5)
        return _taken_on(cut, signal.SIGKILL)
    finally:
        cut.stop()


def _taken_on(cut: HubCut, end: signal.Signals) -> Outcome:
    """Record a further run over what lies there."""
    start = Disk()
    start.load(cut.data)
    submitted = {name for name, _ in audit(f"{cut.road.city_url}/k12edge/v1/events")}
    steps = cut.run(end, record=True)
    judge = cut.judge(frozenset((DEVICE, UNEVEN)))
    judge.submitted |= submitted
    return _replayed(cut, steps, start, judge)


def hub_migration(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """A ledger of the first schema, full of records, is opened by this version, which brings it up to date."""
    cut = HubCut(folder, seed, sizes)
    try:
        cut.run(signal.SIGTERM, record=False, share=0.5)
        with closing(sqlite3.connect(cut.data / FILE_NAME)) as database:
            while (version := database.execute("PRAGMA user_version").fetchone()[0]) > 1:
                database.executescript(undoing(version))
        return _taken_on(cut, signal.SIGTERM)
    finally:
        cut.stop()


@dataclass(slots=True)
class ImportJudge:
    """See replay.Judge: keys are imported whole or not at all, and from the moment the command says so for good."""

    config: HubConfig
    key: str
    accepted: frozenset[str]
    log: Path
    done: bool = False

    def hear(self, step: Step) -> None:
        """The command's word."""
        self.done = self.done or (isinstance(step, Write) and step.path == str(self.log))

    def promised(self) -> int:
        """See replay.Judge."""
        return len(self.accepted) + 1 if self.done else 0

    def judge(self, folder: Path, outcome: Outcome, name: str) -> None:
        """See replay.Judge."""
        began_s = time.monotonic()
        store = Store(moved(self.config, folder))
        outcome.ready(name, time.monotonic() - began_s)
        with closing(store.database):
            same = store.secrets.identity().key == self.key
            found = {device.device for device in store.devices.all() if device.standing == "accepted"}
        if self.done and not same:
            outcome.lost.append(f"{name}: the imported keys are gone")
        if found != (self.accepted if same else set()):
            outcome.corrupt.append(f"{name}: half of the import is there: {sorted(found)}, the hub's key {same}")


def keys_import(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """`k12edge hub keys import` into an empty hub, cut at every step."""
    cut = HubCut(folder, seed, Sizes(2, 1))
    try:
        cut.run(signal.SIGTERM, record=False)
    finally:
        cut.stop()
    paper, key = folder / "keys.txt", key_of_hub(cut.config, cut.data)
    cut.road.command("keys", "export", str(paper))
    cut.data.rename(folder / "old-hub")
    words = ["k12edge", "hub", "keys", "import", str(paper), "--config", str(cut.road.hub_config)]
    command = Traced(folder, "import", words)
    command.wait()
    steps = command.steps(cut.data, command.log)
    judge = ImportJudge(cut.config, key, frozenset((DEVICE, UNEVEN)), command.log)
    how = {"draws": sizes.draws, "jobs": sizes.jobs, "every": sizes.every}
    outcome = replay(steps, Disk(), cut.data, judge, seed=seed, **how)
    if not outcome.taps:
        outcome.corrupt.append(f"the command never said that it was done: {command.told()}")
    return outcome
