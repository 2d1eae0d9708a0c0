"""The judgement of a sighting: accepted, repeated or refused, from what is on the disk and what was just seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from protocol.cards import CardUid, suspicion
from protocol.roster import Release
from protocol.taps import Decision, Reason

REMEMBERED_CARDS_MAX: Final = 4096
"""Cards remembered by a station for its repeat window; more than a school passes one gate in a minute."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was decided: outcome, reason from the closed list, the pupil believed in, the release it rests on."""

    outcome: Decision
    reason: Reason | None
    student: str | None
    roster: str | None


class RecentTaps:
    """The cards that a station accepted lately, on a time line in ms that only grows within a boot. Bounded."""

    __slots__ = ("_seen", "window_ms")

    def __init__(self, window_ms: int) -> None:
        """Remember for `window_ms`."""
        self.window_ms = window_ms
        self._seen: OrderedDict[str, tuple[int, str | None]] = OrderedDict()

    def accepted(self, card: str, at_ms: int, student: str | None) -> None:
        """Note an accepted tap; an older one than is known changes nothing."""
        known = self._seen.get(card)
        if known is not None and known[0] > at_ms:
            return
        self._seen.pop(card, None)
        self._seen[card] = (at_ms, student)
        while len(self._seen) > REMEMBERED_CARDS_MAX:
            self._seen.popitem(last=False)

    def forget(self, card: str) -> None:
        """The card's last tap didn't happen after all: its next touch is judged anew. From any thread."""
        with suppress(KeyError):
            del self._seen[card]

    def pupil_if_repeat(self, card: str, at_ms: int) -> tuple[bool, str | None]:
        """Whether the card was accepted within the window before `at_ms`, and whom it was for."""
        found = self._seen.get(card)
        if found is None or not -self.window_ms < at_ms - found[0] < self.window_ms:
            return False, None
        return True, found[1]


def decide(
    card: CardUid,
    keyed: str,
    *,
    school_key: bool,
    release: Release | None,
    recent: RecentTaps,
    at_ms: int,
    listed: str | None = None,
) -> Judgement:
    """Judge one sighting.

    `keyed` is the id that travels, made with the school's key if `school_key`, else with the gateway's own; `listed` is
    the one under which a release lists it besides, where it is a part of a number. Doubt is decided for the pupil:
    without a roster, or a key to look it up, a valid card is accepted and says so.
    """
    name = None if release is None else release.release
    doubt = suspicion(card)
    if doubt is not None:
        return Judgement("refused", doubt, None, name)
    ids = {keyed, listed or keyed}
    blocked = None
    if school_key and release is not None:
        blocked = next((reason for one in ids if (reason := release.blocked.get(one)) is not None), None)
    again, pupil = recent.pupil_if_repeat(keyed, at_ms)
    if again and blocked != "lost":
        # A card that was reported lost since is refused at its next touch, be it the same tap.
        return Judgement("repeated", "repeat", pupil, name)
    if not school_key:
        return Judgement("accepted", "no-card-key", None, name)
    if release is None:
        return Judgement("accepted", "no-roster", None, None)
    pupils = {row[0] for one in ids if (row := release.cards.get(one)) is not None}
    if len(pupils) == 1 and blocked is None:
        return Judgement("accepted", None, pupils.pop(), name)
    reason = "ambiguous" if pupils and blocked is None else blocked
    return Judgement("refused", _BLOCKED.get(reason or "", "unknown"), None, name)


def is_named(release: Release | None, ids: Iterable[str]) -> bool:
    """Whether a release speaks of one of these keyed ids, as a pupil's card or as one that it blocks."""
    return release is not None and any(one in release.cards or one in release.blocked for one in ids)


_BLOCKED: Final[dict[str, Reason]] = {"lost": "lost", "not-enrolled": "not-enrolled", "ambiguous": "ambiguous"}
