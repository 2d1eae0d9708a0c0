"""Malformed files at boot: a real gateway starts on a damaged directory, again and again, each time another damage."""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME
from edge.salvage import open_journal
from edge.waterline import FILE_NAME as WATERLINE
from edge.waterline import packed
from hub.config import load_hub_config
from hub.control import carry_out
from protocol.cards import CardKey, parse_card
from protocol.envelope import clock_data
from protocol.roster import Release, pack_release
from protocol.taps import Draft, TapData
from protocol.topics import device_source
from sim.campaign import Figures
from sim.parts import PartFailed, get_json, until
from sim.road import Road
from sim.stores.damage import Damage, damage
from sim.stores.gate import SCHOOL, Gate, card

READY_S: Final = 5.0
"""From the start of the process to the first card's signal."""
TAPS: Final = 60
FILES: Final = (
    FILE_NAME,
    f"{FILE_NAME}-wal",
    f"{FILE_NAME}-shm",
    "keys.json",
    "keys-copy.json",
    "roster-gate.gz",
    WATERLINE,
    "lock",
)
NOTHING_IN_IT: Final = ("lock", f"{FILE_NAME}-shm", "keys-copy.json", WATERLINE)
"""A damaged one is made anew without a word; so is a log in which no frame can be made out."""


def killed(data: Path, name: str, rng: Random) -> dict[str, bytes]:
    """Fill a gateway's directory as a kill -9 leaves it: some taps in the file, the rest in its log. Id -> bytes."""
    run = data.with_name(f"{data.name}-run")
    run.mkdir(parents=True)
    release = Release("r-20270301T000000Z-0001", 1, SCHOOL, "gate", [1], {_keyed(1): ["st-1"]})
    (run / "roster-gate.gz").write_bytes(pack_release(release))
    (run / "lock").write_text("1\n", encoding="ascii")
    clock = SystemClock()
    journal, _ = open_journal(
        run,
        journal=rng.randbytes(8).hex(),
        source=device_source(SCHOOL, name),
        identity=DeviceKeys(run, None).identity,
        clock=clock,
        version="campaign",
    )
    moved = rng.randrange(5, TAPS)
    for number in range(TAPS):
        if number == moved:
            journal.checkpoint(truncate=True)
        reading = clock.read()
        data_of = TapData(
            kind="gate",
            point="cong-0",
            dir="in",
            card=_keyed(number),
            student=None,
            decision="accepted",
            reason="no-card-key",
            signal="ok",
            roster=None,
            clock=clock_data(reading),
        )
        journal.append(Draft("attendance.tap", reading.best_ms, data_of), "cong-0", _keyed(number), "accepted")
    assert journal.head is not None
    (run / WATERLINE).write_bytes(packed(journal.journal, journal.last, journal.head))
    truth = dict(_written(run))
    shutil.copytree(run, data)
    journal.close()
    shutil.rmtree(run)
    return truth


def _keyed(number: int) -> str:
    return CardKey(1, bytes(32)).keyed(parse_card(card(number)))


def _written(data: Path) -> list[tuple[str, bytes]]:
    from edge.journalfile import open_for_reading
    from protocol.envelope import decode_event

    # Beside the writer, in its own process: a second way in would take SQLite's locks from it.
    database = open_for_reading(data / FILE_NAME)
    try:
        return [(decode_event(raw).id, bytes(raw)) for (raw,) in database.execute("SELECT raw FROM event")]
    finally:
        database.close()


def _readable(before: dict[str, bytes], done: Damage, truth: dict[str, bytes]) -> set[str]:
    """The records of which a whole copy lies in pages or frames that the damage left as they were."""
    return {name for name, raw in truth.items() if any(_is_left(before, done, file, raw) for file in FILES[:2])}


def _is_left(before: dict[str, bytes], done: Damage, file: str, raw: bytes) -> bool:
    octets = before.get(file, b"")
    at = octets.find(raw)
    while at >= 0:
        if file != done.file or done.untouched(at, at + len(raw) - 1):
            return True
        at = octets.find(raw, at + 1)
    return False


class Boots:
    """Damages one after the other, each on a gateway of its own; one hub hears what came of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Start the hub. Raises PartFailed."""
        self._folder, self._seed = folder, seed
        self._road = Road(folder, with_city=False)
        self._road.hub.start()
        self._config = load_hub_config(self._road.hub_config)
        self.slowest_s = self._sound_s = 0.0
        self._sound_s = self._sound()
        self.damages: dict[str, int] = {}
        self.problems: list[str] = []

    def _sound(self) -> float:
        """Seconds to the first signal of a start on nothing, where every file is made anew."""
        gate = Gate(self._folder / "sound")
        gate.play([card(1)], tick_ms=0)
        began_s = gate.start()
        try:
            gate.await_more("accepted")
            return time.monotonic() - began_s
        finally:
            gate.end()

    def once(self, number: int) -> None:
        """One damage, two starts on it; what it did and what is wrong is noted."""
        rng = Random(self._seed * 1_000_003 + number)
        name = f"cong-{number}"
        carry_out(self._config, "devices-accept", {"device": name, "fingerprint": None})
        gate = Gate(self._folder / name, name=name, uplink=self._road.broker_url)
        truth = killed(gate.data, name, rng)
        before = {file: (gate.data / file).read_bytes() for file in FILES if (gate.data / file).exists()}
        done = damage(gate.data, FILES, rng)
        self.damages[str(done)] = self.damages.get(str(done), 0) + 1
        wrong: list[str] = []
        try:
            for turn in (1, 2):
                self._start(gate, turn, done, wrong)
            until(
                partial(self._arrived, _readable(before, done, truth) | gate.promised()),
                "a record that is readable, or was signalled, is not at the hub",
                also=gate.part.check,
                within_s=60,
                moving=lambda: self._held(),
            )
            if (code := gate.stop()) != 0:
                wrong.append(f"it ended with {code}")
        except PartFailed as problem:
            wrong.append(str(problem))
        finally:
            gate.end()
        self.problems += [f"damage {number}, {done}: {text}" for text in wrong]
        if not wrong:
            shutil.rmtree(gate.folder)

    def _start(self, gate: Gate, turn: int, done: Damage, wrong: list[str]) -> None:
        gate.play([card(9_000 + turn)], tick_ms=0)
        shown = len(gate.words())
        began_s = gate.start()
        # Refused as unknown where the roster and the card keys are already there: an answer as well, and recorded.
        gate.await_more("accepted", "repeated", "refused", after=shown)
        took_s = time.monotonic() - began_s
        self.slowest_s = max(self.slowest_s, took_s)
        # A loaded machine's own slowness is none of the gateway's: it is measured by a start on sound files.
        if took_s > READY_S + self._sound_s:
            wrong.append(f"{took_s:.1f} s to the first signal")
        if turn == 1:
            gate.await_true(lambda: not list(gate.data.glob("journal-damaged-*")), "the salvage isn't over")
            wrong += _told(gate, done, shown)
            if (code := gate.stop()) != 0:
                wrong.append(f"it ended with {code}")

    def _held(self) -> dict[str, object]:
        said = get_json(f"{self._road.hub_url}/v1/ledger/journals")
        return {} if said is None else said["journals"]

    def _arrived(self, names: set[str]) -> bool:
        held = self._held()
        for name in names:
            journal, _, sequence = name.partition(".")
            mine = held.get(journal)
            if not isinstance(mine, dict) or int(sequence) > mine["through"]:
                return False
            if any(first <= int(sequence) <= last for first, last in mine["missing"]):
                return False
        return True

    def end(self) -> None:
        """End the hub."""
        self._road.stop()


def _told(gate: Gate, done: Damage, shown: int) -> list[str]:
    """A file that was set aside is told by an alarm, and one that can't be what it was is set aside."""
    alarms = {one["code"] for one in gate.shown()[shown:] if one["signal"] == "alarm"}
    aside = [path.name for path in gate.data.iterdir() if path.name.startswith(("salvaged-", "refused-", "no-file-"))]
    aside += [path.name for path in gate.data.glob("*-damaged*")]
    problems = []
    if aside and done.file not in NOTHING_IN_IT and not alarms & {"journal-damaged", "file-damaged"}:
        problems.append(f"set aside without an alarm: {aside}")
    nothing = done.file in NOTHING_IN_IT or (done.file.endswith("-wal") and done.kind == "garbage")
    if not aside and done.kind in ("garbage", "folder") and not nothing:
        problems.append("nothing was set aside")
    if done.file not in FILES[:2] and "records-gone" in alarms:
        problems.append("records are called gone that are all there")
    return problems


def boots(folder: Path, seed: int, count: int) -> tuple[Figures, list[str]]:
    """`count` damages of a gateway's files. Raises PartFailed when no hub starts."""
    campaign = Boots(folder, seed)
    try:
        for number in range(count):
            campaign.once(number)
    finally:
        campaign.end()
    figures: Figures = {"damages": count, "kinds": len(campaign.damages), "slowest_s": round(campaign.slowest_s, 2)}
    return figures, campaign.problems
