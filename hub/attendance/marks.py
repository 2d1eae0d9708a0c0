"""Marks: what stands in the book for a pupil and a half-day, by which rule, on which evidence.

| what is known | mark |
| --- | --- |
| a person's word (the newest one, not withdrawn) | what they said; what taps say otherwise is flagged |
| a tap of that day that shows the pupil | present; late, or left early, only where no clock's error could excuse it |
| no tap, a leave notice | excused |
| no tap, no notice, something may be missing, or a tap that may be the pupil's or of this half-day | not known |
| no tap, no notice, everything is here | absent: not classified, that is for people |

Of an afternoon for which pupils stay, a tap or a person's word of the morning says that they are there, as long as
nothing says that they left. A leave notice says it: who has one for the afternoon, and no tap in it, is excused.

Excused (P) and unexcused (K) are only ever people's words. Late and left early are kinds of being there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from hub.attendance.ahead import NOBODY, Ahead, Begin, ahead_of
from hub.attendance.completeness import Completeness
from hub.attendance.evidence import DAY_MS, Leave, Session, Statement, Tap, day_begins_ms, in_order, record_order

RULES: Final = "attendance-1"
"""The version of these rules; a mark names the one that it was made by."""
MINUTE_MS: Final = 60_000

Mark = Literal["present", "late", "left-early", "absent", "excused", "unexcused", "not-known"]
MARKS: Final = get_args(Mark)
THERE: Final = ("present", "late", "left-early")
Flag = Literal[
    "tapped",
    "leave-but-tapped",
    "late-uncertain",
    "leaving-uncertain",
    "time-uncertain",
    "no-arrival",
    "way-uncertain",
    "ambiguous-card",
    "waived",
    "evidence-flawed",
]
FLAGS: Final = get_args(Flag)
"""What staff should look at: a person's word against a tap, a notice against a tap, errors of clocks that decide, an
exit without an arrival, a tap between two half-days that may be of a coming or of a leaving, a tap of a card that two
pupils have, an absence where a device's records were waived, or where somebody may have come and be in no record."""


class Judged(msgspec.Struct, frozen=True):
    """A pupil's half-day. `minutes`: late by, or left early by; `by`: the person, empty where it is derived."""

    pupil: str
    mark: Mark
    minutes: int = 0
    by: str = ""
    evidence: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    rules: str = RULES

    @property
    def there(self) -> bool:
        """Whether the pupil was there, be it late or not to the end."""
        return self.mark in THERE


class Presence(msgspec.Struct, frozen=True):
    """What taps alone say of a half-day: None where they say nothing. `stayed`: nothing says that the pupil left.

    `carried`: it rests on the morning alone. `maybe`: taps of a card that was this pupil's and another's. `near`: taps
    of another time, which by the clock's error may be of this half-day. `between`: taps before it opened at a gate for
    both ways, of which nobody can say whether they were of a coming. `denied`: a person says that the pupil was away,
    or left.
    """

    judged: Judged | None
    stayed: bool = False
    carried: bool = False
    maybe: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    denied: bool = False


def judge(
    pupil: str,
    session: Session,
    seen: Presence,
    statements: Sequence[Statement],
    leaves: Sequence[Leave],
    known: Completeness,
) -> Judged:
    """The mark of one pupil in one half-day; `statements` and `leaves` are this pupil's. See the table above."""
    tapped = seen.judged
    said = newest(statements, session)
    if said is not None:
        assert said.state != "withdrawn", "what was taken back is no word"
        mark: Mark = said.state
        against = tapped is not None and mark not in THERE
        ids = (said.id, *(tapped.evidence if tapped is not None else ()))
        minutes = tapped.minutes if tapped is not None and tapped.mark == mark else 0
        return Judged(pupil, mark, minutes, said.by, ids, ("tapped",) if against else ())
    covering = [leave for leave in leaves if leave.covers(session.day, session.half)]
    notice = max(covering, key=lambda leave: (leave.at_ms, record_order(leave.id)), default=None)
    if tapped is not None and notice is None:
        return tapped
    if tapped is not None and notice is not None and not seen.carried:
        ids = (*tapped.evidence, notice.id)
        return Judged(pupil, tapped.mark, tapped.minutes, "", ids, (*tapped.flags, "leave-but-tapped"))
    if notice is not None:
        return Judged(pupil, "excused", 0, notice.by, (notice.id,))
    if seen.maybe or seen.near or seen.between:
        unsure: tuple[tuple[Flag, tuple[str, ...]], ...] = (
            ("ambiguous-card", seen.maybe),
            ("time-uncertain", seen.near),
            ("way-uncertain", seen.between),
        )
        reasons = tuple(flag for flag, ids in unsure if ids)
        return Judged(pupil, "not-known", evidence=(*seen.maybe, *seen.near, *seen.between), flags=reasons)
    if not known.complete:
        return Judged(pupil, "not-known")
    flags: tuple[Flag, ...] = ("waived",) if known.waived else ()
    return Judged(pupil, "absent", flags=(*flags, "evidence-flawed") if known.flawed else flags)


def newest(statements: Sequence[Statement], session: Session) -> Statement | None:
    """What a person said last of a pupil's half-day; None where nothing was said, or it was taken back."""
    mine = [said for said in statements if (said.day, said.half) == (session.day, session.half)]
    last = in_order(mine)[-1] if mine else None
    return None if last is None or last.state == "withdrawn" else last


def presence(
    pupil: str, session: Session, taps: Sequence[Tap], since_ms: int, until_ms: int, morning: Presence | None
) -> Presence:
    """What the pupil's taps say of a half-day, which ends for taps at `until_ms` (the next one opens then).

    `since_ms`: the last bell of the half-day before, or midnight; who came in since and is there when it opens came for
    it (hub.attendance.ahead). `morning`: of an afternoon, what the morning's said. Direction comes from the gate; at a
    gate for both ways a tap before the last bell is an arrival or a sign of being there, one behind it a leaving. Who
    comes in behind the last bell wasn't there, whatever follows. A tap that may be of another day shows nothing by
    itself.
    """
    begin = Begin(session, since_ms)
    day_ms = day_begins_ms(session.starts_ms)
    within = [
        tap for tap in taps
        if since_ms <= tap.best_ms < until_ms and tap.sure
        and day_ms <= tap.not_before_ms and tap.not_after_ms < day_ms + DAY_MS
    ]  # fmt: skip
    first = [tap for tap in within if tap.best_ms < session.opens_ms]
    ahead = NOBODY
    if first:
        ahead = ahead_of(begin, first, inside=_inside(taps, since_ms, morning))
        within = [tap for tap in within if tap.best_ms >= session.opens_ms or tap is ahead.came]
        taps = [tap for tap in taps if tap is ahead.came or not ahead.settles(tap, begin)]
    whole = sorted(within, key=lambda tap: (tap.best_ms, tap.id))
    late = next((tap for tap in whole if tap.direction == "in" and tap.best_ms >= session.ends_ms), None)
    if late is not None:
        # Who comes in behind the last bell comes for what follows, and what they do then is of that.
        taps = [tap for tap in taps if tap is late or tap.not_before_ms < late.not_after_ms]
    mine = whole if late is None else whole[: whole.index(late)]
    leavings = [tap for tap in mine if _leaves(tap, session)]
    comings = [tap for tap in mine if not _leaves(tap, session) and tap.best_ms < session.ends_ms]
    carried = session.stays and morning is not None and morning.stayed
    # Who leaves before the bell rings was not there for it, whatever they did before.
    left = next((tap for tap in reversed(leavings) if tap.not_after_ms < session.starts_ms), None)
    away = False
    if left is not None:
        behind = [tap for tap in comings if tap.not_after_ms >= left.not_before_ms]
        # Who came and went at once is shown as there, and to be looked at: parents were told of both.
        away, carried = not behind and not carried, False
        if not away:
            comings, taps = behind, [tap for tap in taps if tap.not_after_ms >= left.not_before_ms]
    shown = comings or [tap for tap in leavings if tap.best_ms >= session.starts_ms]
    if not shown and not carried:
        return _unseen(begin, taps, until_ms, ahead)
    evidence = tuple(tap.id for tap in mine)
    perhaps = [
        tap for tap in taps
        if tap.direction != "out" and tap.id not in evidence and _may_show(tap, begin, until_ms)
    ]  # fmt: skip
    mark, minutes, flags = _arrived(session, comings, perhaps, carried=carried)
    last = leavings[-1] if leavings else None
    early = _left_early(session, leavings, [*comings, *perhaps])
    if early is None:
        over = last is not None and last.not_before_ms < session.ends_ms and last.not_after_ms >= session.starts_ms
        if last is not None and over and not any(tap.not_before_ms > last.not_after_ms for tap in comings):
            flags.append("leaving-uncertain")
    else:
        if mark == "present":
            mark, minutes = "left-early", (session.ends_ms - max(early.best_ms, session.starts_ms)) // MINUTE_MS
        if early.not_before_ms < session.starts_ms:
            flags.append("leaving-uncertain")
    if away:
        flags.append("leaving-uncertain")
    if any(tap.not_before_ms < begin.of(tap) <= tap.best_ms or tap.not_after_ms >= until_ms for tap in mine):
        flags.append("time-uncertain")
    if carried and morning is not None and morning.judged is not None:
        evidence = tuple(dict.fromkeys((*morning.judged.evidence, *evidence)))
    judged = Judged(pupil, mark, minutes, "", evidence, tuple(flags))
    return Presence(judged, _stayed(whole, session), carried and not mine)


def _inside(taps: Sequence[Tap], since_ms: int, morning: Presence | None) -> bool:
    """Whether a pupil was in the school at the morning's last bell, by the taps before and a person's word."""
    if morning is None or morning.denied:
        return False
    begin_ms = day_begins_ms(since_ms)
    before = [tap for tap in taps if tap.sure and begin_ms <= tap.best_ms < since_ms]
    if not before:
        return morning.judged is not None and morning.stayed
    return max(before, key=lambda tap: (tap.best_ms, tap.id)).direction != "out"


def _stayed(taps: Sequence[Tap], session: Session) -> bool:
    """Whether nothing says that the pupil left, or something that they came in again."""
    last = taps[-1] if taps else None
    return last is None or not _leaves(last, session)


def _arrived(
    session: Session, comings: Sequence[Tap], perhaps: Sequence[Tap], *, carried: bool
) -> tuple[Mark, int, list[Flag]]:
    """Whether the pupil was late, by how many minutes; `perhaps`: other taps that may be of a coming, too."""
    if carried:
        return "present", 0, []
    if not comings:
        return "present", 0, ["no-arrival"]
    if any(tap.not_after_ms <= session.late_after_ms for tap in comings):
        return "present", 0, []
    excusing = [tap for tap in (*comings, *perhaps) if tap.not_before_ms <= session.late_after_ms]
    if any(tap.sure for tap in excusing):
        return "present", 0, ["late-uncertain"]
    # A card that may be another's excuses nobody, but somebody should look.
    return "late", (comings[0].best_ms - session.starts_ms) // MINUTE_MS, ["ambiguous-card"] if excusing else []


def _left_early(session: Session, leavings: Sequence[Tap], comings: Sequence[Tap]) -> Tap | None:
    """The last leaving that surely was before the last bell and not before the first, with nobody coming back."""
    if any(tap.not_after_ms >= session.ends_ms for tap in leavings):
        # Who leaves at the end was there again.
        return None
    for tap in reversed(leavings):
        behind = all(coming.not_after_ms < tap.not_before_ms for coming in comings)
        if behind and tap.not_after_ms >= session.starts_ms:
            return tap
    return None


def _leaves(tap: Tap, session: Session) -> bool:
    return tap.direction == "out" or (tap.direction is None and tap.best_ms >= session.ends_ms)


def _unseen(begin: Begin, taps: Sequence[Tap], until_ms: int, ahead: Ahead) -> Presence:
    """Nothing shows the pupil; taps that might."""
    might = [tap for tap in taps if _may_show(tap, begin, until_ms)]
    between = tuple(tap.id for tap in ahead.unsaid if begin.settled(tap))
    maybe = sorted(tap.id for tap in might if not tap.sure)
    near = sorted(tap.id for tap in might if tap.sure and tap.id not in between)
    return Presence(None, maybe=tuple(maybe), near=tuple(near), between=between)


def _may_show(tap: Tap, begin: Begin, until_ms: int) -> bool:
    """Whether a tap may be of a half-day by its clock's error, and would show then that the pupil was there."""
    session = begin.session
    from_ms = session.starts_ms if tap.direction == "out" else begin.of(tap)
    to_ms = min(session.ends_ms, until_ms) if tap.direction == "in" else until_ms
    return tap.not_before_ms < to_ms and tap.not_after_ms >= from_ms
