"""The reader port's contract, one suite over every driver: emulated chips on pseudo-terminals, and replays.

A new driver joins by a Scene that shows cards to it; what can be unplugged, disturbed or left fast is a Device.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.ports import CardRead
from edge.readers.opening import SCHEMES, make_reader
from protocol.cards import CardUid
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.bench import Bench
from sim.emulators.pn532 import Faults, FieldCard
from tests.contracts.scenes import SCENES, Pn532Scene, Scene
from tests.contracts.watching import CLOCK, opened, watching
from tests.patience import within

A, B, C = (CardUid("a", text) for text in ("04A1B2C3D4E580", "DEADBEEF", "0499AABBCCDDEE"))
DRIVERS = tuple(SCENES)
RUNS = [pytest.param(name, marks=pytest.mark.preloaded_input if name == "keyboard" else ()) for name in DRIVERS]


def test_every_driver_is_held_to_the_contract() -> None:
    assert set(DRIVERS) == set(SCHEMES)


@pytest.fixture(params=RUNS)
def scene(request: pytest.FixtureRequest, tmp_path: Path, bench: Bench) -> Iterator[Scene]:
    made = SCENES[request.param](tmp_path, bench)
    yield made
    made.close()


@pytest.fixture(params=RUNS)
def empty_scene(request: pytest.FixtureRequest, tmp_path: Path, bench: Bench) -> Iterator[Scene]:
    """Nothing is at the reader's path yet."""
    made = SCENES[request.param](tmp_path, bench, plugged=False)
    yield made
    made.close()


# --- every driver -----------------------------------------------------------------------------------------------------


def test_once_for_each_time_that_a_card_comes(scene: Scene) -> None:
    scene.play((50, A, 700), (1_300, A, 200), (100, B, 150), (800, C, 30))
    with watching(scene.url) as watch:
        watch.await_count(4)
        time.sleep(0.2)  # Time in which a second sighting of the last card would come.
        assert watch.cards() == [A, A, B, C]


def test_pupils_close_behind_each_other_are_all_seen_once_in_their_order(scene: Scene) -> None:
    crowd = [CardUid("a", f"04{number:012X}") for number in range(1, 13)]
    scene.play(*((150, card, 100) for card in crowd))
    with watching(scene.url) as watch:
        watch.await_count(len(crowd))
        assert watch.cards() == crowd


def test_two_cards_at_once_are_two_sightings(scene: Scene) -> None:
    scene.play((100, A, 500), (20, B, 480))
    with watching(scene.url) as watch:
        watch.await_count(2)
        time.sleep(0.3)
        assert sorted(card.hex for card in watch.cards()) == sorted((A.hex, B.hex))
        if scene.at_once == 1:
            first, second = watch.seen
            assert first.card == A and second.seen_mono_ns - first.seen_mono_ns > 400_000_000, "when the first has left"


def test_a_sighting_is_dated_when_the_card_came(scene: Scene) -> None:
    with watching(scene.url) as watch:
        began_ns = CLOCK.mono_ns()
        scene.play((300, A, 400))
        watch.await_count(1)
        assert began_ns <= watch.seen[0].seen_mono_ns <= CLOCK.mono_ns()
        assert watch.seen[0].seen_mono_ns - began_ns >= 250_000_000


def test_a_reader_that_appears_later_than_the_gateway(empty_scene: Scene) -> None:
    with watching(empty_scene.url) as watch:
        deadline = time.monotonic() + 5
        while watch.keeper.counts.error is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert watch.keeper.counts.error == "reader-lost"
        empty_scene.play((50, A, 6_000))
        watch.await_count(1)
        assert watch.keeper.counts.error is None
        assert watch.cards() == [A]


def test_nothing_there_is_a_lost_reader_and_no_other_error(empty_scene: Scene) -> None:
    reader = make_reader(empty_scene.url)
    for _ in range(3):
        with pytest.raises(ReaderLost):
            reader.open()
        with pytest.raises(ReaderLost):
            reader.poll()
        reader.close()


def test_closing_never_raises_and_may_come_twice_or_before_opening(scene: Scene) -> None:
    scene.play((0, A, 50))
    reader = make_reader(scene.url)
    reader.close()
    opened(reader)
    reader.close()
    reader.close()
    opened(reader)
    reader.poll()
    reader.close()


def test_looks_are_short_and_descriptors_are_given_back(scene: Scene) -> None:
    scene.play((0, A, 50))
    reader = make_reader(scene.url)
    opened(reader)
    reader.close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(8):
        opened(reader)
        began_s = time.monotonic()
        reader.poll()
        assert time.monotonic() - began_s < within(0.3)
        reader.close()
    # The emulated card's own socket may have been counted before, and be gone now.
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pn532",
        "pn532:",
        "usb:/dev/x",
        "pn532://relative",
        "pn532:///x?a=1",
        "replay:f?loop=2",
        "nfcpy:tty",
        "pn532:///a%00b",
        "lines:///dev/x?format=hex&format=dec",
    ],
)
def test_an_address_that_can_never_work_is_refused(url: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(url)


# --- devices on a line ------------------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path, bench: Bench) -> Pn532Scene:
    return Pn532Scene(tmp_path, bench)


def _card(card: CardUid) -> FieldCard:
    return FieldCard(bytes.fromhex(card.hex))


def test_unplugged_and_back_goes_on_and_a_card_that_stayed_is_the_same_tap(device: Pn532Scene) -> None:
    with watching(device.url) as watch:
        device.chip.place(_card(A))
        watch.await_count(1)
        for _ in range(2):
            device.bench.do(device.chip.unplug)
            opens = watch.keeper.counts.opens
            device.bench.do(device.chip.plug)
            deadline = time.monotonic() + 8
            while watch.keeper.counts.opens == opens:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        device.chip.place(_card(A), _card(B))
        watch.await_count(2)
        assert watch.cards() == [A, B]


@pytest.mark.parametrize(
    "faults", [Faults(noise=0.3), Faults(short=0.08, nack=0.08, error=0.08, silent=0.08, noise=0.2), Faults(flaky=0.6)]
)
def test_noise_and_flaky_coupling_neither_lose_nor_double_nor_invent_a_card(device: Pn532Scene, faults: Faults) -> None:
    with watching(device.url) as watch:
        assert watch.keeper.ready.wait(5)
        device.chip.faults = faults
        for number, card in enumerate((A, B, C), 1):
            device.chip.place(_card(card))
            watch.await_count(number)
            time.sleep(0.4)
            device.chip.remove()
        assert watch.cards() == [A, B, C]


@pytest.mark.parametrize("baud", [921600, 230400])
def test_a_chip_that_another_program_left_fast_is_found_and_slowed(device: Pn532Scene, baud: int) -> None:
    device.chip.baud = baud
    device.chip.place(_card(A))
    with watching(device.url) as watch:
        watch.await_count(1)
    assert device.chip.baud == 115200


def test_killed_in_the_middle_of_a_look_it_opens_again(device: Pn532Scene) -> None:
    script = (
        "import sys; from edge.readers.opening import make_reader; from protocol.errors import ReaderLost\n"
        "reader = make_reader(sys.argv[1]); reader.open(); print('open', flush=True)\n"
        "while True:\n"
        "  try: reader.poll()\n"
        "  except ReaderLost: reader.open()\n"
    )
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", script, device.url], stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline() == b"open\n"
        looks = device.chip.looks
        deadline = time.monotonic() + within(5)
        while device.chip.looks < looks + 3:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait(5)
        child.stdout.close()
    device.chip.place(_card(A))
    with watching(device.url) as watch:
        watch.await_count(1, within_s=4)


def test_two_readers_of_one_gateway_do_not_disturb_each_other(tmp_path: Path, bench: Bench) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    scenes = [Pn532Scene(tmp_path / name, bench) for name in ("1", "2")]
    with watching(scenes[0].url) as one, watching(scenes[1].url) as two:
        assert one.keeper.ready.wait(5) and two.keeper.ready.wait(5)
        bench.do(scenes[1].chip.unplug)
        for number in range(1, 4):
            scenes[0].chip.place(FieldCard(bytes((4, 0, 0, 0, 0, 0, number))))
            one.await_count(number, within_s=2)
        bench.do(scenes[1].chip.plug)
        scenes[1].chip.place(_card(B))
        two.await_count(1)
        assert two.cards() == [B]
        assert len(one.cards()) == 3 and one.keeper.counts.losses == 0


def test_whatever_a_driver_throws_its_thread_goes_on() -> None:
    class Moody:
        """Throws what drivers were seen to throw, and works in between."""

        pause_s = 0.001
        moments = False
        partials = ()
        unread = 0

        def __init__(self) -> None:
            self.opens = 0
            self.errors = [OSError(5, "EIO"), IndexError("short"), RuntimeError("x"), TimeoutError(), ValueError("y")]

        def open(self) -> None:
            self.opens += 1
            if self.errors and self.opens % 2:
                raise self.errors.pop()

        def poll(self) -> list[CardRead]:
            if self.errors:
                raise self.errors.pop()
            return [CardRead(A)]

        def close(self) -> None:
            raise OSError(9, "gone")

    with watching(Moody()) as watch:
        watch.await_count(1)


@pytest.mark.parametrize(
    "url", ["pn532://{}", "lines://{}?format=hex", "osdp://{}?address=0&key-file={}.key", "replay:{}"]
)
@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_can_never_be_a_reader_is_refused_at_once(url: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "đầu đọc"
    if what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    key_file = tmp_path / "đầu đọc.key"
    key_file.write_text("00112233445566778899AABBCCDDEEFF\n", encoding="ascii")
    key_file.chmod(0o600)
    reader = make_reader(url.format(path, path))
    with pytest.raises(ReaderRefused):
        reader.open()
    reader.close()


def test_a_port_that_another_station_has_is_told_as_that(device: Pn532Scene) -> None:
    with watching(device.url) as watch:
        watch.await_ready()
        with pytest.raises(ReaderLost, match="another station"):
            make_reader(device.url).open()
