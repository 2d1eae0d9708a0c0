"""A station: one reader with its purpose. It judges a sighting, has it written down, and only then signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from edge.config import StationPlan
from edge.decide import RecentTaps, decide
from edge.ports import CardRead, CardSeen, Clock, Journal, Sighting, Signals, Warning_
from protocol.cards import CardKey, CardUid
from protocol.envelope import Event, clock_data, decode_data, unix_ms_of
from protocol.errors import BadMessage, K12EdgeError
from protocol.roster import Release
from protocol.taps import SIGNAL_WORDS, TAP_TYPES, TYPE_CHARACTERS_MAX, Draft, StationKind, TapData, tap_type

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
    ) -> None:
        """Start with no tap remembered; `remember` brings back those before a restart.

        `seal_raw` gives what was read in a box for the hub: an unknown card can be found out later, a proof checked.
        """
        self.plan = plan
        self._clock = clock
        self._journal = journal
        self._signals = signals
        self._card_key = card_key
        self._roster = roster
        self._seal_raw = seal_raw
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

    def take(self, seen: CardSeen) -> None:
        """Judge, write down, signal. A tap that can't be written is never accepted: an alarm instead."""
        sighting = Sighting(self.plan.name, seen.card, self._clock.reading_at(seen.seen_mono_ns))
        release = self._roster(self.plan.kind)
        key = self._card_key(release)
        keyed = key.keyed(sighting.card)
        listed = keyed if seen.listed is None else key.keyed_text(seen.listed)
        school_key = key.number != 0 and (release is None or key.number in release.keys)
        at_ms = sighting.clock.mono_ms
        judged = decide(
            sighting.card,
            keyed,
            school_key=school_key,
            release=release,
            recent=self._recent,
            at_ms=at_ms,
            listed=listed,
        )
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
        )
        draft = Draft(
            tap_type(self.plan.kind, judged.outcome),
            sighting.clock.best_ms,
            data,
            None if judged.student is None else f"student/{judged.student}",
        )
        try:
            self._journal.append(draft, self.plan.name, keyed, judged.outcome, self._signals.show)
        except K12EdgeError as problem:
            self._signals.warn(Warning_("alarm", self.plan.name, keyed, problem.code))
            return
        if judged.outcome == "accepted":
            self._recent.accepted(keyed, at_ms, judged.student)
