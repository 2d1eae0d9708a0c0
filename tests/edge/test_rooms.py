"""The small rooms: lanes, watchdog, signals, clock, health."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.health import CODES_MAX, STANDS_MS, Health
from edge.lane import WAIT_AFTER_MS, WAITING_MAX, Lane
from edge.ports import CardSeen, Recorded, Warning_
from edge.signals import LineSignals
from host.machine import Machine
from host.wallclock import STEP_NS
from host.watchdog import LOOK_S, Watchdog, notify
from protocol.cards import CardUid
from protocol.errors import ConfigError
from protocol.taps import TapId
from protocol.time import error_at
from tests.patience import within

# --- lanes ------------------------------------------------------------------------------------------------------------


class _Plan:
    name = "cong"


class SlowStation:
    """Takes a sighting when it may."""

    plan = _Plan()

    def __init__(self) -> None:
        self.may = threading.Semaphore(0)
        self.taken: list[CardSeen] = []

    def keyed(self, card: CardUid) -> str:
        return card.hex

    def take(self, seen: CardSeen) -> None:
        assert self.may.acquire(timeout=10)
        if seen.card.hex == "BADBAD00":
            raise RuntimeError("a fault of ours")
        self.taken.append(seen)


class Kept:
    def __init__(self) -> None:
        self.warned: list[Warning_] = []

    def show(self, recorded: Recorded) -> None:
        raise AssertionError("a lane signals no tap")

    def warn(self, warning: Warning_) -> None:
        self.warned.append(warning)


def _card(number: int) -> CardUid:
    return CardUid("a", f"{number:08X}")


def _lane() -> tuple[Lane, SlowStation, Kept, list[int]]:
    station, kept, now = SlowStation(), Kept(), [0]
    lane = Lane(station, kept, lambda: now[0], threading.Event())  # type: ignore[arg-type]
    return lane, station, kept, now


def test_a_lane_takes_sightings_in_their_order_and_tells_what_waits_too_long_once() -> None:
    lane, station, kept, now = _lane()
    thread = threading.Thread(target=lane.run, daemon=True)
    thread.start()
    for number in range(3):
        lane.put(CardSeen(_card(number), 0))
    assert lane.progress() == 0
    assert lane.patience() and kept.warned == []
    now[0] = (WAIT_AFTER_MS + 1) * 1_000_000
    for _ in range(3):
        assert lane.patience()
    assert [(w.caution, w.card) for w in kept.warned] == [("wait", f"{number:08X}") for number in range(3)]
    for _ in range(3):
        station.may.release()
    lane.end()
    thread.join(5)
    assert [seen.card for seen in station.taken] == [_card(number) for number in range(3)]
    assert (lane.progress(), lane.done, lane.patience()) == (None, 3, False)


def test_a_full_lane_refuses_aloud_and_never_blocks() -> None:
    lane, _, kept, _ = _lane()
    for number in range(WAITING_MAX + 5):
        lane.put(CardSeen(_card(number), 0))
    assert lane.overflowed == 5
    assert [w.code for w in kept.warned] == ["lane-full"] * 5


def test_a_fault_of_ours_closes_no_lane() -> None:
    lane, station, kept, _ = _lane()
    thread = threading.Thread(target=lane.run, daemon=True)
    thread.start()
    for card in (CardUid("a", "BADBAD00"), _card(1)):
        lane.put(CardSeen(card, 0))
        station.may.release()
    lane.end()
    thread.join(5)
    assert [w.code for w in kept.warned] == ["internal-fault"]
    assert [seen.card for seen in station.taken] == [_card(1)]


def test_a_lane_is_watched_while_it_is_used() -> None:
    lane, station, _, now = _lane()
    thread = threading.Thread(target=lane.run, daemon=True)
    thread.start()
    faults: list[BaseException] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            try:
                now[0] += 10**9
                lane.patience()
                lane.progress()
            except BaseException as problem:
                faults.append(problem)
                return

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for number in range(2_000):
        station.may.release()
        lane.put(CardSeen(_card(number), 0))
        while lane.done < number - 30:
            time.sleep(0)
    lane.end()
    thread.join(10)
    stop.set()
    for watcher in watchers:
        watcher.join(5)
    assert faults == [] and lane.done == 2_000 and lane.progress() is None and not lane._warned


# --- watchdog ---------------------------------------------------------------------------------------------------------


def test_the_watchdog_asks_for_progress_not_for_life() -> None:
    watchdog, value = Watchdog(), [0]
    watchdog.watch("busy", lambda: value[0], 3)
    watchdog.watch("idle", lambda: None, 1)
    for _ in range(20):
        value[0] += 1
        assert watchdog.look() is None
    looks = [watchdog.look() for _ in range(int(3 / LOOK_S) + 1)]
    assert looks[-1] == "busy" and not any(looks[:-1])


def test_systemd_is_told_while_all_move_and_the_process_ends_when_one_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert line.recv(64) == b"READY=1"
        monkeypatch.setattr("host.watchdog.LOOK_S", 0.02)
        hung: list[str] = []
        watchdog = Watchdog(hung.append)
        watchdog._watched.clear()
        watchdog.watch("stuck", lambda: 1, 0)
        watchdog._watched[0].patience_looks = 2
        watchdog.run(threading.Event())
        assert hung == ["stuck"]
        assert line.recv(64) == b"WATCHDOG=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


# --- signals ----------------------------------------------------------------------------------------------------------


def _recorded(number: int) -> Recorded:
    return Recorded(TapId("0" * 16, number), "cong", "hk1:AAAAAAAAAAA", "accepted")


def test_a_signal_is_one_line_by_one_write_at_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write
    monkeypatch.setattr("edge.signals.os.write", lambda fd, octets: writes.append(octets) or real(fd, octets))
    path = tmp_path / "s.jsonl"
    signals = LineSignals([f"jsonl:{path}"], lambda: 5_000_000)
    signals.show(_recorded(7))
    signals.warn(Warning_("alarm", "cong", None, "journal-full"))
    signals.close()
    assert b"".join(writes) == path.read_bytes() and len(writes) == 2
    first, second = map(json.loads, writes)
    assert first == {
        "signal": "accepted",
        "tap": f"{'0' * 16}.7",
        "station": "cong",
        "card": "hk1:AAAAAAAAAAA",
        "mono_ms": 5,
    }
    assert second["signal"] == "alarm" and second["tap"] is None and second["code"] == "journal-full"


def test_a_pipe_that_nobody_reads_holds_up_no_lane_and_no_other_sink(tmp_path: Path) -> None:
    fifo, path = tmp_path / "fifo", tmp_path / "s.jsonl"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    signals = LineSignals([f"jsonl:{fifo}", f"jsonl:{path}"], lambda: 0)
    while not signals.failed_writes:
        signals.show(_recorded(1))
    count = path.read_bytes().count(b"\n")
    began_s = time.monotonic()
    for _ in range(40):
        signals.show(_recorded(2))
    # Only the first one waited (0.05 s); 40 such waits would be two seconds.
    assert time.monotonic() - began_s < within(0.5)
    assert path.read_bytes().count(b"\n") == count + 40
    failed = signals.failed_writes
    while os.read(reading, 65536):
        signals.show(_recorded(2))
        if signals.failed_writes == failed:
            break
        failed = signals.failed_writes
    assert signals.failed_writes == failed, "a pipe that is read again is written again"
    os.close(reading)
    signals.show(_recorded(3))
    signals.close()


def test_a_named_pipe_is_written_while_somebody_reads_it_and_never_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    signals: list[LineSignals] = []
    opening = threading.Thread(target=lambda: signals.append(LineSignals([f"jsonl:{fifo}"], lambda: 0)), daemon=True)
    opening.start()
    opening.join(5)
    assert signals, "the start waits for no reader"
    for lost, number in enumerate(range(1, 8, 2), 1):
        signals[0].show(_recorded(number))
        assert signals[0].failed_writes == lost, "a line that nobody reads is lost, and counted"
        reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        signals[0].show(_recorded(number + 1))
        line = os.read(reading, 65536)
        assert line.endswith(b"\n") and json.loads(line)["tap"].endswith(f".{number + 1}")
        assert signals[0].failed_writes == lost
        os.close(reading)
    signals[0].close()


def test_standard_output_whose_reader_left_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr("sys.stdout", out)
        signals = LineSignals(["jsonl:-", f"jsonl:{tmp_path / 's'}"], lambda: 0)
        os.close(reading)
        for number in range(3):
            signals.show(_recorded(number))
        assert signals.failed_writes == 3
        assert (tmp_path / "s").read_bytes().count(b"\n") == 3
        signals.close()
        os.fstat(writing)


def test_after_a_line_that_was_cut_the_next_one_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.jsonl"
    signals = LineSignals([f"jsonl:{path}"], lambda: 0)
    real = os.write
    monkeypatch.setattr("edge.signals.os.write", lambda fd, octets: real(fd, octets[:20]))
    signals.show(_recorded(1))
    monkeypatch.undo()
    signals.show(_recorded(2))
    signals.close()
    torn, whole = path.read_bytes().splitlines()
    assert len(torn) == 20 and json.loads(whole)["tap"].endswith(".2")
    assert signals.failed_writes == 1


def test_people_read_vietnamese_first(capfd: pytest.CaptureFixture[str]) -> None:
    signals = LineSignals(["terminal"], lambda: 0)
    signals.show(_recorded(1))
    signals.warn(Warning_("wait", None, None, "slow-storage"))
    said = capfd.readouterr().err
    assert "cong: ✓ đã ghi / recorded\n" in said and "chờ một chút / please wait [slow-storage]" in said


def test_a_sink_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        LineSignals([f"jsonl:{tmp_path}"], lambda: 0)


# --- clock ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """What the kernel says of its clock's error, and by how much its wall clock was stepped, in ms."""
    said: dict[str, int | None] = {"error": None, "step": 0, "asked": 0}
    real = time.time_ns

    def error() -> int | None:
        said["asked"] = (said["asked"] or 0) + 1
        return said["error"]

    monkeypatch.setattr("host.machine.kernel_error_ms", error)
    monkeypatch.setattr("host.machine.time.time_ns", lambda: real() + (said["step"] or 0) * 1_000_000)
    return said


def test_without_anything_that_vouches_the_time_has_no_bound(kernel: dict[str, int | None]) -> None:
    kernel["step"] = -(10**12)
    reading = SystemClock().read()
    assert (reading.sync, reading.err_ms) == ("none", None)
    assert reading.best_ms == reading.wall_ms


def test_a_thread_held_up_between_two_clocks_looks_again_or_widens_its_bound(
    kernel: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel["error"], ahead_ns, holdups = 12, [0], [1]

    def held_up() -> int:
        ahead_ns[0] += 300_000_000 * (holdups[0] > 0)
        holdups[0] -= 1
        return 10**18 + ahead_ns[0]

    monkeypatch.setattr("host.machine.time.time_ns", held_up)
    monkeypatch.setattr("host.machine.time.clock_gettime_ns", lambda _: 10**15 + ahead_ns[0])
    clock = SystemClock()
    reading = clock.read()
    assert (reading.wall_ms - reading.mono_ms, reading.err_ms) == ((10**18 - 10**15) // 10**6, 12), "it looks again"
    holdups[0] = 1_000
    assert (clock.read().err_ms or 0) >= 312, "held up at every look, it says so"


def test_the_kernel_vouches_with_its_own_bound_until_a_step(kernel: dict[str, int | None]) -> None:
    clock = SystemClock()
    kernel["error"] = 12
    assert (clock.read().sync, clock.read().err_ms) == ("ntp", 12)
    assert kernel["asked"] == 1, "once a second"
    kernel["error"], kernel["step"] = None, 3_600_000
    assert clock.read().sync == "none", "a step within the second is seen"
    kernel["step"] = 3_600_000 + STEP_NS // 2_000_000
    asked = kernel["asked"]
    clock.read()
    assert kernel["asked"] == asked, "slewing is no step"


def test_a_hubs_answer_anchors_the_boot_within_half_the_round_trip(kernel: dict[str, int | None]) -> None:
    clock = SystemClock()
    now_ms = clock.mono_ns() // 1_000_000
    true_ms = 1_800_000_000_000
    anchor = clock.hear_hub(now_ms - 200, true_ms, 10)
    assert anchor is not None and anchor.source == "hub"
    assert abs(anchor.mono - (now_ms - 100)) <= 2 and 110 <= anchor.err <= 115
    kernel["step"] = -(10**12)
    reading = clock.read()
    assert reading.sync == "hub" and reading.err_ms is not None
    assert abs(reading.best_ms - (true_ms + reading.mono_ms - anchor.mono)) == 0, "the wall clock's steps don't matter"
    assert clock.hear_hub(clock.mono_ns() // 1_000_000 - 150, true_ms, 10) is None, "hardly better: no new record"
    assert clock.hear_hub(clock.mono_ns() // 1_000_000, true_ms, 1) is not None
    assert clock.hear_hub(now_ms + 10**9, true_ms, 0) is None, "an answer to no question of ours"
    assert SystemClock("ntp").hear_hub(now_ms, true_ms, 0) is None


def test_drift_widens_the_bound(kernel: dict[str, int | None]) -> None:
    clock = SystemClock()
    anchor = clock.hear_hub(clock.mono_ns() // 1_000_000, 1_800_000_000_000, 0)
    assert anchor is not None
    week_ns = clock.mono_ns() + 7 * 86_400 * 10**9
    assert clock.reading_at(week_ns).err_ms == error_at(anchor, week_ns // 1_000_000)
    assert 60_000 < error_at(anchor, week_ns // 1_000_000) < 61_000, "100 ppm over a week is a minute"


def test_a_hub_whose_clock_was_set_right_is_believed_anew(kernel: dict[str, int | None]) -> None:
    clock, year_ms = SystemClock("hub"), 365 * 86_400_000
    true_ms = 1_800_000_000_000
    assert clock.hear_hub(clock.mono_ns() // 1_000_000, true_ms + year_ms, 500) is not None
    assert clock.hear_hub(clock.mono_ns() // 1_000_000, true_ms, 500) is not None
    assert abs(clock.read().best_ms - true_ms) < 60_000
    assert clock.hear_hub(clock.mono_ns() // 1_000_000, true_ms, 500) is None, "and once is enough"


def test_a_persons_word(kernel: dict[str, int | None]) -> None:
    clock = SystemClock("declared", 2_000)
    assert (clock.read().sync, clock.read().err_ms) == ("declared", 2_000)
    anchor = clock.declared_anchor()
    assert anchor is not None and (anchor.err, anchor.source) == (2_000, "declared")
    assert SystemClock().declared_anchor() is None and SystemClock().kernel_anchor() is None


# --- health -----------------------------------------------------------------------------------------------------------


def test_an_alarm_is_told_once_in_ten_minutes_and_then_stands_no_more() -> None:
    health = Health()
    health.warn_always("plain-link")
    assert health.raised("disk-low", 0)
    assert not health.raised("disk-low", STANDS_MS - 1)
    assert health.raised("disk-low", STANDS_MS)
    assert health.standing(STANDS_MS) == ["plain-link", "disk-low"]
    assert health.standing(STANDS_MS * 2) == ["plain-link"]
    for number in range(CODES_MAX * 2):
        health.raised(str(number), number)
    assert len(health._alarms) == CODES_MAX


def test_an_anchor_that_is_only_fresher_is_used_and_not_recorded(kernel: dict[str, int | None]) -> None:
    """A gateway asks the hub all day; its journal mustn't fill with what the taps say themselves."""
    now, true_ms = [10**12], 1_800_000_000_000

    class Ticking(Machine):
        def boottime_ns(self) -> int:
            return now[0]

    clock, recorded = SystemClock("hub", machine=Ticking()), 0
    for _ in range(24 * 120):
        now[0] += 30 * 10**9
        mono_ms = now[0] // 1_000_000
        recorded += clock.hear_hub(mono_ms - 20, true_ms + mono_ms, 5) is not None
        assert (clock.read().err_ms or 1_000) <= 40, "the freshest one is used"
    assert 24 <= recorded <= 40
