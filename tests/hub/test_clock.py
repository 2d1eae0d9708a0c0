"""The hub's clock: what its bound says when NTP was there and is gone, and when the wall clock was set meanwhile."""

from __future__ import annotations

import time

import pytest

from hub.clock import HubClock
from protocol.time import DRIFT_PPM, Anchor

NTP_MS, HOUR_MS = 5, 3_600_000


class Wall:
    """The machine's clocks and its NTP as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_ns, self.mono_ns = time.time_ns(), 10**12
        self.kernel_ms: int | None = NTP_MS
        monkeypatch.setattr("host.machine.kernel_error_ms", lambda: self.kernel_ms)
        monkeypatch.setattr("host.machine.time.time_ns", lambda: self.wall_ns)
        monkeypatch.setattr("host.machine.time.monotonic_ns", lambda: self.mono_ns)
        monkeypatch.setattr("host.machine.time.clock_gettime_ns", lambda _: self.mono_ns)

    def pass_ms(self, by_ms: int) -> None:
        self.wall_ns += by_ms * 1_000_000
        self.mono_ns += by_ms * 1_000_000


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


def test_a_step_is_noticed_at_once_and_is_a_part_of_the_bound(wall: Wall) -> None:
    clock = HubClock("auto", 500)
    assert clock.error_ms() == NTP_MS
    wall.kernel_ms = None
    wall.wall_ns += HOUR_MS * 1_000_000
    error_ms = clock.error_ms()
    assert error_ms is not None and HOUR_MS <= error_ms <= HOUR_MS + NTP_MS + 2


def test_without_ntp_for_a_week_the_crystal_s_drift_counts(wall: Wall) -> None:
    clock = HubClock("auto", 500)
    assert clock.error_ms() == NTP_MS
    wall.kernel_ms = None
    week_ms = 7 * 86_400_000
    wall.pass_ms(week_ms)
    error_ms = clock.error_ms()
    assert error_ms is not None and error_ms >= NTP_MS + week_ms * DRIFT_PPM // 1_000_000 > 500


def test_a_run_before_this_one_still_bounds_the_time_of_its_boot(wall: Wall) -> None:
    clock = HubClock("auto", 500)
    mono_ms, wall_ms, wrong_ms = wall.mono_ns // 1_000_000, wall.wall_ns // 1_000_000, HOUR_MS
    wall.kernel_ms = None
    right = Anchor(clock.boot(), mono_ms, wall_ms - wrong_ms, NTP_MS, "ntp")
    other = Anchor("0badb007", mono_ms, wall_ms, 1, "ntp")
    clock.rest_on([right, other, Anchor(clock.boot(), mono_ms, wall_ms, 1, "declared")])
    assert (clock.error_ms() or 0) >= wrong_ms


def test_where_ntp_never_was_a_person_s_word_counts(wall: Wall) -> None:
    wall.kernel_ms = None
    assert HubClock("auto", 500).error_ms() == 500
    assert HubClock("declared", 700).error_ms() == 700
    assert HubClock("ntp", 500).error_ms() is None


def test_two_clocks_read_apart_say_so(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HubClock("declared", 500)

    def slowly() -> int:
        wall.pass_ms(300)
        return wall.wall_ns

    monkeypatch.setattr("host.machine.time.time_ns", slowly)
    _, _, error_ms = clock.reading()
    assert error_ms == 800
