"""The gateway under power cuts: a real one recorded, then opened from every state that a cut could leave."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from sim.powercut.chain import on_the_road
from sim.powercut.damage import DAMAGES, damaged, recovery, rescue, set_aside
from sim.powercut.gateway import (
    CHECKPOINTS,
    GatewayCut,
    Recording,
    Sizes,
    after_a_kill,
    checkpoints,
    first_boot,
    migration,
    recorded,
)
from sim.powercut.outcome import READY_S_MAX, Outcome
from sim.powercut.recording import Remove, Rename, Step, Sync, Write

SEED = 20261125
LARGE, SMALL = Sizes(taps=30, stations=3, every=3), Sizes(taps=8, stations=2, every=2)
"""One of three or two points, drawn by the seed; the campaign cuts at each."""
SOME = Sizes(every=4)
"""Of points that show a breach many are in a row."""
POINTS_MIN = 100  # of one recording of a gateway


def _kept(outcome: Outcome) -> None:
    print(outcome)
    assert outcome.problems() == []
    assert outcome.ready_s < READY_S_MAX


@pytest.mark.parametrize("story", [first_boot, after_a_kill])
def test_no_cut_breaks_the_promise(story: Callable[[Path, int, Sizes], Outcome], tmp_path: Path) -> None:
    outcome = story(tmp_path, SEED, LARGE)
    _kept(outcome)
    assert outcome.points >= POINTS_MIN
    assert outcome.states >= outcome.points
    assert outcome.taps >= LARGE.taps * LARGE.stations


def test_no_cut_in_a_checkpoint_does(tmp_path: Path) -> None:
    outcome = checkpoints(tmp_path, SEED, replace(SMALL, taps=12))
    _kept(outcome)
    assert outcome.more["checkpoints"] >= 2


def test_no_cut_in_a_migration_does(tmp_path: Path) -> None:
    outcome = migration(tmp_path, SEED, SMALL)
    _kept(outcome)
    assert outcome.more["states before the step"] and outcome.more["states after it"]


@pytest.mark.parametrize("way", range(len(DAMAGES)), ids=[way.__name__ for way in DAMAGES])
def test_no_cut_in_setting_aside_and_salvage_does(way: int, tmp_path: Path) -> None:
    outcome = set_aside(tmp_path, way, SMALL)
    _kept(outcome)
    assert outcome.more["set aside"]


def test_no_cut_after_a_rescue_does(tmp_path: Path) -> None:
    outcome = rescue(tmp_path, SEED, SMALL)
    _kept(outcome)
    assert outcome.more["excused points"] < outcome.points / 4


@pytest.mark.parametrize("seed", [SEED, SEED + 1], ids=["of a damaged file", "of a log"])
def test_no_second_cut_in_a_recovery_does(seed: int, tmp_path: Path) -> None:
    outcome = recovery(tmp_path, seed, SMALL, 3)
    _kept(outcome)
    assert outcome.states > 60


def test_no_cut_with_a_hub_that_gives_keys_a_roster_and_leave_to_prune_does(tmp_path: Path) -> None:
    outcome = on_the_road(tmp_path, SEED, SMALL)
    _kept(outcome)
    assert outcome.more["pruned"] and outcome.more["small files replaced"] >= 2


# --- the checkers turn red --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(GatewayCut(tmp_path_factory.mktemp("cut"), Random(7)), 4, 2, end=signal.SIGTERM)


def _replayed(run: Recording, steps: list[Step] | None = None, **changes: object) -> Outcome:
    judge = replace(run.judge, **changes)
    return replace(run, steps=run.steps if steps is None else steps, judge=judge).replayed(7, SOME)


def _without_syncs(steps: list[Step], end: str) -> list[Step]:
    """The same process, had it left out the syncs of these files; a step keeps its number."""
    return [Sync(step.path, 0) if isinstance(step, Sync) and step.path.endswith(end) else step for step in steps]


def test_a_gateway_that_did_not_sync_would_be_caught(run: Recording) -> None:
    assert _replayed(run).kept
    assert _replayed(run, _without_syncs(run.steps, "-wal")).lost


def test_a_beep_before_its_commit_would_be_caught(run: Recording) -> None:
    early: list[Step] = []
    for step in run.steps:
        if isinstance(step, Write) and step.path == str(run.cut.signals):
            # To before the write and the sync that its commit made.
            at = max(number for number, earlier in enumerate(early) if isinstance(earlier, Sync))
            early.insert(max(0, at - 1), step)
        else:
            early.append(step)
    assert _replayed(run, early).lost


def test_a_disk_that_changes_bytes_would_be_caught(run: Recording) -> None:
    changed = [
        Write(step.path, step.offset, step.data[:60] + bytes([step.data[60] ^ 1]) + step.data[61:])
        if isinstance(step, Write) and step.path.endswith("-wal") and len(step.data) == 4096 and number % 7 == 0
        else step
        for number, step in enumerate(run.steps)
    ]
    assert not _replayed(run, changed).kept


def test_a_record_that_nobody_wrote_would_be_caught(run: Recording) -> None:
    missing = next(name for name in run.judge.truth if name.endswith(".3"))
    known = {name: raw for name, raw in run.judge.truth.items() if name != missing}
    found = _replayed(run, truth=known)
    assert found.phantom and all(missing in name for name in found.phantom)


def test_another_record_under_a_name_would_be_caught(run: Recording) -> None:
    name = next(name for name in run.judge.truth if name.endswith(".3"))
    assert any(name in one for one in _replayed(run, truth={**run.judge.truth, name: b"{}"}).corrupt)


def test_a_record_held_twice_would_be_caught(run: Recording) -> None:
    outcome = Outcome()
    name, raw = next(iter(run.judge.truth.items()))
    run.judge._compare([(name, raw), (name, raw)], {}, "0" * 16, outcome, "by hand")
    assert outcome.double


def test_keys_that_were_not_synced_would_be_caught(run: Recording) -> None:
    assert any("keys" in one for one in _replayed(run, _without_syncs(run.steps, "keys.json.new")).corrupt)
    named = [step for step in run.steps if not (isinstance(step, Rename) and step.to.endswith("keys.json"))]
    assert _replayed(run, named).corrupt


def test_a_gateway_that_is_not_ready_in_time_would_be_caught() -> None:
    outcome = Outcome()
    outcome.ready("a state", READY_S_MAX + 1)
    assert outcome.late and not outcome.kept


def test_a_checkpoint_that_did_not_sync_the_database_would_be_caught(tmp_path: Path) -> None:
    run = recorded(GatewayCut(tmp_path, Random(7)), 30, 1, end=signal.SIGTERM, limits=CHECKPOINTS, group=7)
    assert run.replayed(7, SOME).kept
    assert not _replayed(run, _without_syncs(run.steps, "journal.db")).kept


def test_a_file_set_aside_without_its_records_would_be_caught(tmp_path: Path) -> None:
    run = damaged(GatewayCut(tmp_path, Random(7)), SMALL, 0)
    # What an impatient repair would do: remove the damaged file instead.
    removed = [
        Remove(step.path) if isinstance(step, Rename) and "journal-damaged" in step.to else step for step in run.steps
    ]
    assert _replayed(run, [step for step in removed if "damaged" not in step.path]).lost
