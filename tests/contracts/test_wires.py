"""The reader port's contract over bad wires: whatever lies between reader and driver, everybody is seen once, in order.

Each driver meets each wire, or is exempt for a reason. What lies on it is the driver's own: a serial line's bytes, USB
transfers, pcscd's answers, key events.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from protocol.cards import CardUid
from sim.emulators.bench import Bench
from tests.contracts.scenes import SCENES, Scene
from tests.contracts.watching import watching

WIRES: Final = ("by bytes", "slow", "noisy", "vanishing")
EXEMPT: Final = {
    ("nfcpy", "by bytes"): "USB hands over whole transfers",
    ("pcsc", "by bytes"): "pcscd hands over whole answers",
    **{("replay", wire): "a file has no wire" for wire in WIRES},
    **{("simulated", wire): "a datagram between two processes of one machine has no wire" for wire in WIRES},
}
MET: Final = [
    pytest.param(driver, wire, marks=pytest.mark.preloaded_input if driver == "keyboard" else ())
    for driver in SCENES
    for wire in WIRES
    if (driver, wire) not in EXEMPT
]
CARDS: Final = [CardUid("a", f"04{number:02X}A1B2C3D4E5") for number in range(1, 5)]


@pytest.fixture
def scene(driver: str, tmp_path: Path, bench: Bench) -> Iterator[Scene]:
    made = SCENES[driver](tmp_path, bench)
    yield made
    made.close()


def test_nobody_is_exempt_from_a_wire_that_can_be_asked_of_it() -> None:
    assert EXEMPT.keys() <= {(driver, wire) for driver in SCENES for wire in WIRES}
    assert {driver for driver, _ in EXEMPT} <= {"nfcpy", "pcsc", "replay", "simulated"}


@pytest.mark.parametrize(("driver", "wire"), [case for case in MET if case.values[1] != "vanishing"])
def test_everybody_is_seen_once_and_in_order(scene: Scene, wire: str) -> None:
    scene.over(wire)
    scene.play(*((300, card, 200) for card in CARDS))
    with watching(scene.url) as watch:
        watch.await_count(len(CARDS), within_s=20)
        time.sleep(0.3)  # Time in which a second sighting of the last card would come.
        assert watch.cards() == CARDS
        assert watch.keeper.counts.losses == 0 or wire == "noisy", "the wire wasn't bad enough to open the reader anew"


@pytest.mark.parametrize(("driver", "wire"), [case for case in MET if case.values[1] == "vanishing"])
def test_a_reader_that_vanishes_and_comes_back_again_and_again(scene: Scene, wire: str) -> None:
    with watching(scene.url) as watch:
        descriptors = 0
        for number, card in enumerate(CARDS[:3], 1):
            scene.play((100, card, 250))
            watch.await_count(number, within_s=20)
            # As many as after the first time: what opened the reader anew gave back what it had.
            descriptors = descriptors or len(os.listdir("/proc/self/fd"))
            scene.vanish()
            deadline = time.monotonic() + 10
            while watch.keeper.counts.error is None:
                assert time.monotonic() < deadline, f"nobody noticed {wire}"
                time.sleep(0.005)
        scene.play((100, CARDS[3], 250))
        watch.await_count(4, within_s=20)
        assert watch.cards() == CARDS
        assert watch.keeper.counts.losses == 3
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 1, "the scene's own thread may hold one"
