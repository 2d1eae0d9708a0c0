"""The pace on lines of every kind: full lines, short queues, few bytes twice. The line is a queue with a rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from edge.owed import Offer
from edge.pace import AGAIN_MS, FULL_MS, WINDOW_FIRST, WINDOW_MAX, WINDOW_MIN, Pace
from tests.edge.test_uplink import NOW, OLD, Keeper, digest_at, ready

RECORD_BYTES = 850
STEP_MS = 5


@dataclass
class Line:
    """First in, first out, at `rate` bytes a second; a receipt takes `back_ms` after the hub had the batch."""

    rate: float
    there_ms: int
    back_ms: int
    free_ms: float = 0.0
    octets: int = 0
    arrivals: list[tuple[float, Offer]] = field(default_factory=list)

    def send(self, offer: Offer, now_ms: int) -> None:
        size = 250 + RECORD_BYTES * (offer.last - offer.first + 1)
        self.octets += size
        self.free_ms = max(self.free_ms, now_ms) + size * 1000 / self.rate
        self.arrivals.append((self.free_ms + self.there_ms, offer))


@dataclass
class Drain:
    """What a drain of `records` over a line came to, with a live tap every 8 s from the 20th second on."""

    seconds: float
    late_ms: list[float]
    octets: int
    records: int


def drain(line: Line, records: int, lives: int = 5) -> Drain:
    uplink, keeper = ready(old=records), Keeper()
    receipts: list[float] = []
    tapped: dict[int, int] = {}
    late: dict[int, float] = {}
    now_ms, due_ms = 0, 20_000
    while uplink.owed() or len(tapped) < lives:
        if now_ms >= due_ms and len(tapped) < lives:
            tapped[len(tapped) + 1] = now_ms
            uplink.wrote(NOW, len(tapped), now_ms, tap=True)
            due_ms += 8_000
        for offer in uplink.next_offers(now_ms):
            line.send(offer, now_ms)
        for at, offer in line.arrivals:
            if at <= now_ms:
                keeper.take(offer)
                receipts.append(at + line.back_ms)
                if offer.journal == NOW:
                    for number in range(offer.first, offer.last + 1):
                        late.setdefault(number, at - tapped[number])
        line.arrivals = [(at, offer) for at, offer in line.arrivals if at > now_ms]
        if any(at <= now_ms for at in receipts):
            receipts = [at for at in receipts if at > now_ms]
            uplink.receipt(keeper.receipt(OLD, NOW), digest_at, now_ms)
        now_ms += STEP_MS
        assert now_ms < 40_000_000
    return Drain(now_ms / 1000, [late[number] for number in sorted(late)], line.octets, records + lives)


@pytest.mark.parametrize(
    ("kbit", "there_ms", "records"), [(64, 40, 1_000), (256, 20, 4_000), (1_000, 60, 15_000), (256, 1_000, 4_000)]
)
def test_a_thin_line_is_filled_and_live_taps_wait_for_little_before_them(
    kbit: int, there_ms: int, records: int
) -> None:
    line = Line(kbit * 125, there_ms, there_ms)
    found = drain(line, records)
    at_best_s = found.records * RECORD_BYTES / line.rate
    # While people tap a backlog goes in small steps, one a round trip: 5 s after each of the 5 taps.
    assert found.seconds <= at_best_s * 1.3 + 25
    assert found.octets <= found.records * (RECORD_BYTES + 60), "nothing goes twice"
    # At 64 kbit/s the least window, 1.7 s of it, and what is in turn with it; elsewhere what FULL_MS allows.
    least_ms = WINDOW_MIN * RECORD_BYTES / line.rate * 1000
    assert max(found.late_ms) <= there_ms + max(FULL_MS, there_ms * 2) + 3 * least_ms


def test_a_long_way_is_filled_too() -> None:
    """2 s there and 2 s back, 20 Mbit/s: long trips are no queue."""
    line = Line(2_500_000, 2_000, 2_000)
    found = drain(line, 60_000, lives=0)
    trips = found.seconds / 4
    assert trips <= 9 + 60_000 / WINDOW_MAX + 1


def test_a_fast_line_is_fast_after_some_trips() -> None:
    pace = Pace()
    pace.begin(0)
    trips = now_ms = 0
    while pace.window < WINDOW_MAX:
        pace.receipted(pace.window, now_ms, now_ms + 25, live=False, filled=True)
        trips, now_ms = trips + 1, now_ms + 25
        assert trips <= 3


def test_the_window_never_leaves_its_bounds_and_shrinks_once_a_trip() -> None:
    pace = Pace()
    pace.begin(0)
    for now_ms in range(100, 5_000, 100):
        pace.receipted(500, now_ms - 100, now_ms, live=False, filled=True)
    assert pace.window == WINDOW_MAX
    pace.receipted(500, 4_900, 9_900, live=False, filled=True)
    cut = pace.window
    assert WINDOW_MIN <= cut < WINDOW_MAX
    for sent_ms in (4_950, 5_000, 9_800):
        pace.receipted(500, sent_ms, 10_400, live=False, filled=True)
        assert pace.window == cut, "sent before the cut"
    for number in range(20):
        pace.receipted(16, 20_000 + number * 20_000, 39_000 + number * 20_000, live=False, filled=True)
        assert WINDOW_MIN <= pace.window <= cut


def test_a_line_that_became_long_is_measured_anew() -> None:
    pace = Pace()
    pace.begin(0)
    pace.receipted(16, 0, 20, live=True, filled=False)
    for now_ms in range(5_000, AGAIN_MS, 5_000):
        pace.receipted(16, now_ms - 4_000, now_ms, live=False, filled=True)
    assert pace.window == WINDOW_MIN
    pace.receipted(16, AGAIN_MS - 4_000, AGAIN_MS, live=False, filled=True)
    assert pace.window > WINDOW_FIRST


def test_a_window_that_is_not_in_use_does_not_grow_and_a_live_tap_only_measures() -> None:
    pace = Pace()
    pace.begin(0)
    pace.receipted(16, 0, 20, live=False, filled=False)
    pace.receipted(1, 20, 40, live=True, filled=True)
    assert pace.window == WINDOW_FIRST
    pace.receipted(1, 40, 30_000, live=True, filled=True)
    assert pace.window == WINDOW_FIRST
