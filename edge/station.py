"""A station: one reader with its purpose. It judges a sighting, has it written down, and only then signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from edge.config import StationPlan
from edge.decide import Judgement, RecentTaps, decide, is_named
from edge.ports import Came, CardRead, CardSeen, Clock, HandSeen, Journal, Meals, Plate, Sighting, Signals, Warning_
from protocol.cards import CardKey, CardUid
from protocol.envelope import Event, clock_data, decode_data, unix_ms_of
from protocol.errors import BadMessage, K12EdgeError
from protocol.roster import Release
from protocol.taps import (
    SIGNAL_WORDS,
    TAP_TYPES,
    TYPE_CHARACTERS_MAX,
    ClockReading,
    Draft,
    StationKind,
    TapData,
    tap_type,
)

UNPROVEN: Final = ("unknown", "no-roster", "no-card-key")
"""Reasons of taps that nobody could hold against a roster: a wrong declaration of the reader would show later."""


class Station:
    """See the room. One thread at a time calls `take`; `card_key` and `roster` give what is on the disk now."""

    def __init__(
        self,
        plan: StationPlan,
        *,
        clock: Clock,
        journal: Journal,
        signals: Signals,
        card_key: Callable[[Release | None], CardKey],
        roster: Callable[[StationKind], Release | None],
        seal_raw: Callable[[CardSeen], str | None] = lambda _: None,
        meals: Meals | None = None,
    ) -> None:
        """Start with no tap remembered; `remember` brings back those before a restart.

        `seal_raw` gives what was read in a box for the hub: an unknown card can be found out later, a proof checked.
        `meals`: of a canteen's station, what it serves.
        """
        self.plan = plan
        self._clock = clock
        self._journal = journal
        self._signals = signals
        self._card_key = card_key
        self._roster = roster
        self._seal_raw = seal_raw
        self._meals = meals
        self._recent = RecentTaps(plan.repeat_window_ms)

    def remember(self, event: Event, now_mono_ms: int, now_best_ms: int, boot: str) -> None:
        """Bring back an accepted tap of this station from the journal, on this boot's time line."""
        if event.name not in TAP_TYPES:
            return
        try:
            data = decode_data(event, TapData)
        except BadMessage:
            return
        if data.point != self.plan.name or data.decision != "accepted":
            return
        if data.clock.boot == boot:
            at_ms = data.clock.mono
        else:
            at_ms = now_mono_ms - (now_best_ms - unix_ms_of(event.time))
        self._recent.accepted(data.card, at_ms, data.student)

    def keyed(self, card: CardUid) -> str:
        """The id under which this card travels now."""
        return self._card_key(self._roster(self.plan.kind)).keyed(card)

    def keyed_by_hand(self, asked: HandSeen) -> str:
        """The id that stands for a card in what was asked for by hand."""
        return self._card_key(self._roster(self.plan.kind)).keyed_hand(asked.whom)

    def forget(self, card: str) -> None:
        """A serving of this card was taken back: its next touch counts again. From any thread."""
        self._recent.forget(card)

    def take(self, seen: CardSeen | HandSeen) -> None:
        """Judge, write down, signal. A tap that can't be written is never accepted: an alarm instead."""
        if isinstance(seen, HandSeen):
            self._serve(seen)
            return
        sighting = Sighting(self.plan.name, seen.card, self._clock.reading_at(seen.seen_mono_ns))
        release = self._roster(self.plan.kind)
        key = self._card_key(release)
        keyed = key.keyed(sighting.card)
        listed = keyed if seen.listed is None else key.keyed_text(seen.listed)
        if self._takes_shift(release, (keyed, listed)):
            return
        school_key = key.number != 0 and (release is None or key.number in release.keys)
        judged = decide(
            sighting.card,
            keyed,
            school_key=school_key,
            release=release,
            recent=self._recent,
            at_ms=sighting.clock.mono_ms,
            listed=listed,
        )
        judged, plate = self._at_table(judged, keyed, sighting.clock)
        read = seen.read or CardRead(seen.card)
        sealed = judged.reason in UNPROVEN or sighting.card.partial or read.proof is not None
        raw = self._seal_raw(seen) if sealed else None
        data = TapData(
            kind=self.plan.kind,
            point=self.plan.name,
            dir=self.plan.direction,
            card=keyed,
            student=judged.student,
            decision=judged.outcome,
            reason=judged.reason,
            signal=SIGNAL_WORDS[judged.outcome],
            roster=judged.roster,
            clock=clock_data(sighting.clock),
            raw=msgspec.UNSET if raw is None else raw,
            type=msgspec.UNSET if read.kind is None else read.kind[:TYPE_CHARACTERS_MAX],
            meal=msgspec.UNSET if plate.meal is None else plate.meal,
        )
        self._write(data, sighting.clock, None)

    def _takes_shift(self, release: Release | None, ids: Sequence[str]) -> bool:
        """Whether it is a staff card; never one of which the roster speaks: that is a pupil's tap."""
        meals = self._meals
        return meals is not None and not is_named(release, ids) and meals.takes_shift(self.plan.name, ids)

    def _at_table(
        self, judged: Judgement, keyed: str, clock: ClockReading, of: str | None = None
    ) -> tuple[Judgement, Plate]:
        """What a touch is as a serving: another card of a pupil who just took a tray here is the same tray."""
        if self._meals is None or judged.outcome == "refused":
            return judged, Plate(None, False)
        plate = self._meals.judge(self.plan.name, judged.student, keyed, clock, self.plan.repeat_window_ms, of)
        if plate.again and judged.outcome == "accepted":
            return Judgement("repeated", "repeat", judged.student, judged.roster), plate
        return judged, plate

    def _serve(self, asked: HandSeen) -> None:
        """What was asked for by hand: written down and signalled as a card's; one press is one serving."""
        assert self._meals is not None, "only a canteen's station serves by hand"
        before = self._meals.pressed(self.plan.name, asked)
        if before is not None:
            asked.answered(None, before, "pressed")
            return
        clock = self._clock.reading_at(asked.seen_mono_ns)
        release = self._roster(self.plan.kind)
        name = None if release is None else release.release
        keyed = self.keyed_by_hand(asked)
        shown = asked.hand.of if asked.hand.how == "stranger" else None
        judged, plate = self._at_table(Judgement("accepted", None, asked.student, name), keyed, clock, shown)
        data = TapData(
            kind=self.plan.kind,
            point=self.plan.name,
            dir=self.plan.direction,
            card=keyed,
            student=asked.student,
            decision=judged.outcome,
            reason=judged.reason,
            signal=SIGNAL_WORDS[judged.outcome],
            roster=name,
            clock=clock_data(clock),
            meal=msgspec.UNSET if plate.meal is None else plate.meal,
            hand=asked.hand,
        )
        came: Came = "repeated" if judged.outcome == "repeated" else "served"
        asked.answered(*self._write(data, clock, asked), came)

    def _write(self, data: TapData, clock: ClockReading, asked: HandSeen | None) -> tuple[str | None, str | None]:
        """Commit, have it signalled, and remember it: the code of why it was not written, or the record's id."""
        subject = None if data.student is None else f"student/{data.student}"
        draft = Draft(tap_type(self.plan.kind, data.decision), clock.best_ms, data, subject)
        try:
            recorded = self._journal.append(draft, self.plan.name, data.card, data.decision, self._signals.show)
        except K12EdgeError as problem:
            self._signals.warn(Warning_("alarm", self.plan.name, data.card, problem.code))
            if self._meals is not None:
                self._meals.failed(problem.code)
            return problem.code, None
        if data.decision == "accepted":
            self._recent.accepted(data.card, clock.mono_ms, data.student)
        if self._meals is not None:
            self._meals.noted(recorded.tap, data, asked)
        return None, str(recorded.tap)
