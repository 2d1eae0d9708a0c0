"""Lamps and a buzzer on pins: what is told apart how, in which order pins change, and that no tap waits for them."""

from __future__ import annotations

import builtins
import itertools
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from gpiozero import Device
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.app import Gateway
from edge.config import config_from, load_config
from edge.journalfile import FILE_NAME
from edge.patterns import LENGTH_MAX_MS, PATTERNS, Step
from edge.pinplan import PinPlan, parse_pins
from edge.pins import PinPanel
from edge.player import CUT_S, GRACE_S, Player
from edge.ports import Caution, Recorded, Signal, Warning_
from edge.readers.opening import SCHEMES
from edge.readers.replay import ReplayReader
from edge.signals import LineSignals
from k12edge.ending import Ending
from protocol.errors import ConfigError
from protocol.taps import TapId
from tests.edge.running import STRACE, GatewayProcess, card, until
from tests.edge.toldpins import Change, read_changes, told

GREEN, YELLOW, RED, BUZZER = 17, 27, 22, 18
SINK = f"gpio:green={GREEN},yellow={YELLOW},red={RED},buzzer={BUZZER}"
PIN = {"green": GREEN, "yellow": YELLOW, "red": RED}
NAMES = list(PATTERNS)
SLACK_S = 5.0
"""For a busy machine; nothing is waited for that long where all is well."""


def expected(*steps: Step) -> list[tuple[int, bool]]:
    """The changes that a pattern makes, beginning and ending dark: off before on, lamps before the buzzer."""
    found, lit = [], set[int]()
    for step in (*steps, Step(None, False, 0)):
        wanted = [pin for pin in (PIN.get(step.lamp or ""), BUZZER if step.buzzer else None) if pin is not None]
        found += [(pin, False) for pin in (GREEN, YELLOW, RED, BUZZER) if pin in lit and pin not in wanted]
        found += [(pin, True) for pin in wanted if pin not in lit]
        lit = set(wanted)
    return found


def recorded(word: Signal, station: str = "cong") -> Recorded:
    return Recorded(TapId("0" * 16, 7), station, "hk1:AAAAAAAAAAA", word)


class Told:
    """The changes of this process's pins, in order."""

    def __init__(self) -> None:
        self._coming: queue.Queue[Change] = queue.Queue()
        self.level: dict[int, bool] = {}
        self.factory = told(self._coming.put)

    def next(self) -> tuple[int, bool]:
        """The next change, awaited."""
        change = self._coming.get(timeout=SLACK_S)
        self.level[change.pin] = change.high
        return change.pin, change.high

    def take(self, count: int) -> list[tuple[int, bool]]:
        """The next few."""
        return [self.next() for _ in range(count)]

    def rest(self) -> list[tuple[int, bool]]:
        """All that are there."""
        found = []
        while not self._coming.empty():
            found.append(self.next())
        return found


@pytest.fixture
def pins() -> Iterator[Told]:
    yield Told()
    Device.pin_factory.reset()
    Device.pin_factory = None


# --- the table --------------------------------------------------------------------------------------------------------


def rhythm(steps: Sequence[Step], light: bool) -> tuple[tuple[bool, int], ...]:
    """On and off with their lengths, as somebody meets it who sees no colours, or hears only."""
    runs = itertools.groupby(steps, key=lambda step: step.lamp is not None if light else step.buzzer)
    return tuple((on, sum(step.ms for step in run)) for on, run in runs)


def beeps_ms(word: Signal | Caution) -> list[int]:
    return [ms for on, ms in rhythm(PATTERNS[word], light=False) if on]


def length_ms(word: Signal | Caution) -> int:
    return sum(step.ms for step in PATTERNS[word])


def test_every_signal_has_a_pattern_that_begins_at_once_and_ends_soon() -> None:
    assert set(PATTERNS) == {*get_args(Signal), *get_args(Caution)}
    for word, steps in PATTERNS.items():
        assert steps[0].lamp is not None, f"{word} begins dark"
        assert length_ms(word) <= LENGTH_MAX_MS
        assert all(step.ms >= 50 for step in steps), "what is shorter isn't seen or heard in a hall"
    assert max(length_ms(word) for word in get_args(Signal)) / 1000 <= GRACE_S, "a recorded tap's pattern may end"


def test_signals_are_told_apart_without_colours_and_without_light() -> None:
    assert len({rhythm(steps, light=True) for steps in PATTERNS.values()}) == len(PATTERNS)
    assert len({rhythm(steps, light=False) for steps in PATTERNS.values()}) == len(PATTERNS)
    # Rhythms that differ by a few milliseconds are one rhythm: number, length or distance of beeps differ by far.
    heard = {word: (len(beeps_ms(word)), sum(beeps_ms(word)), length_ms(word)) for word in PATTERNS}
    assert heard["accepted"][0] == 1 and heard["repeated"][0] == 2 and heard["alarm"][0] == 3
    gaps = {word: rhythm(PATTERNS[word], light=False)[1][1] for word in ("repeated", "refused")}
    assert gaps["refused"] >= 3 * gaps["repeated"]


def test_refused_is_no_louder_longer_or_harsher_than_what_all_others_meet() -> None:
    for other in ("accepted", "repeated"):
        assert length_ms("refused") == length_ms(other), "nobody stands there longer"
        assert sum(beeps_ms("refused")) <= sum(beeps_ms(other))
        assert max(beeps_ms("refused")) <= max(beeps_ms(other))
    assert len(beeps_ms("refused")) <= len(beeps_ms("repeated"))
    assert "red" not in {step.lamp for step in PATTERNS["refused"]}, "red belongs to devices, never to a pupil"


def test_nothing_that_promises_nothing_sounds_or_looks_like_a_promise() -> None:
    assert beeps_ms("wait") == []
    for word in get_args(Caution):
        assert "green" not in {step.lamp for step in PATTERNS[word]}


# --- addresses --------------------------------------------------------------------------------------------------------


def test_an_address_says_what_hangs_where() -> None:
    assert parse_pins(SINK) == PinPlan({"green": 17, "yellow": 27, "red": 22, "buzzer": 18}, False, None)
    assert parse_pins("gpio:buzzer=0,active=low,station=cong-a") == PinPlan({"buzzer": 0}, True, "cong-a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpio:", "is not NAME=VALUE with one of green, yellow, red, buzzer, active, station"),
        ("gpio:blue=17", "green, yellow, red, buzzer"),
        ("gpio:green", "is not NAME=VALUE"),
        ("gpio:active=low", "no pin is named"),
        ("gpio:green=17,active=up", "neither high nor low"),
        ("gpio:green=28", "green=28 is not a BCM number from 0 to 27"),
        ("gpio:green=-1", "from 0 to 27"),
        ("gpio:green=017", "from 0 to 27"),
        ("gpio:green=١٧", "from 0 to 27"),
        ("gpio:green=", "from 0 to 27"),
        (f"gpio:green={'1' * 300}", "from 0 to 27"),
        ("gpio:green=17,green=18", "green is given twice"),
        ("gpio:green=17,red=17", "pin 17 is given twice"),
        ("gpio:green=17,station=quay", "station=quay is not one of cong"),
        ("gpio:green= 17", "from 0 to 27"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_right(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        config_from("cong.toml", _document(text))
    assert "cong.toml: [signals]: sinks = " in str(refused.value)


def test_two_sinks_share_no_pin() -> None:
    config_from("cong.toml", _document("gpio:green=17,station=cong", "gpio:green=27"))
    with pytest.raises(ConfigError, match="pin 17 is given twice"):
        config_from("cong.toml", _document("gpio:green=17", "gpio:red=17"))


def _document(*sinks: str) -> dict[str, Any]:
    station = {"name": "cong", "kind": "gate", "reader": "replay:/x"}
    return {"gateway": {"id": "c", "school": "s"}, "station": [station], "signals": {"sinks": list(sinks)}}


def test_a_gateway_without_lamps_loads_no_library_for_them() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from edge.app import Gateway; from edge.signals import LineSignals;"
            "LineSignals(['terminal'], lambda: 0).close();"
            "print([name for name in sys.modules if name.startswith(('gpiozero', 'lgpio'))])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("gpiozero"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    LineSignals(["terminal"], lambda: 0).close()
    with pytest.raises(ConfigError, match="gpiozero") as refused:
        LineSignals([SINK], lambda: 0)
    assert "pip install 'k12edge[gpio]'" in refused.value.hint


def test_a_machine_without_pins_says_so_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none-such")
    monkeypatch.setattr(Device, "pin_factory", None)
    with pytest.raises(ConfigError, match="the pins can't be used: Unable to find pin factory 'none-such'"):
        LineSignals([SINK], lambda: 0)


def test_where_one_pin_is_taken_those_taken_before_are_given_back(pins: Told) -> None:
    other = PinPanel(parse_pins(f"gpio:red={RED}"))
    with pytest.raises(ConfigError, match="already in use"):
        LineSignals([SINK], lambda: 0)
    other.close()
    LineSignals([SINK], lambda: 0).close()


# --- playing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", NAMES)
def test_pins_change_as_the_table_says_in_its_order_and_at_its_pace(pins: Told, word: Signal | Caution) -> None:
    signals = LineSignals([SINK], lambda: 0)
    began_s = time.monotonic()
    if word in get_args(Signal):
        signals.show(recorded(word))  # type: ignore[arg-type]
    else:
        signals.warn(Warning_(word, "cong", None, "slow-storage"))  # type: ignore[arg-type]
    wanted = expected(*PATTERNS[word])
    assert pins.take(len(wanted)) == wanted
    last_lit_ms = length_ms(word) - (PATTERNS[word][-1].ms if PATTERNS[word][-1].lamp is None else 0)
    assert time.monotonic() - began_s >= last_lit_ms / 1000
    signals.close()
    assert pins.rest() == []


def test_a_pin_that_is_active_low_is_high_when_dark(pins: Told) -> None:
    signals = LineSignals([f"gpio:green={GREEN},active=low"], lambda: 0)
    assert pins.next() == (GREEN, True)
    signals.show(recorded("accepted"))
    assert pins.take(2) == [(GREEN, False), (GREEN, True)]
    signals.close()


def test_a_lamp_that_is_not_wired_is_replaced_by_no_other(pins: Told) -> None:
    signals = LineSignals([f"gpio:green={GREEN}"], lambda: 0)
    for word in ("refused", "accepted"):
        signals.show(recorded(word))
    signals.close()
    assert pins.rest() == [(GREEN, True), (GREEN, False)]


def test_the_next_tap_cuts_off_the_pattern_of_the_one_before(pins: Told) -> None:
    signals = LineSignals([SINK], lambda: 0)
    signals.show(recorded("accepted"))
    assert pins.take(2) == [(GREEN, True), (BUZZER, True)]
    signals.show(recorded("refused"))
    # Dark and silent between, or two beeps would be one.
    assert pins.take(4) == [(GREEN, False), (BUZZER, False), (YELLOW, True), (BUZZER, True)]
    signals.close()


def test_of_those_that_come_in_a_burst_the_newest_is_played_and_nothing_piles_up(pins: Told) -> None:
    held = _Held()
    player = Player(held)
    player.pattern("accepted")
    assert held.entered.wait(SLACK_S)
    began_s = time.monotonic()
    for _ in range(10_000):
        player.pattern("refused")
    player.pattern("repeated")
    assert time.monotonic() - began_s < SLACK_S, "a panel that hangs holds up nobody"
    held.go.set()
    player.close()
    assert "yellow" not in held.lit, "only the newest was played"
    assert held.lit == ["green", None, *(step.lamp for step in PATTERNS["repeated"]), None, None]


class _Held:
    """A panel whose first switch hangs until it may go on."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.lit: list[str | None] = []
        self.closed = False

    def switch(self, lamp: str | None, *, buzzer: bool) -> None:
        self.lit.append(lamp)
        self.entered.set()
        self.go.wait(SLACK_S)

    def close(self) -> None:
        self.closed = True


def test_an_alarm_of_the_whole_box_cuts_off_no_pupil(pins: Told) -> None:
    signals = LineSignals([SINK], lambda: 0)
    signals.show(recorded("accepted"))
    assert pins.take(2) == [(GREEN, True), (BUZZER, True)]
    signals.warn(Warning_("alarm", None, None, "disk-low"))
    wanted = expected(*PATTERNS["accepted"])[2:] + expected(*PATTERNS["alarm"])[:2]
    assert pins.take(len(wanted)) == wanted
    signals.close()


def test_each_station_has_its_own_lamps_where_it_names_them(pins: Told) -> None:
    signals = LineSignals([f"gpio:green={GREEN},station=cong-a", "gpio:green=5,station=cong-b"], lambda: 0)
    signals.show(recorded("accepted", "cong-b"))
    assert pins.take(2) == [(5, True), (5, False)]
    signals.show(recorded("accepted", "cong-a"))
    assert pins.take(2) == [(GREEN, True), (GREEN, False)]
    signals.close()
    assert pins.rest() == []


def test_a_lamp_that_fails_is_told_once_and_takes_nothing_with_it(
    pins: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = LineSignals([SINK], lambda: 0)
    broken = pins.factory.pin("GPIO18")
    monkeypatch.setattr(type(broken), "_set_state", _fails_at(18, type(broken)._set_state))
    for _ in range(2):
        signals.show(recorded("accepted"))
        assert pins.take(2) == [(GREEN, True), (GREEN, False)]
    signals.close()
    assert len([line for line in caplog.records if line.name == "k12edge.lamps"]) == 1


def _fails_at(number: int, real: Any) -> Any:
    def set_state(pin: Any, value: bool) -> None:
        if pin.info.name == f"GPIO{number}":
            raise OSError("no such line")
        real(pin, value)

    return set_state


# --- the end ----------------------------------------------------------------------------------------------------------


def test_what_was_shown_last_may_end_and_then_all_is_dark(pins: Told) -> None:
    signals = LineSignals([SINK], lambda: 0)
    signals.show(recorded("accepted"))
    signals.close()
    assert pins.rest() == expected(*PATTERNS["accepted"])
    signals.show(recorded("accepted"))
    assert pins.rest() == []


def test_what_promises_nothing_is_cut_off_at_the_end(pins: Told) -> None:
    signals = LineSignals([SINK], lambda: 0)
    signals.warn(Warning_("wait", "cong", None, "slow-storage"))
    assert pins.next() == (YELLOW, True)
    signals.warn(Warning_("alarm", None, None, "disk-low"))
    signals.close()
    found = [(YELLOW, True), *pins.rest()]
    assert found == expected(*PATTERNS["wait"])[: len(found)] and not pins.level[YELLOW]
    assert len(found) < len(expected(*PATTERNS["wait"]))


def test_a_panel_that_hangs_ends_no_later() -> None:
    held = _Held()
    player = Player(held)
    player.pattern("accepted")
    assert held.entered.wait(SLACK_S)
    began_s = time.monotonic()
    player.close()
    assert GRACE_S + CUT_S <= time.monotonic() - began_s < SLACK_S
    held.go.set()


OPERATIONS = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.booleans()), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_whatever_is_shown_the_thread_ends_in_time_and_the_pins_end_low(
    operations: list[tuple[Signal | Caution, bool, bool]],
) -> None:
    pins = Told()
    signals = LineSignals([SINK], lambda: 0)
    player = signals._lamps[0].player
    for name, whole_box, awaited in operations:
        signals._light(name, None if whole_box else "cong")
        if awaited:
            pins.next()
    began_s = time.monotonic()
    signals.close()
    assert time.monotonic() - began_s < GRACE_S + CUT_S + SLACK_S
    assert not player._thread.is_alive() and player.failed == 0
    pins.rest()
    assert not any(pins.level.values())
    for number in (GREEN, YELLOW, RED, BUZZER):
        assert pins.factory.pin(f"GPIO{number}").function == "input", "the lines are given back"


# --- readers with a lamp of their own ---------------------------------------------------------------------------------


class LampReader(ReplayReader):
    """A replayed reader with a lamp."""

    def __init__(self) -> None:
        super().__init__("/none", loop=False)
        self.asked: list[str] = []

    def pattern(self, name: str) -> None:
        self.asked.append(name)


def test_a_reader_with_a_lamp_is_told_of_its_own_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[LampReader] = []

    def make(path: str, options: dict[str, str]) -> LampReader:
        made.append(LampReader())
        return made[-1]

    monkeypatch.setitem(SCHEMES, "lamp", make)
    file = tmp_path / "g.toml"
    file.write_text(
        f'[gateway]\nid = "c"\nschool = "s"\ndata_dir = "{tmp_path / "data"}"\n[signals]\nsinks = []\n'
        '[[station]]\nname = "cong-a"\nkind = "gate"\nreader = "lamp:a"\n'
        '[[station]]\nname = "cong-b"\nkind = "gate"\nreader = "lamp:b"\n',
        encoding="utf-8",
    )
    ending = Ending()
    gateway = Gateway(load_config(file), ending)
    gateway.assembly.show(recorded("repeated", "cong-b"))
    gateway.assembly.warn(Warning_("wait", "cong-a", None, "slow-storage"))
    gateway.assembly.warn(Warning_("alarm", None, None, "disk-low"))
    ending.asked = True
    gateway.run()
    assert [reader.asked for reader in made] == [["wait"], ["repeated"]]


# --- a real gateway ---------------------------------------------------------------------------------------------------


class LampGateway(GatewayProcess):
    """A gateway process whose pins tell."""

    def __init__(self, folder: Path, before: Sequence[str] = ()) -> None:
        self.told = folder / "pins.txt"
        super().__init__(folder, before=before, program=("-m", "tests.edge.toldpins", str(self.told)), sinks=[SINK])

    def changes(self) -> list[Change]:
        return read_changes(self.told)

    def dark(self) -> bool:
        return not any({change.pin: change.high for change in self.changes()}.values())


@pytest.fixture
def stopped() -> Iterator[list[GatewayProcess]]:
    running: list[GatewayProcess] = []
    yield running
    for gateway in running:
        if gateway.tracer is not None and gateway.tracer.poll() is None:
            gateway.end(signal.SIGKILL)


def test_a_gateway_shows_what_it_recorded_in_order(tmp_path: Path, stopped: list[GatewayProcess]) -> None:
    gateway = LampGateway(tmp_path)
    stopped.append(gateway)
    # The third is a random number, as telephones give: refused.
    gateway.play((0, card(1)), (1500, card(1)), (1500, "a:08A1B2C3"))
    gateway.start()
    patterns = [PATTERNS[word] for word in ("accepted", "repeated", "refused")]
    wanted = [change for steps in patterns for change in expected(*steps)]
    until(lambda: len(gateway.changes()) >= len(wanted), "three patterns are played")
    found = gateway.changes()
    assert gateway.words() == ["accepted", "repeated", "refused"]
    assert [(change.pin, change.high) for change in found] == wanted
    beep_ms = (found[2].at_ns - found[1].at_ns) / 1e6
    assert beep_ms >= PATTERNS["accepted"][0].ms - 1, "a beep is no shorter than its step"
    assert gateway.end() == 0
    assert gateway.dark()


def traced(tmp_path: Path, injection: str) -> LampGateway:
    assert STRACE is not None, "sh tests/install-system-packages"
    words = [STRACE, "-f", "-y", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync"]
    gateway = LampGateway(tmp_path, before=[*words, f"--inject=fdatasync:{injection}"])
    gateway.play(*[(40, card(number)) for number in range(400)])
    return gateway


def test_no_green_before_a_slow_commit_has_ended(tmp_path: Path, stopped: list[GatewayProcess]) -> None:
    gateway = traced(tmp_path, "delay_enter=600000:when=12+3")
    stopped.append(gateway)
    gateway.start()
    gateway.await_signal("wait")

    def answered() -> bool:
        changes = gateway.changes()
        first = next((n for n, change in enumerate(changes) if change.pin == YELLOW), len(changes))
        return any(change.pin == GREEN and change.high for change in changes[first:])

    until(answered, "those who waited are answered")
    assert gateway.end() == 0
    changes = gateway.changes()
    waited = next(n for n, change in enumerate(changes) if change.pin == YELLOW)
    green = next(change for change in changes[waited:] if change.pin == GREEN and change.high)
    # `wait` came some 180 ms after the card, and the commit ends 600 ms after it.
    assert (green.at_ns - changes[waited].at_ns) / 1e6 > 300
    assert gateway.dark()


def test_while_nothing_can_be_recorded_nothing_is_green(tmp_path: Path, stopped: list[GatewayProcess]) -> None:
    gateway = traced(tmp_path, "error=EIO:when=16+")
    stopped.append(gateway)
    gateway.start()
    gateway.await_signal("alarm", count=5)
    until(lambda: any(change.pin == RED for change in gateway.changes()), "the red lamp is lit")
    gateway.end()
    changes = gateway.changes()
    failed = next(n for n, change in enumerate(changes) if change.pin == RED)
    assert not [change for change in changes[failed:] if change.pin == GREEN and change.high]
    assert gateway.dark()


def test_a_journal_that_lies_broken_is_told_by_the_red_lamp(tmp_path: Path, stopped: list[GatewayProcess]) -> None:
    gateway = LampGateway(tmp_path)
    stopped.append(gateway)
    # A directory under the journal's name: set aside, and told.
    (gateway.data / FILE_NAME).mkdir(parents=True)
    gateway.start()
    wanted = expected(*PATTERNS["alarm"])
    until(lambda: len(gateway.changes()) >= len(wanted), "the alarm is played")
    assert [(change.pin, change.high) for change in gateway.changes()][: len(wanted)] == wanted
    assert gateway.end() == 0
    assert gateway.dark()


def test_a_storage_that_fails_from_the_start_is_told_again_and_again(
    tmp_path: Path, stopped: list[GatewayProcess]
) -> None:
    gateway = traced(tmp_path, "error=EIO:when=1+")
    stopped.append(gateway)
    gateway.start()
    wanted = expected(*PATTERNS["alarm"])
    until(lambda: len(gateway.changes()) >= 2 * len(wanted), "the alarm is played twice")
    assert [(change.pin, change.high) for change in gateway.changes()][: 2 * len(wanted)] == 2 * wanted
    assert gateway.end() == 0
    assert gateway.dark()
