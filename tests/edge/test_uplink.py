"""The uplink as a state machine: everything is offered until receipted, whatever is lost, doubled or late; epochs."""

from __future__ import annotations

import hashlib
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.owed import Offer
from edge.pace import BATCHES, FAST_MS, WINDOW_FIRST, WINDOW_MAX, WINDOW_MIN
from edge.uplink import (
    CONTESTED_ROUNDS,
    LIVE_BACK,
    LIVE_BATCHES,
    PACE_MS,
    PACED_EVENTS,
    REOFFER_MAX_MS,
    REOFFER_MS,
    REOFFER_TRIPS,
    SILENCE_MS,
    Uplink,
)
from protocol.batch import BATCH_EVENTS_MAX
from protocol.envelope import text_of
from protocol.ranges import RangeSet
from protocol.receipts import JournalMarks, Mark, Receipt, mark_of

OLD, NOW = "0" * 16, "1" * 16
NONE = RangeSet()


def digest_at(journal: str, sequence: int) -> str:
    return text_of(hashlib.sha256(f"{journal}.{sequence}".encode()).digest())


class Keeper:
    """A hub as the uplink sees it: what it holds of each journal, and how it says so."""

    def __init__(self, epoch: str = "e1") -> None:
        self.epoch = epoch
        self.held: dict[str, RangeSet] = {}

    def take(self, offer: Offer) -> None:
        self.held.setdefault(offer.journal, RangeSet()).add(offer.first, offer.last)

    def receipt(self, *journals: str, city: bool = False) -> Receipt:
        marks = {}
        for journal in journals:
            through, missing, _ = mark_of(self.held.get(journal, RangeSet()))
            mark = Mark(through, digest_at(journal, through) if through else None, missing)
            marks[journal] = JournalMarks(mark, mark if city else None)
        return Receipt(self.epoch, marks)


def ready(last: int = 0, old: int = 0, *, hub: RangeSet = NONE, salvaged: bool = False) -> Uplink:
    uplink = Uplink(Random(1))
    if old:
        uplink.add_journal(OLD, old, 1, hub, NONE, salvaged=salvaged)
    uplink.add_journal(NOW, last, 1, NONE, NONE, running=True)
    uplink.connected(0, ready=True, epoch="e1")
    return uplink


def tell(uplink: Uplink) -> list[tuple[str, int, int]]:
    """What a state message lists, sent."""
    listed = uplink.to_tell(64)
    uplink.told(journal for journal, _, _ in listed)
    return listed


def _ranges(offers: list[Offer]) -> list[tuple[str, int, int, bool]]:
    return [(offer.journal, offer.first, offer.last, offer.live) for offer in offers]


# --- one thing at a time ----------------------------------------------------------------------------------------------


def test_nothing_is_offered_until_the_hub_says_ready() -> None:
    uplink = Uplink(Random(1))
    uplink.add_journal(NOW, 5, 1, NONE, NONE, running=True)
    assert uplink.next_offers(0) == []
    uplink.connected(0, ready=False, epoch=None)
    assert uplink.next_offers(0) == []
    uplink.connected(0, ready=True, epoch="e1")
    assert _ranges(uplink.next_offers(0)) == [(NOW, 1, 5, True)]
    uplink.disconnected()
    assert uplink.next_offers(10**9) == []
    assert uplink.wake_ms() is None


def test_live_taps_go_before_the_backlog() -> None:
    uplink = ready(last=LIVE_BACK + 3, old=2_000)
    uplink.wrote(NOW, LIVE_BACK + 4, 0, tap=True)
    assert _ranges(uplink.next_offers(0)) == [(NOW, 4, LIVE_BACK + 4, True), (OLD, 1, WINDOW_MIN, False)]


def test_taps_of_a_short_outage_go_before_the_backlog_too() -> None:
    uplink, keeper = ready(last=1_000, old=2_000), Keeper()
    keeper.take(Offer(NOW, LIVE_BACK, 1_000, live=True))
    uplink.receipt(keeper.receipt(NOW), digest_at, 0)
    uplink.disconnected()
    uplink.wrote(NOW, 1_020, 0, tap=True)
    uplink.connected(30_000, ready=True, epoch="e1")
    live = [offer for offer in uplink.next_offers(30_000) if offer.live]
    assert _ranges(live) == [(NOW, 1_001, 1_020, True)]
    uplink.wrote(NOW, 5_000, 0, tap=True)
    uplink.disconnected()
    uplink.connected(60_000, ready=True, epoch="e1")
    live = [offer for offer in uplink.next_offers(60_000) if offer.live]
    assert _ranges(live) == [(NOW, 5_001 - LIVE_BACK, 5_000, True)], "of a long one the newest"


def drained(uplink: Uplink, keeper: Keeper, trips: int, now_ms: int, trip_ms: int) -> int:
    """Offers and receipts to and fro, `trips` times; the time at the end."""
    for _ in range(trips):
        for offer in uplink.next_offers(now_ms):
            keeper.take(offer)
        now_ms += trip_ms
        uplink.receipt(keeper.receipt(OLD, NOW), digest_at, now_ms)
    return now_ms


def test_full_speed_while_nobody_taps_and_paced_for_five_seconds_after_a_tap() -> None:
    uplink, keeper = ready(old=50_000), Keeper()
    assert sum(offer.last - offer.first + 1 for offer in uplink.next_offers(0)) == WINDOW_FIRST
    uplink = ready(old=50_000)
    now_ms = drained(uplink, keeper, 6, 0, FAST_MS)
    offers = uplink.next_offers(now_ms)
    assert [offer.last - offer.first + 1 for offer in offers] == [BATCH_EVENTS_MAX] * BATCHES
    for offer in offers:
        keeper.take(offer)
    now_ms += FAST_MS
    uplink.receipt(keeper.receipt(OLD), digest_at, now_ms)
    uplink.wrote(NOW, 1, now_ms, tap=True)
    backlog = [offer for offer in uplink.next_offers(now_ms + PACE_MS - 1) if not offer.live]
    assert [offer.last - offer.first + 1 for offer in backlog] == [PACED_EVENTS]
    assert len([offer for offer in uplink.next_offers(now_ms + PACE_MS) if not offer.live]) == BATCHES - 1


def test_a_slow_line_is_given_time_before_the_same_is_offered_again() -> None:
    uplink, keeper = ready(old=50_000), Keeper()
    now_ms = drained(uplink, keeper, 1, 0, 9_000)
    uplink.next_offers(now_ms)
    due_ms = uplink.wake_ms()
    assert due_ms is not None
    assert REOFFER_TRIPS * 9_000 <= due_ms - now_ms <= REOFFER_TRIPS * 9_000 * 1.25


def test_live_batches_under_way_are_bounded() -> None:
    uplink = ready()
    for number in range(1, 20):
        uplink.wrote(NOW, number, number, tap=True)
        uplink.next_offers(number)
    assert uplink.next_offers(20) == []
    keeper = Keeper()
    for number in range(1, LIVE_BATCHES + 1):
        keeper.take(Offer(NOW, number, number, live=True))
    uplink.receipt(keeper.receipt(NOW), digest_at, 20)
    assert _ranges(uplink.next_offers(20)) == [(NOW, LIVE_BATCHES + 1, 19, True)]


def test_what_is_not_receipted_is_offered_again_with_backoff_and_jitter() -> None:
    waits = []
    uplink, now_ms = ready(last=5), 0
    for _ in range(6):
        assert _ranges(uplink.next_offers(now_ms)) == [(NOW, 1, 5, True)]
        due_ms = uplink.wake_ms()
        assert due_ms is not None
        assert uplink.next_offers(due_ms - 1) == []
        waits.append(due_ms - now_ms)
        now_ms = due_ms
    floors = [min(REOFFER_MAX_MS, REOFFER_MS * 2**n) for n in range(6)]
    assert all(floor <= wait <= floor * 1.25 for floor, wait in zip(floors, waits, strict=True))
    assert len({wait % 1000 for wait in waits}) > 1


def test_holes_are_offered_and_nothing_else() -> None:
    uplink, keeper = ready(last=100), Keeper()
    uplink.next_offers(0)
    for first, last in ((1, 9), (20, 49), (51, 100)):
        keeper.take(Offer(NOW, first, last, live=False))
    uplink.receipt(keeper.receipt(NOW), digest_at, 1)
    uplink.connected(2, ready=False, epoch=None)
    uplink.connected(2, ready=True, epoch="e1")
    assert _ranges(uplink.next_offers(2)) == [(NOW, 10, 19, True), (NOW, 50, 50, True)]
    assert uplink.owed() == 11
    assert uplink.oldest_owed() == (NOW, 10)


def test_a_refused_offer_comes_again_at_once_and_a_shortened_one_goes_on_where_it_ended() -> None:
    uplink = ready(last=10)
    (offer,) = uplink.next_offers(0)
    uplink.refused_by_link(offer)
    (again,) = uplink.next_offers(0)
    assert again == offer
    uplink.shortened(again, 4)
    assert _ranges(uplink.next_offers(0)) == [(NOW, 5, 10, True)]


def test_a_receipt_that_does_not_name_our_bytes_settles_nothing_and_is_told() -> None:
    right, wrong, beyond = Mark(5, digest_at(NOW, 5)), Mark(5, digest_at(NOW, 4)), Mark(6, digest_at(NOW, 6))
    for marks in (JournalMarks(wrong), JournalMarks(beyond), JournalMarks(right, wrong)):
        uplink = ready(last=5)
        heard = uplink.receipt(Receipt("e1", {NOW: marks}), digest_at, 0)
        assert heard.alarms == ("receipt-contradicts",)
        assert uplink.owed() == 5
        assert _ranges(uplink.next_offers(0)) == [(NOW, 1, 5, True)]


def test_a_contested_journal_is_offered_whole_a_few_times_and_the_running_one_for_ever() -> None:
    uplink, now_ms = ready(last=2, old=5), 0
    bad = Receipt("e1", {name: JournalMarks(Mark(9, digest_at(name, 9))) for name in (OLD, NOW)})
    seen: dict[str, int] = {OLD: 0, NOW: 0}
    for _ in range(20):
        for offer in uplink.next_offers(now_ms):
            seen[offer.journal] += 1
        uplink.receipt(bad, digest_at, now_ms)
        now_ms += REOFFER_MAX_MS * 2
    assert seen == {OLD: CONTESTED_ROUNDS, NOW: 20}
    uplink.connected(now_ms, ready=True, epoch="e2")
    assert {offer.journal for offer in uplink.next_offers(now_ms)} == {OLD, NOW}


def test_what_a_damaged_file_lost_and_the_hub_holds_is_no_contradiction() -> None:
    uplink, keeper = ready(last=1, old=5, salvaged=True), Keeper()
    keeper.take(Offer(OLD, 1, 9, live=False))
    heard = uplink.receipt(keeper.receipt(OLD), digest_at, 0)
    assert heard.alarms == ()
    assert uplink.oldest_owed() == (NOW, 1)


def test_what_cannot_be_compared_is_believed_of_damaged_files_and_unreadable_records_only() -> None:
    receipt = Receipt("e1", {OLD: JournalMarks(Mark(5, digest_at(OLD, 5)))})
    for salvaged, unreadable in ((False, False), (True, False), (False, True)):
        uplink = ready(old=5, salvaged=salvaged)
        if unreadable:
            uplink.unreadable(OLD, 5, 5)
        heard = uplink.receipt(receipt, lambda *_: None, 0)
        assert (heard.alarms == ()) == (salvaged or unreadable)


def test_unreadable_records_are_not_offered_and_raise_no_silence() -> None:
    uplink = ready(last=5)
    uplink.unreadable(NOW, 1, 5)
    assert uplink.next_offers(0) == []
    assert not uplink.silent(SILENCE_MS * 2)


def test_silence_is_told_after_five_minutes_and_only_while_something_is_owed() -> None:
    uplink, keeper = ready(last=5), Keeper()
    assert not uplink.silent(SILENCE_MS - 1)
    assert uplink.silent(SILENCE_MS)
    keeper.take(Offer(NOW, 1, 5, live=False))
    uplink.receipt(keeper.receipt(NOW), digest_at, SILENCE_MS)
    assert not uplink.silent(SILENCE_MS * 3)


def test_a_tap_after_a_quiet_night_is_no_silence() -> None:
    uplink = ready(last=0)
    for now_ms in range(0, 8 * 3_600_000, 60_000):
        assert not uplink.silent(now_ms)
    uplink.wrote(NOW, 1, now_ms, tap=True)
    assert not uplink.silent(now_ms + SILENCE_MS - 1)
    assert uplink.silent(now_ms + SILENCE_MS)


def test_a_mark_that_says_nothing_new_is_not_compared_again() -> None:
    """While the city is away every receipt lists every journal; a gateway has better to do than to read them all."""
    uplink, keeper, asked = ready(last=5, old=5), Keeper(), list[tuple[str, int]]()

    def counted(journal: str, sequence: int) -> str:
        asked.append((journal, sequence))
        return digest_at(journal, sequence)

    for journal in (OLD, NOW):
        keeper.take(Offer(journal, 1, 4, live=False))
    for _ in range(10):
        uplink.receipt(keeper.receipt(OLD, NOW), counted, 0)
    assert asked == [(OLD, 4), (NOW, 4)]
    keeper.take(Offer(NOW, 5, 5, live=False))
    uplink.receipt(keeper.receipt(OLD, NOW), counted, 0)
    assert asked[2:] == [(NOW, 5)]
    assert uplink.oldest_owed() == (OLD, 5)


# --- epochs -----------------------------------------------------------------------------------------------------------


def test_receipts_of_another_epoch_than_the_hubs_are_passed_over() -> None:
    uplink, stale = ready(last=5), Keeper("e0")
    stale.take(Offer(NOW, 1, 5, live=False))
    for retained in (True, False):
        heard = uplink.receipt(stale.receipt(NOW), digest_at, 0, retained=retained)
        assert heard == type(heard)()
    assert uplink.owed() == 5
    uplink.connected(0, ready=False, epoch=None)
    stale.epoch = "e1"
    assert uplink.receipt(stale.receipt(NOW), digest_at, 0).settled == ()


def test_a_receipt_that_goes_back_within_its_epoch_is_passed_over_and_told_unless_the_broker_kept_it() -> None:
    uplink, keeper = ready(last=5), Keeper()
    early = keeper.receipt(NOW)
    keeper.take(Offer(NOW, 1, 5, live=False))
    uplink.receipt(keeper.receipt(NOW), digest_at, 0)
    assert uplink.receipt(early, digest_at, 0, retained=True).alarms == ()
    assert uplink.receipt(early, digest_at, 0).alarms == ("receipt-went-back",)
    assert uplink.owed() == 0


def test_a_new_hub_is_asked_about_every_journal_and_refilled_journal_by_journal() -> None:
    uplink = Uplink(Random(1))
    names = [f"{number:016x}" for number in range(2, 202)]
    whole = RangeSet([(1, 10)])
    for name in names:
        uplink.add_journal(name, 10, 1, whole, whole)
    uplink.add_journal(NOW, 1, 1, NONE, NONE, running=True)
    uplink.connected(0, ready=True, epoch="e1")
    assert uplink.owed() == 1, "what an earlier hub held is believed until this one speaks"
    asked: list[str] = []
    empty = Keeper()
    while uplink.unasked():
        told = [journal for journal, _, _ in tell(uplink)]
        assert len(told) == 64 or len(asked) > 192
        assert told[0] == NOW, "the running journal is in every state"
        asked += told[1:]
        assert uplink.receipt(empty.receipt(*told), digest_at, 0).alarms == ()
    assert set(asked) >= set(names)
    assert uplink.owed() == 2001


def test_what_one_hub_confirmed_is_asked_of_the_next_and_owed_where_it_holds_something_else() -> None:
    uplink, keeper = ready(last=1, old=5), Keeper()
    keeper.take(Offer(OLD, 1, 5, live=False))
    tell(uplink)
    uplink.receipt(keeper.receipt(OLD, NOW, city=True), digest_at, 0)
    assert uplink.owed() == 1 and not uplink.unasked() and tell(uplink) == [(NOW, 1, 1)]
    uplink.connected(1, ready=True, epoch="e2")
    assert uplink.unasked()
    assert tell(uplink) == [(NOW, 1, 1), (OLD, 1, 5)]
    assert not uplink.unasked()
    other = Receipt("e2", {OLD: JournalMarks(Mark(5, digest_at(NOW, 5)))})
    heard = uplink.receipt(other, digest_at, 2)
    assert heard.alarms == ("receipt-contradicts",)
    assert [(one.journal, one.hub, one.city) for one in heard.settled] == [(OLD, NONE, NONE)]
    assert uplink.owed() == 6 and not uplink.prunable(OLD)
    assert (OLD, 1, 5, False) in _ranges(uplink.next_offers(3))


def test_journals_that_no_receipt_names_do_not_keep_the_others_from_being_asked_about() -> None:
    uplink = Uplink(Random(1))
    for number in range(2, 132):
        uplink.add_journal(f"{number:016x}", 1, 1, NONE, NONE)
    uplink.add_journal(NOW, 1, 1, NONE, NONE, running=True)
    uplink.connected(0, ready=True, epoch="e1")
    told = {journal for _ in range(3) for journal, _, _ in tell(uplink)}
    assert len(told) == 131
    assert not uplink.unasked()


def test_pruning_waits_for_both_keepers_in_the_present_epoch_and_the_hub_is_told_of_it() -> None:
    whole = RangeSet([(1, 10)])
    uplink = Uplink(Random(1))
    uplink.add_journal(OLD, 10, 1, whole, whole)
    uplink.add_journal(NOW, 1, 1, NONE, NONE, running=True)
    assert not uplink.prunable(OLD)
    uplink.connected(0, ready=True, epoch="e1")
    assert not uplink.prunable(OLD)
    keeper = Keeper()
    keeper.take(Offer(OLD, 1, 10, live=False))
    uplink.receipt(keeper.receipt(OLD, city=True), digest_at, 0)
    assert uplink.prunable(OLD) == whole
    assert [journal for journal, _, _ in tell(uplink)] == [NOW]
    uplink.pruned(OLD, 4)
    assert tell(uplink) == [(NOW, 1, 1), (OLD, 5, 10)]
    assert tell(uplink) == [(NOW, 1, 1)]
    uplink.connected(0, ready=True, epoch="e2")
    assert not uplink.prunable(OLD)
    assert uplink.receipt(Receipt("e2", {OLD: JournalMarks(Mark(0, None))}), digest_at, 0).alarms == ()
    assert uplink.owed() == 7, "what is pruned is the city's, the rest is owed to the new hub"


def test_what_was_pruned_before_a_restart_is_neither_owed_nor_offered() -> None:
    """The marks of a damaged row count for nothing; the records that were pruned are gone all the same."""
    uplink = Uplink(Random(1))
    uplink.add_journal(OLD, 10, 5, NONE, NONE)
    uplink.add_journal(NOW, 1, 1, NONE, NONE, running=True)
    uplink.connected(0, ready=True, epoch="e1")
    assert uplink.owed() == 7 and uplink.oldest_owed() == (OLD, 5)
    assert [(offer.journal, offer.first) for offer in uplink.next_offers(0)] == [(NOW, 1), (OLD, 5)]


def test_what_the_city_holds_and_the_hub_lacks_stays() -> None:
    """A hub restored from a backup is filled again from the gateway, whatever the city has."""
    uplink, keeper = ready(last=10), Keeper()
    keeper.take(Offer(NOW, 1, 4, live=False))
    keeper.take(Offer(NOW, 7, 10, live=False))
    hub = keeper.receipt(NOW).journals[NOW].hub
    whole = Receipt("e1", {NOW: JournalMarks(hub, Mark(10, digest_at(NOW, 10)))})
    assert uplink.receipt(whole, digest_at, 0).alarms == ()
    assert uplink.prunable(NOW) == RangeSet([(1, 4), (7, 10)])


def test_the_citys_mark_may_go_back_since_a_dead_letter_is_sent_again() -> None:
    uplink, keeper = ready(last=3), Keeper()
    keeper.take(Offer(NOW, 1, 3, live=False))
    uplink.receipt(keeper.receipt(NOW, city=True), digest_at, 0)
    hub = keeper.receipt(NOW).journals[NOW].hub
    again = Receipt("e1", {NOW: JournalMarks(hub, Mark(2, digest_at(NOW, 2)))})
    assert uplink.receipt(again, digest_at, 0).alarms == ()
    assert uplink.prunable(NOW) == RangeSet([(1, 2)])


# --- everything at once -----------------------------------------------------------------------------------------------


class Road(RuleBasedStateMachine):
    """Two journals, a hub that forgets or is replaced, and a wire that loses, doubles, delays and reorders."""

    @initialize(old=st.integers(0, 1_500))
    def begin(self, old: int) -> None:
        self.uplink = Uplink(Random(old))
        self.uplink.add_journal(OLD, old, 1, NONE, NONE)
        self.uplink.add_journal(NOW, 1, 1, NONE, NONE, running=True)
        self.last = {OLD: old, NOW: 1}
        self.now_ms = 0
        self.epochs = 1
        self.keeper = Keeper("e1")
        self.receipts: list[Receipt] = []
        self.up = False
        self.receipted: dict[str, RangeSet] = {OLD: RangeSet(), NOW: RangeSet()}

    @rule(more=st.integers(1, 700), tap=st.booleans())
    def write(self, more: int, tap: bool) -> None:
        self.last[NOW] += more
        self.uplink.wrote(NOW, self.last[NOW], self.now_ms, tap=tap)

    @rule()
    def connect(self) -> None:
        self.up = True
        self.uplink.connected(self.now_ms, ready=True, epoch=self.keeper.epoch)

    @rule()
    def lose_the_link(self) -> None:
        self.up = False
        self.uplink.disconnected()

    @rule(keep=st.sampled_from(["all", "half", "none"]))
    def another_hub(self, keep: str) -> None:
        """Restarted, restored from a backup, or replaced; it says so before anything else."""
        self.epochs += 1
        before, self.keeper = self.keeper, Keeper(f"e{self.epochs}")
        for journal, held in before.held.items():
            kept = RangeSet() if keep == "none" else held.copy()
            if keep == "half":
                kept.remove(held.last // 2 + 1, held.last + 1)
            self.keeper.held[journal] = kept
        self.receipted = {OLD: RangeSet(), NOW: RangeSet()}
        self.up = False
        self.uplink.disconnected()

    @rule(data=st.data(), ms=st.integers(0, 90_000))
    def offer(self, data: st.DataObject, ms: int) -> None:
        self.now_ms += ms
        offers = self.uplink.next_offers(self.now_ms)
        assert self.up or not offers
        for offer in offers:
            assert 1 <= offer.first <= offer.last <= self.last[offer.journal]
            assert offer.last - offer.first < BATCH_EVENTS_MAX
            assert not self.receipted[offer.journal].overlaps(offer.first, offer.last), "settled, and offered again"
            for _ in range(data.draw(st.sampled_from([0, 1, 1, 2]), label="arrives")):
                self.keeper.take(offer)

    @rule(journals=st.sets(st.sampled_from([OLD, NOW]), min_size=1))
    def say_receipt(self, journals: set[str]) -> None:
        self.receipts.append(self.keeper.receipt(*journals))

    @rule(data=st.data(), drop=st.booleans())
    def hear_receipt(self, data: st.DataObject, drop: bool) -> None:
        if not self.receipts:
            return
        at = data.draw(st.integers(0, len(self.receipts) - 1), label="which")
        receipt = self.receipts.pop(at) if drop else self.receipts[at]
        heard = self.uplink.receipt(receipt, digest_at, self.now_ms)
        assert "receipt-contradicts" not in heard.alarms
        if self.up and receipt.epoch == self.keeper.epoch:
            for journal, marks in receipt.journals.items():
                through, missing = marks.hub.through, RangeSet(marks.hub.missing)
                for first, last in missing.gaps(1, through):
                    self.receipted[journal].add(first, last)

    @invariant()
    def in_flight_is_bounded(self) -> None:
        flights = [flight.offer for book in self.uplink._books.values() for flight in book.flights]
        assert sum(offer.live for offer in flights) <= LIVE_BATCHES
        assert sum(not offer.live for offer in flights) <= BATCHES
        assert sum(offer.last - offer.first + 1 for offer in flights if not offer.live) <= WINDOW_MAX

    @invariant()
    def what_is_counted_as_settled_the_present_hub_said_or_an_earlier_one(self) -> None:
        for journal, held in self.receipted.items():
            book = self.uplink._books[journal]
            if book.epoch == self.keeper.epoch:
                assert book.settled == held

    def teardown(self) -> None:
        """From wherever that ended: with a wire that works, everything reaches the hub and is settled."""
        if not hasattr(self, "uplink"):
            return
        self.connect()
        for _ in range(60):
            self.uplink.receipt(self.keeper.receipt(*[j for j, _, _ in tell(self.uplink)]), digest_at, self.now_ms)
            if not self.uplink.owed():
                break
            for offer in self.uplink.next_offers(self.now_ms):
                self.keeper.take(offer)
            self.now_ms += REOFFER_MAX_MS * 2
        assert self.uplink.owed() == 0
        for journal, last in self.last.items():
            assert last == 0 or self.keeper.held[journal].covers(1, last)


Road.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRoad = Road.TestCase


@pytest.mark.parametrize("seed", range(3))
def test_a_long_backlog_drains_in_batches_of_full_size(seed: int) -> None:
    uplink, keeper, batches = ready(old=20_000), Keeper(), 0
    now_ms = 0
    while uplink.owed():
        for offer in uplink.next_offers(now_ms):
            keeper.take(offer)
            batches += 1
        uplink.receipt(keeper.receipt(OLD, NOW), digest_at, now_ms)
        now_ms += 1 + seed
    full = 20_000 // BATCH_EVENTS_MAX
    assert full <= batches <= full + 30, "a fast line is known after some small ones"
