"""The counter port's contract, one suite over the gateway's own and the simulated one, which tests of screens use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.canteen.ports import ClassTally, Counter, Entry
from protocol.cards import CardUid
from sim.counter import SimulatedCounter
from tests.edge.canteen.canteen import AN, PIN, STRANGER, Canteen, hashed, sheet

STATION = "quay-1"


@dataclass(frozen=True, slots=True)
class Scene:
    """A counter, and what holds An's card, or one of nobody, to its reader."""

    counter: Counter
    an: Callable[[], object]
    nobody: Callable[[], object]

    def newest(self) -> Entry:
        return self.counter.view(STATION).recent[0]


@pytest.fixture(params=["gateway", "simulated"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "simulated":
        of = SimulatedCounter((STATION,), sheet().eaters)
        of.pins = {PIN: "lan"}
        of.log_out(STATION)
        yield Scene(of, lambda: of.tap(STATION, "st-an"), lambda: of.tap(STATION, None, "refused", "unknown"))
        return
    canteen = Canteen(tmp_path)
    canteen.roster()
    canteen.lay(replace(sheet(), pins={"lan": hashed(PIN)}))
    canteen.run()

    def held(card: CardUid) -> Callable[[], object]:
        return lambda: canteen.tap(card)

    yield Scene(canteen.counter, held(AN), held(STRANGER))
    canteen.close()


def test_stations_are_known_and_others_are_not(scene: Scene) -> None:
    assert list(scene.counter.stations()) == [STATION]
    assert scene.counter.view(STATION).station == STATION
    with pytest.raises(KeyError):
        scene.counter.view("quay-9")


def test_whoever_listens_hears_of_each_change_until_they_end(scene: Scene) -> None:
    heard: list[str] = []
    end = scene.counter.listen(heard.append)
    scene.an()
    assert heard == [STATION] * len(heard) and heard
    end()
    count = len(heard)
    scene.nobody()
    assert len(heard) == count


def test_a_number_of_what_was_shown_grows(scene: Scene) -> None:
    before = scene.counter.view(STATION).shown.number
    scene.an()
    view = scene.counter.view(STATION)
    assert view.shown.number > before
    assert (view.shown.shape, view.shown.name, view.shown.tap) == ("accepted", "Nguyễn Thị Hoà An", view.recent[0].tap)
    assert view.shown.mono_ms <= view.now_mono_ms


def test_a_referred_card_waits_and_is_served_once(scene: Scene) -> None:
    scene.nobody()
    (waits,) = scene.counter.view(STATION).waiting
    assert (waits.kind, waits.reason) == ("referred", "unknown")
    done = scene.counter.serve_stranger(STATION, waits.tap, "lan")
    assert done.code is None
    view = scene.counter.view(STATION)
    assert (view.waiting, view.recent[0].tap, view.recent[0].how) == ((), done.tap, "stranger")
    assert scene.counter.serve_stranger(STATION, waits.tap, "lan").tap == done.tap
    assert len(scene.counter.view(STATION).recent) == 1


def test_a_pupil_is_found_and_served_by_name(scene: Scene) -> None:
    assert scene.counter.find("") == ()
    assert [eater.student for eater in scene.counter.find("hoa an")] == ["st-an"]
    assert len(scene.counter.find("3/2", 1)) == 1
    assert scene.counter.serve_name(STATION, "st-an", "lan").code is None
    assert (scene.newest().name, scene.newest().how, scene.newest().nth) == ("Nguyễn Thị Hoà An", "name", 1)
    assert scene.counter.serve_name(STATION, "nobody", "lan").code == "pupil-unknown"


def test_a_referred_card_whose_pupil_is_served_by_name_waits_no_more(scene: Scene) -> None:
    scene.nobody()
    (waits,) = scene.counter.view(STATION).waiting
    done = scene.counter.serve_name(STATION, "st-an", "lan", waits.tap)
    view = scene.counter.view(STATION)
    assert done.code is None and view.waiting == (), "its button would serve somebody a second time"
    assert (view.recent[0].tap, view.recent[0].how, view.recent[0].name) == (done.tap, "name", "Nguyễn Thị Hoà An")
    assert view.tally.strangers == 0


def test_a_serving_is_taken_back_and_was_after_all_and_again_is_no_fault(scene: Scene) -> None:
    assert scene.counter.log_in(STATION, PIN).code is None
    scene.an()
    tap = scene.newest().tap
    for _ in range(2):
        assert scene.counter.undo(tap, "lan").code is None
        assert scene.newest().undone
    for _ in range(2):
        assert scene.counter.redo(tap, "lan").code is None
        assert not scene.newest().undone
    assert scene.counter.flip(tap, "lan").code == "no-second"
    assert {ask("x.1", "lan").code for ask in (scene.counter.undo, scene.counter.redo, scene.counter.flip)} == {
        "serving-unknown"
    }


def test_the_classes_of_the_sitting_are_counted_as_lists_sort_them(scene: Scene) -> None:
    before = scene.counter.classes(STATION)
    assert before == (ClassTally("1A", 1, 0, 1), ClassTally("3/2", 1, 0, 1)), "whom nobody expects is not expected"
    scene.an()
    scene.nobody()
    assert scene.counter.classes(STATION) == (ClassTally("1A", 1, 1, 0), before[1])
    assert scene.counter.serve_name(STATION, "st-chi", "lan").code is None
    assert scene.counter.classes(STATION)[1] == ClassTally("3/2", 1, 1, 1), "who came unexpected was served"
    with pytest.raises(KeyError):
        scene.counter.classes("quay-9")


def test_a_shift_is_taken_by_the_right_pin_and_given_back(scene: Scene) -> None:
    assert scene.counter.view(STATION).needs_login
    assert scene.counter.log_in(STATION, "000000").code == "pin-wrong"
    assert scene.counter.log_in(STATION, PIN).code is None
    view = scene.counter.view(STATION)
    assert (view.shift_by, view.needs_login) == ("lan", False)
    assert scene.counter.log_out(STATION).code is None
    assert scene.counter.view(STATION).needs_login


def test_a_face_is_a_record_of_nobody(scene: Scene) -> None:
    before = scene.counter.view(STATION)
    done = scene.counter.rate(STATION, "good")
    assert done.code is None and done.tap is not None
    assert scene.counter.view(STATION).recent == before.recent
