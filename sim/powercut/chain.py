"""Power cuts of a gateway on its whole road: real hub and city give it keys, a roster, receipts, and leave to prune."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Final

from edge.bookcopy import opened
from edge.journalfile import FILE_NAME
from edge.witness import WITNESS_PATH
from protocol.envelope import decode_event
from sim.parts import audit, get_json, until
from sim.powercut.gateway import CHECKPOINTS, DEVICE, RUN_S, GatewayCut, Recording, Sizes, recorded
from sim.powercut.opening import SOURCE
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Rename
from sim.powercut.traced import Traced
from sim.reckoning import last_records
from sim.road import Road
from sim.school import make_school, write_roster

PRUNING: Final[Mapping[str, int]] = {
    **CHECKPOINTS,
    "edge.upkeep.PRUNE_FIRST_MS": 500,
    "edge.upkeep.PRUNE_EVERY_MS": 300,
    "edge.pruning.ROWS_A_STEP": 7,
    "keep_ms": 1_000,
    "edge.journal.MARKS_RIDE_MS": 200,
    "edge.journal.MARKS_ALONE_MS": 400,
}
"""Records are pruned after a second, some at a time; marks of what is held elsewhere are written often."""


class Alongside:
    """A hub and a city that run while the gateway in `folder` is recorded."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Start them, with the gateway accepted and a roster to fetch. Raises PartFailed."""
        self.folder = folder
        self.road = Road(folder)
        self.rng = Random(seed)
        self.cut = GatewayCut(folder, self.rng, uplink=self.road.broker_url, time_source="declared")
        self.road.city.start()
        self.road.hub.start()
        self.road.command("devices", "accept", DEVICE)
        roster = folder / "roster.csv"
        write_roster(roster, make_school(30, seed))
        self.road.command("roster", "import", str(roster))

    def run(
        self, taps: int, stations: int, end: signal.Signals, *, pruned: bool, truth: Mapping[str, bytes]
    ) -> Recording:
        """Record a run until the hub (with `pruned`: the city, and the gateway let go) has all that was tapped."""

        def done(traced: Traced) -> None:
            until(lambda: self._has_all(), "the hub has not all", also=traced.check, moving=self.road.progress)
            if pruned:
                until(
                    lambda: b"were pruned" in traced.log.read_bytes(),
                    "nothing is pruned",
                    also=traced.check,
                    within_s=RUN_S,
                )

        return recorded(
            self.cut,
            taps,
            stations,
            end=end,
            limits=PRUNING,
            group=9,
            truth=truth,
            before_end=done,
            elsewhere=self.held,
        )

    def _has_all(self) -> bool:
        """Whether the hub holds the gateway's file to its end."""
        held = get_json(f"{self.road.hub_url}{WITNESS_PATH}")
        mine = last_records([self.cut.data])
        return held is not None and all(
            name in held["journals"] and held["journals"][name]["through"] >= last for name, last in mine.items()
        )

    def held(self) -> dict[str, bytes]:
        """Every record of the gateway's that the hub holds: what was pruned is no phantom."""
        return {
            name: raw
            for name, raw in audit(f"{self.road.hub_url}/v1/ledger/events")
            if decode_event(raw).source == SOURCE
        }

    def city_through(self) -> dict[str, int]:
        """Journal -> through which sequence the city holds every record."""
        found: dict[str, set[int]] = {}
        for name, _ in audit(f"{self.road.city_url}/k12edge/v1/events"):
            journal, _, sequence = name.partition(".")
            found.setdefault(journal, set()).add(int(sequence))
        through = {}
        for journal, held in found.items():
            last = 0
            while last + 1 in held:
                last += 1
            through[journal] = last
        return through

    def pruned(self) -> int:
        """How many records the gateway's file let go, by its own count."""
        with opened(self.cut.data / FILE_NAME) as database:
            return int(database.execute("SELECT sum(pruned_through) FROM journal").fetchone()[0])

    def stop(self) -> None:
        """End them."""
        self.road.hub.stop()
        self.road.city.stop()


def on_the_road(folder: Path, seed: int, sizes: Sizes) -> Outcome:
    """First boot with a hub: keys and roster come, marks are written, records are pruned behind signed checkpoints.

    Then the city goes, and the gateway goes on with the hub alone: of that nothing may be pruned.
    """
    along = Alongside(folder, seed)
    try:
        first = along.run(sizes.taps, sizes.stations, signal.SIGKILL, pruned=True, truth={})
        city = along.city_through()
        along.road.city.kill()
        second = along.run(sizes.taps // 2, sizes.stations, signal.SIGTERM, pruned=False, truth={**first.judge.truth})
    finally:
        along.stop()
    outcome = Outcome()
    for number, run in enumerate((first, second)):
        run.judge.pruned = city
        outcome.add(run.replayed(seed + number, sizes))
        outcome.more["small files replaced"] += sum(isinstance(step, Rename) for step in run.steps)
    outcome.more["pruned"] = along.pruned()
    return outcome
