"""A card that lies about flushing is found out: by the gateway itself, by the audit with a witness, by the hub."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from random import Random

import pytest

from sim.powercut.chain import Alongside
from sim.powercut.gateway import Sizes
from sim.powercut.lying import LIES, Lie, audited, lying, lying_card, recorded_lie
from sim.powercut.outcome import Outcome
from sim.powercut.recording import Sync

SEED = 20261125
SMALL = Sizes(taps=8, stations=2)


def test_what_a_lying_card_loses_is_named(tmp_path: Path) -> None:
    outcome = lying_card(tmp_path, SEED, SMALL, 40)
    print(outcome)
    assert outcome.problems() == []
    gone = outcome.more["states with records gone"]
    assert gone > 10 and gone == outcome.more["named by the witness"]
    assert outcome.more["named by the gateway itself"] > gone / 10
    assert outcome.more["named by the running hub"] > 0


@pytest.fixture(scope="module")
def lie(tmp_path_factory: pytest.TempPathFactory) -> Lie:
    along = Alongside(tmp_path_factory.mktemp("lie"), 7)
    try:
        return recorded_lie(along, Sizes(6, 1))
    finally:
        along.stop()


@pytest.mark.parametrize("about", sorted(LIES))
def test_only_these_syncs_are_dropped(lie: Lie, about: str) -> None:
    steps = lying(lie.run.steps, about, 0)
    dropped = [old for old, new in zip(lie.run.steps, steps, strict=True) if old != new]
    assert dropped and all(isinstance(step, Sync) and step.path.endswith(LIES[about]) for step in dropped)
    assert lying(lie.run.steps, about, len(lie.run.steps)) == lie.run.steps


def _state(lie: Lie, about: str | None) -> dict[str, bytes]:
    disk = deepcopy(lie.run.start)
    for step in lie.run.steps if about is None else lying(lie.run.steps, about, 0):
        disk.step(step)
    return {path: content for path, content in disk.after("nothing", Random(1)).items() if "/data/" in path}


def test_an_honest_card_is_not_blamed(lie: Lie) -> None:
    outcome = Outcome()
    assert audited(lie, _state(lie, None), outcome, "honest") == (0, [])
    assert outcome.kept and not outcome.more


def test_a_witness_that_says_nothing_would_be_caught(lie: Lie, tmp_path: Path) -> None:
    outcome = Outcome()
    gone, _ = audited(lie, _state(lie, "everything"), outcome, "lie")
    assert gone and outcome.kept
    silent = Lie(lie.along, lie.run, tmp_path / "silent.json", lie.held)
    silent.witness.write_text('{"journals": {}}', encoding="ascii")
    gone, _ = audited(silent, _state(lie, "everything"), outcome, "lie")
    assert gone and outcome.unnamed
