"""A card that lies about flushing: what it loses can't be held, so it must be found out, and named.

From some moment on the card acknowledges syncs that it hasn't done: of the log, of the database, or of everything.
Then the power goes, at the end of a run whose every record the hub holds. What is missing afterwards must be named: by
the gateway itself at its next start, by the audit with the hub as witness, and by the running hub.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from edge.journalfile import FILE_NAME
from edge.salvage import mark_damaged
from edge.verify import VALID, verify_path
from edge.witness import WITNESS_PATH
from host.lock import InstanceLock
from protocol.errors import JournalDamaged
from sim.parts import PartFailed, get_json, until
from sim.powercut.chain import Alongside
from sim.powercut.disk import CUTS, lay_out, mark_of
from sim.powercut.gateway import DEVICE, RUN_S, GatewayCut, Recording, Sizes
from sim.powercut.opening import Opened, open_state, records_in
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Step, Sync
from sim.powercut.replay import state_base

LIES: Final = {"log": ("-wal",), "database": (".db",), "everything": ("",)}
"""Of which files syncs are acknowledged and not done, by the ends of their names; folders' too, with everything."""


def lying(steps: Sequence[Step], about: str, since: int) -> list[Step]:
    """The recording on a card that from step `since` on drops the syncs of these files."""
    ends = LIES[about]
    dropped = [isinstance(step, Sync) and at >= since and step.path.endswith(ends) for at, step in enumerate(steps)]
    # A dropped sync keeps its place, as one that covers nothing, since syncs count by steps.
    return [Sync(step.path, 0) if drop else step for step, drop in zip(steps, dropped, strict=True)]


@dataclass(slots=True)
class Lie:
    """A run on the road, and what the hub holds of it: the witness."""

    along: Alongside
    run: Recording
    witness: Path
    held: dict[str, bytes]


def recorded_lie(along: Alongside, sizes: Sizes) -> Lie:
    """Two runs of a gateway with a hub; the second is recorded, and the power goes when the hub has all."""
    first = along.run(max(4, sizes.taps // 4), sizes.stations, signal.SIGTERM, pruned=False, truth={})
    run = along.run(sizes.taps, sizes.stations, signal.SIGKILL, pruned=False, truth=first.judge.truth)
    witness = along.folder / "witness.json"
    witness.write_bytes(msgspec.json.encode(get_json(f"{along.road.hub_url}{WITNESS_PATH}")))
    return Lie(along, run, witness, along.held())


def lying_card(folder: Path, seed: int, sizes: Sizes, count: int) -> Outcome:
    """`count` lies; whatever record of a state is gone must be named by the audit with the hub as witness.

    Nobody may be blamed where nothing is gone. Some states are given to a real gateway that meets the running hub.
    """
    along = Alongside(folder, seed)
    outcome, rng = Outcome(), Random(seed)
    try:
        lie = recorded_lie(along, sizes)
        seen: set[bytes] = set()
        to_hub = {"log": 2, "everything": 2}
        for _ in range(count):
            about = rng.choice(sorted(LIES))
            steps = lying(lie.run.steps, about, rng.randrange(len(lie.run.steps)))
            disk = deepcopy(lie.run.start)
            for step in steps:
                disk.step(step)
            outcome.points += 1
            for way in CUTS:
                state = {path: content for path, content in disk.after(way, rng).items() if "/data/" in path}
                if mark_of(state) in seen:
                    continue
                seen.add(mark_of(state))
                gone, lines = audited(lie, state, outcome, f"lie {outcome.points} about the {about} ({way})")
                # A hole in the middle of a settled journal is the audit's to find; a lost end the hub sees by itself.
                if gone and to_hub.get(about, 0) and any("tail is cut" in line or "rolled" in line for line in lines):
                    to_hub[about] -= 1
                    _told_by_hub(lie, state, outcome, lines, f"lie {outcome.points} about the {about} ({way})", rng)
        outcome.states, outcome.taps = len(seen), len(lie.held)
    finally:
        along.stop()
    return outcome


def audited(lie: Lie, state: dict[str, bytes], outcome: Outcome, name: str) -> tuple[int, list[str]]:
    """Open a state and audit it; how many records are gone, and the audit's lines."""
    with tempfile.TemporaryDirectory(prefix="k12edge-lie-", dir=state_base()) as made:
        folder = Path(made)
        lay_out(state, lie.run.cut.data, folder)
        with InstanceLock(folder):
            opened, found = _begun(folder, outcome, name)
            gone = sum(found.get(record) != raw for record, raw in lie.held.items())
            by_itself = bool(opened.aside or opened.alarms)
            report = verify_path(folder, str(lie.witness))
            by_witness = report.exit_code != VALID
    if gone:
        outcome.more["states with records gone"] += 1
        outcome.more["named by the gateway itself"] += by_itself
        outcome.more["named by the witness"] += by_witness
        if not by_witness:
            outcome.unnamed.append(f"{name}: {gone} records are gone, and the witness names nothing")
    elif by_witness or opened.alarms:
        outcome.corrupt.append(f"{name}: nothing is gone, and yet it is blamed: {opened.alarms} {report.lines}")
    return gone, report.lines if gone else []


def _begun(folder: Path, outcome: Outcome, name: str) -> tuple[Opened, dict[str, bytes]]:
    """Start in a state, and anew where the file breaks under the gateway (see Gateway._begin_anew); what it holds."""
    for _ in range(2):
        try:
            opened = open_state(folder)
            outcome.ready(name, opened.ready_s)
            return opened, records_in(folder / FILE_NAME)
        except (JournalDamaged, sqlite3.DatabaseError, TypeError, ValueError):
            mark_damaged(folder)
    return open_state(folder), records_in(folder / FILE_NAME)


def _alarms(lie: Lie) -> dict[tuple[str, str], int]:
    """The hub's alarms now: code and detail -> how often."""
    state: Any = lie.along.road.status() or {"alarms": []}
    return {(one["code"], one["detail"]): one["count"] for one in state["alarms"]}


NAMES: Final = {"journal-rolled-back", "journal-branched", "journal-begun-anew"}
"""The hub's alarms that name a file which lost what it had."""
THEIRS: Final = {"journal-damaged", "records-gone"}
"""The gateway's own, which the hub shows as well."""


def _told_by_hub(lie: Lie, state: dict[str, bytes], outcome: Outcome, lines: list[str], name: str, rng: Random) -> None:
    """Start a real gateway on the state while the hub runs: the hub must raise an alarm that names the file."""
    folder = lie.along.folder / f"again-{outcome.points}"
    folder.mkdir()
    cut = GatewayCut(folder, rng, uplink=lie.along.road.broker_url, time_source="declared")
    lay_out(state, lie.run.cut.data, cut.data)
    before = _alarms(lie)
    traced = cut.start(1, 1, record=False)

    def named() -> bool:
        state: Any = lie.along.road.status() or {"devices": []}
        told = {code for device in state["devices"] if device["device"] == DEVICE for code in device["alarms"]}
        return bool(told & THEIRS) or any(
            count > before.get(alarm, 0) for alarm, count in _alarms(lie).items() if alarm[0] in NAMES
        )

    try:
        cut.answered(traced, 1)
        until(named, f"{name}: the hub names nothing", also=traced.check, within_s=RUN_S)
        outcome.more["named by the running hub"] += 1
    except PartFailed as problem:
        outcome.unnamed.append(f"{problem}; {lines}; {traced.told()}")
    finally:
        traced.end(signal.SIGTERM)
        shutil.rmtree(folder)
