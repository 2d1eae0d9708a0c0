"""A reader's keeping, as a machine: whatever a driver does in whatever order, and however time passes meanwhile."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.ports import CardRead, ReaderGone
from edge.readers.keeping import (
    BACKOFF_FIRST_S,
    BACKOFF_MAX_S,
    FAULTS_IN_ROW_MAX,
    STUCK_NS,
    Keeping,
    ReaderCounts,
)
from edge.readers.presence import GONE_NS, HELD_OVER_NS, LOOK_NS, UNSEEN_NS_MAX
from edge.readers.replay import ReplayReader
from protocol.cards import CardUid
from protocol.errors import ReaderInsecure, ReaderKeyWrong, ReaderLost, ReaderRefused

MS = 1_000_000
HELD, *OTHERS = (CardUid("a", f"04A1B2C{number:07X}") for number in range(4))
PROBLEMS = st.sampled_from(
    (
        ReaderLost("no answer"),
        ReaderGone("unplugged"),
        ReaderKeyWrong("another key"),
        ReaderInsecure("install mode"),
        ReaderRefused("no such library"),
        ReaderRefused("no such file"),
        OSError(5, "EIO"),
        IndexError("short"),
        RuntimeError("x"),
    )
)
PAUSES = st.one_of(st.integers(1, 300), st.integers(1, 20_000))
"""Milliseconds."""


class ReaderLife(RuleBasedStateMachine):
    """One card lies at the reader whenever it looks, others come and go; who has left is reckoned here as well."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.keeping = Keeping(ReplayReader("-"), Random(seed))
        self.now_ns = 0
        self.is_open = False
        self.faults_in_row = 0
        self.waits: list[float] = []
        self.looked_ns: int | None = None
        self.seen_ns = dict[CardUid, int]()
        self.missed_ns = dict[CardUid, int]()
        self.may_miss_ns = dict[CardUid, int]()
        self.told: list[tuple[str, str]] = []
        self.before = ReaderCounts()

    def pass_time(self, ms: int) -> None:
        self.now_ns += ms * MS

    @precondition(lambda self: not self.is_open)
    @rule(ms=PAUSES)
    def open(self, ms: int) -> None:
        self.pass_time(ms)
        wait_s = self.keeping.wait_s()
        if self.waits:
            assert 0.75 * self.waits[-1] <= wait_s <= 1.25 * self.waits[-1]
        else:
            assert wait_s == 0, "at first, nobody waits"
        self.keeping.opened(self.now_ns)
        self.is_open, self.faults_in_row, self.looked_ns = True, 0, self.now_ns
        self.may_miss_ns = dict.fromkeys(self.may_miss_ns, HELD_OVER_NS)

    @precondition(lambda self: not self.is_open)
    @rule(problem=PROBLEMS, ms=PAUSES)
    def fail_to_open(self, problem: Exception, ms: int) -> None:
        self.pass_time(ms)
        self.give_up(problem)

    def give_up(self, problem: Exception) -> None:
        losses, known = self.keeping.counts.losses, self.keeping.counts.error
        news = self.keeping.given_up(problem)
        code = getattr(problem, "code", "reader-lost")
        refused = isinstance(problem, ReaderRefused)
        new = known != code or (refused and self.told[-1] != (code, str(problem)))
        assert (news is not None) == new
        assert news is None or (news.code, news.text, news.refused) == (code, str(problem), refused)
        assert self.keeping.counts.error == code
        assert self.keeping.counts.losses == losses + (known is None)
        self.told.append((code, str(problem)))
        self.is_open = False
        self.waits.append(min(BACKOFF_MAX_S, 2 * self.waits[-1]) if self.waits else BACKOFF_FIRST_S)

    @precondition(lambda self: self.is_open)
    @rule(present=st.sets(st.sampled_from(OTHERS)), ms=PAUSES)
    def look(self, present: set[CardUid], ms: int) -> None:
        self.pass_time(ms)
        there = [HELD, *present]
        seen = [item.card for item in self.keeping.looked(self.now_ns, [CardRead(card) for card in there])]
        assert len(seen) == len(set(seen)), "nobody is seen twice in one look"
        for card in there:
            gone = card not in self.seen_ns or self.now_ns - self.seen_ns[card] > UNSEEN_NS_MAX
            assert (card in seen) == gone, "who has left is seen anew, and nobody else"
        looked_ns = 0 if self.looked_ns is None else min(LOOK_NS, self.now_ns - self.looked_ns)
        self.looked_ns = self.now_ns
        for card in [card for card in self.seen_ns if card not in there]:
            self.missed_ns[card] += looked_ns
            if self.missed_ns[card] >= self.may_miss_ns[card]:
                del self.seen_ns[card]
        for card in there:
            self.seen_ns[card], self.missed_ns[card], self.may_miss_ns[card] = self.now_ns, 0, GONE_NS
        self.faults_in_row, self.waits = 0, []

    @precondition(lambda self: self.is_open)
    @rule(problem=PROBLEMS, ms=PAUSES)
    def miss(self, problem: Exception, ms: int) -> None:
        self.pass_time(ms)
        self.faults_in_row += 1
        given_up = self.keeping.missed(problem)
        assert given_up == (isinstance(problem, ReaderGone) or self.faults_in_row == FAULTS_IN_ROW_MAX)
        if given_up:
            self.give_up(problem)

    @rule(ms=st.integers(0, 10_000))
    def call(self, ms: int) -> None:
        assert not self.keeping.is_stuck(self.now_ns), "between two calls nothing hangs"
        self.keeping.calling(self.now_ns)
        assert self.keeping.is_stuck(self.now_ns + ms * MS) == (ms * MS > STUCK_NS)
        self.keeping.returned()

    @invariant()
    def what_is_counted_counts_up(self) -> None:
        if hasattr(self, "keeping"):
            now, before = self.keeping.counts, self.before
            for name in ("opens", "losses", "polls", "faults", "sightings"):
                assert getattr(now, name) >= getattr(before, name)
            self.before = ReaderCounts(now.opens, now.losses, now.polls, now.faults, now.sightings)


def test_whatever_a_driver_does_its_keeping_holds() -> None:
    bounds = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(ReaderLife, settings=bounds)  # type: ignore[no-untyped-call]


def test_looks_that_fail_in_a_row_give_the_reader_up_and_one_that_succeeds_counts_anew() -> None:
    keeping, lost = Keeping(ReplayReader("-"), Random(1)), ReaderLost("no answer")
    keeping.opened(0)
    few = [False] * (FAULTS_IN_ROW_MAX - 1)
    assert [keeping.missed(lost) for _ in few] == few
    keeping.looked(MS, [])
    assert [keeping.missed(lost) for _ in range(FAULTS_IN_ROW_MAX)] == [*few, True]
    keeping.opened(2 * MS)
    assert keeping.missed(ReaderGone("unplugged")), "there is nothing to wait for"


def test_a_tap_after_a_card_had_left_is_another_one() -> None:
    keeping = Keeping(ReplayReader("-"), Random(1))
    keeping.opened(0)
    card = CardRead(HELD)
    looks: list[tuple[int, list[CardRead]]] = [(0, [card]), *((ms, []) for ms in range(100, 800, 100)), (800, [card])]
    assert [len(keeping.looked(ms * MS, reads)) for ms, reads in looks] == [1, *[0] * 7, 1]
