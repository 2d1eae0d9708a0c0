"""Messages to parents: what a pupil's guardians are to hear of a half-day, and what must be put right. Pure.

| what is known now | said before | message |
| --- | --- | --- |
| there: a stored tap, or a person's word | nothing | arrived, or late |
| there, by a tap after what was said | missing | arrived, or late |
| there, by what was known elsewhere before | missing, or unknown | corrected |
| a tap out at a gate that says so, or a person's word | there | left |
| in again | left | arrived |
| missing: a person's word; or, behind the final time, every gate's records are here | nothing | not-recorded |
| missing so | there | corrected |
| no longer what was said, and nothing else either | there, or missing | corrected: not known |

A person's word that a pupil is missing, or went, is held back for as long as a slip of the finger may be undone.
Nothing without consent. Nothing of a tap that may be another pupil's, or that contradicts a leave notice. What may have
happened long ago, by the widest reading of its clock, is told as recorded at its time, and not at all once it is of no
use. A message whose ground is gone is taken back while it waits; where somebody may have got it, another puts it right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Any, Final, Literal, get_args

from hub.attendance.completeness import Completeness, session_completeness
from hub.attendance.evidence import Session, Statement, Tap, Watermark
from hub.attendance.schoolday import Marked, SchoolDay, attributed
from protocol.records import Half

MessageKind = Literal["arrived", "left", "late", "corrected", "not-recorded"]
MESSAGE_KINDS: Final = get_args(MessageKind)
Claim = Literal["there", "gone", "missing", "unknown"]
"""What a message has its reader believe."""
MessageState = Literal["waiting", "sent", "refused", "expired", "cancelled"]
MESSAGE_STATES: Final = get_args(MessageState)
ENDED: Final = ("refused", "expired")
"""What ended so is not tried again under another name."""
FRESH_MS: Final = 30 * 60_000
"""Older, and it is told as recorded at a time, not as news: a parent acts otherwise on "has just left"."""
LEFT_VALID_MS: Final = 2 * 3_600_000
"""Who left longer ago is at home or is missed; a machine's word about it helps nobody."""
CORRECTION_VALID_MS: Final = 24 * 3_600_000
"""What was said wrongly is put right as long as anybody remembers it."""
FUTURE_MS: Final = 5 * 60_000
"""A tap further ahead of the hub's clock has a wrong time; it is told when the time is right, or never."""
UNSURE_MS: Final = 5 * 60_000
"""A time whose bounds are wider is said to be about."""
HELD_MS: Final = 60_000
"""A person's word that a pupil is missing, or left, waits so long: the page undoes for 20 s, a parent never."""
DAY_MS: Final = 86_400_000
MESSAGES_MAX: Final = 8
"""Of one pupil's half-day: who runs in and out of a gate fills nobody's telephone."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message of this half-day that is in the outbox; `attempts` 0: nobody can have got it."""

    key: str
    kind: MessageKind
    claim: Claim
    state: MessageState
    attempts: int
    evidence: tuple[str, ...]
    made_ms: int

    @property
    def heard(self) -> bool:
        """Whether somebody may have got it, or will."""
        return self.state in ("waiting", "sent") or (self.attempts > 0 and self.state != "refused")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a pupil's half-day. `said`: the word that its mark rests on, if it is a person's.

    `taps`: the pupil's own of the half-day, at gates only; `places`: how each tap's gate is called; `gates`: how many
    gates there are, all of them complete where `known` is. `hands`: who recorded by hand that a pupil came in, by tap.
    """

    marked: Marked
    taps: tuple[Tap, ...]
    places: Mapping[str, str]
    known: Completeness
    gates: int
    consent: bool
    said: Statement | None = None
    hands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One for the outbox. `at_ms`: when what it tells of happened, or until when nothing had; `about` (not exact).

    `by`: the person whose word it is, empty for a tap's; `excused`: of a correction, missing with leave. News until
    `fresh_until_ms`, then told late; not sent from `valid_until_ms` on. `key` names it for life.
    """

    key: str
    kind: MessageKind
    claim: Claim
    pupil: str
    day: date
    half: Half
    at_ms: int
    fresh_until_ms: int
    valid_until_ms: int
    evidence: tuple[str, ...]
    place: str = ""
    by: str = ""
    minutes: int = 0
    gates: int = 0
    about: bool = False
    first_kind: MessageKind | None = None
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now: messages to be queued, and keys of waiting ones to be taken back."""

    messages: tuple[Message, ...] = ()
    cancel: tuple[str, ...] = ()


def facts_of(
    known: SchoolDay,
    marked: Iterable[Marked],
    places: Mapping[str, str],
    consents: Container[str],
    hands: Mapping[str, str],
) -> Iterator[Facts]:
    """What is known of each half-day; see Facts. `consents`: the pupils whose parents may be told.

    `marked`: as `marks_of` gives them, mornings before afternoons: what was over noon is told with one of both.
    """
    taps: dict[str, list[Tap]] = defaultdict(list)
    for tap in attributed(known.taps, known.bindings):
        taps[tap.pupil].append(tap)
    said = {one.id: one for one in known.statements}
    complete: dict[tuple[int, int], Completeness] = {}
    there: set[tuple[date, str]] = set()
    for one in marked:
        session, judged = one.session, one.judged
        if session.half == "am" and judged.there:
            there.add((session.day, judged.pupil))
        beside = known.sessions.get((session.day, one.pupil.school_class, "pm" if session.half == "am" else "am"))
        span = session.opens_ms, session.final_ms
        if span not in complete:
            complete[span] = session_completeness(known.watermarks, session, known.now_ms)
        yield Facts(
            one,
            tuple(
                tap
                for tap in taps[judged.pupil]
                if _is_of(tap, one, beside, there=(session.day, judged.pupil) in there)
            ),
            places,
            complete[span],
            _gates(known.watermarks, session.final_ms),
            judged.pupil in consents,
            said.get(judged.evidence[0]) if judged.by and judged.evidence else None,
            hands,
        )


def _is_of(tap: Tap, one: Marked, beside: Session | None, *, there: bool) -> bool:
    """Whether parents hear of a tap with this half-day; `beside`: the day's other one.

    What was between the two is told with the morning where the pupil was `there` in it: left, came back. Else only the
    coming is told by which the afternoon's mark stands, with the afternoon.
    """
    session = one.session
    if session.half == "am" or beside is None:
        until_ms = session.opens_ms + DAY_MS if beside is None else beside.opens_ms
        return tap.best_ms < until_ms and (session.opens_ms <= tap.best_ms or tap.id in one.judged.evidence)
    if tap.best_ms >= session.opens_ms:
        return tap.best_ms < session.opens_ms + DAY_MS
    return not there and beside.ends_ms <= tap.best_ms and tap.id in one.judged.evidence


def _gates(words: Iterable[Watermark], at_ms: int) -> int:
    """How many gate devices a moment's completeness is about."""
    retired = {word.device for word in words if word.kind == "retired" and word.at_ms <= at_ms}
    return len({word.device for word in words if word.kind == "expected" and word.at_ms <= at_ms} - retired)


def plan(facts: Facts, told: Sequence[Told], now_ms: int, kinds: Collection[str] = MESSAGE_KINDS) -> Plan:
    """What follows from what is known; `told` are the half-day's messages in the order in which they were made.

    Asked again with what it said done, and nothing new known, it says nothing. `kinds`: those that the school sends.
    """
    if not facts.consent:
        return Plan(cancel=tuple(one.key for one in told if one.state == "waiting"))
    claim = _claim(facts)
    # What is known to be wrong isn't tried again either, also where an answer got lost on its way back.
    cancel = tuple(one.key for one in told if one.state == "waiting" and not _holds(one, facts, claim))
    heard = [one for one in told if one.heard and (one.attempts > 0 or one.key not in cancel)]
    found = _next(facts, heard, claim, now_ms, kinds)
    if found is None or not _live(found, now_ms) or _held(found, facts, now_ms):
        return Plan(cancel=cancel)
    # What was said and is wrong is always put right, whatever else the school sends, and twice as often.
    right = found.kind == "corrected"
    if (found.kind not in kinds and not right) or len(told) >= MESSAGES_MAX * (1 + right):
        return Plan(cancel=cancel)
    if any((one.kind, one.evidence) == (found.kind, found.evidence) and one.state in ENDED for one in told):
        return Plan(cancel=cancel)
    return Plan((replace(found, key=_key(found, len(told))),), cancel)


def _live(message: Message, now_ms: int) -> bool:
    return message.at_ms <= now_ms + FUTURE_MS and now_ms < message.valid_until_ms


def _held(message: Message, facts: Facts, now_ms: int) -> bool:
    """Whether it rests on a word that frightens, and that whoever said it may still be taking back."""
    said = facts.said
    word = said is not None and message.by == said.by and message.at_ms == said.at_ms
    return word and message.claim in ("missing", "gone") and now_ms < message.at_ms + HELD_MS


def _claim(facts: Facts) -> Claim:
    """What stands now, as far as parents may be told of it."""
    judged = facts.marked.judged
    if "leave-but-tapped" in judged.flags:
        # Whose card it was is for people to find out: a child in hospital is never reported as arrived.
        return "unknown"
    if judged.there:
        return "there"
    if judged.mark == "not-known":
        return "unknown"
    known = facts.known
    if facts.said is None and judged.mark == "absent" and (known.waived or known.flawed or not known.complete):
        # A gate whose records were waived, or in which somebody may be missing, is the list's matter, and frightens
        # nobody.
        return "unknown"
    return "missing"


def _holds(one: Told, facts: Facts, claim: Claim) -> bool:
    """Whether what a message says is still so, on ground that is still there."""
    if one.claim == "gone":
        return _ground(one, facts)
    return one.claim == claim and (one.claim != "there" or _ground(one, facts))


def _ground(one: Told, facts: Facts) -> bool:
    now = {*facts.marked.judged.evidence, *(tap.id for tap in facts.taps if tap.sure)}
    return bool(now & {*one.evidence})


def _next(facts: Facts, heard: Sequence[Told], claim: Claim, now_ms: int, kinds: Collection[str]) -> Message | None:
    """The next message of the table above."""
    before = next((one for one in reversed(heard) if one.claim != "gone"), None)
    last = heard[-1] if heard else None
    if last is not None and last.claim == "gone" and not _ground(last, facts):
        return _correction(facts, last, claim, now_ms)
    if before is None:
        if claim == "there":
            found = _arrival(facts, last)
            sent = found is not None and _live(found, now_ms) and found.kind in kinds
            return found if sent else _leaving(facts, heard)
        return _missing(facts, now_ms) if claim == "missing" else None
    if before.claim == claim:
        # Where another tap or word than the one that was told of says it too, the pupil was there all the same.
        if claim != "there":
            return None
        left = last is not None and last.claim == "gone"
        return _arrival(facts, last) if left and last is not None and _back(facts, last) else _leaving(facts, heard)
    if claim == "unknown" and _ground(before, facts):
        return None
    came = _came(facts)
    if claim == "there" and before.claim == "missing" and came is not None and came.not_before_ms >= before.made_ms:
        return _arrival(facts, None)
    return _correction(facts, before, claim, now_ms)


def _came(facts: Facts, after_ms: int = -1) -> Tap | None:
    """The pupil's first arrival in the half-day, after a moment."""
    session = facts.marked.session
    comings = [
        tap
        for tap in facts.taps
        if tap.sure
        and tap.best_ms > after_ms
        and (tap.direction == "in" or (tap.direction is None and tap.best_ms < session.ends_ms))
    ]
    return min(comings, key=lambda tap: (tap.best_ms, tap.id), default=None)


def _went(facts: Facts) -> Tap | None:
    """The pupil's last tap, if it was one out of a gate that says so."""
    mine = [tap for tap in facts.taps if tap.sure]
    last = max(mine, key=lambda tap: (tap.best_ms, tap.id), default=None)
    return last if last is not None and last.direction == "out" else None


def _back(facts: Facts, left: Told) -> bool:
    """Whether the pupil came in again behind the leaving that was told of."""
    gone_ms = max((tap.best_ms for tap in facts.taps if tap.id in left.evidence), default=None)
    return gone_ms is not None and _came(facts, gone_ms) is not None


def _made(facts: Facts, kind: MessageKind, claim: Claim, at_ms: int, valid_until_ms: int, **more: Any) -> Message:
    """A message about this half-day, still without a name, that is news for half an hour from `at_ms` on."""
    session = facts.marked.session
    words: dict[str, Any] = {"fresh_until_ms": at_ms + FRESH_MS, "evidence": (), **more}
    return Message(
        "",
        kind,
        claim,
        facts.marked.judged.pupil,
        session.day,
        session.half,
        at_ms,
        valid_until_ms=valid_until_ms,
        **words,
    )


def _of_tap(facts: Facts, tap: Tap) -> dict[str, Any]:
    return {
        # By the widest reading of its clock: what may be old is not told as news.
        "fresh_until_ms": tap.not_before_ms + FRESH_MS,
        "evidence": (tap.id,),
        "place": facts.places.get(tap.id, ""),
        "by": facts.hands.get(tap.id, ""),
        "about": tap.not_after_ms - tap.not_before_ms > UNSURE_MS,
    }


def _of_word(said: Statement) -> dict[str, Any]:
    return {"evidence": (said.id,), "by": said.by}


def _arrival(facts: Facts, after: Told | None) -> Message | None:
    session, judged, said = facts.marked.session, facts.marked.judged, facts.said
    again = after is not None and after.claim == "gone"
    gone_ms = -1
    if again and after is not None:
        gone_ms = max((tap.best_ms for tap in facts.taps if tap.id in after.evidence), default=-1)
    came = _came(facts, gone_ms)
    late = judged.mark == "late" and not again
    kind: MessageKind = "late" if late else "arrived"
    minutes = judged.minutes if late else 0
    if came is not None:
        until_ms = max(session.ends_ms, came.best_ms + FRESH_MS)
        return _made(facts, kind, "there", came.best_ms, until_ms, minutes=minutes, **_of_tap(facts, came))
    if said is None or again:
        return None
    return _made(facts, kind, "there", said.at_ms, session.ends_ms, minutes=minutes, **_of_word(said))


def _leaving(facts: Facts, heard: Sequence[Told]) -> Message | None:
    went, said = _went(facts), facts.said
    known = {name for one in heard if one.claim == "gone" for name in one.evidence}
    if went is not None and went.id not in known:
        useful_ms = went.not_before_ms + LEFT_VALID_MS
        return _made(facts, "left", "gone", went.best_ms, useful_ms, **_of_tap(facts, went))
    if went is None and said is not None and said.state == "left-early" and said.id not in known:
        return _made(facts, "left", "gone", said.at_ms, said.at_ms + LEFT_VALID_MS, **_of_word(said))
    return None


def _missing(facts: Facts, now_ms: int) -> Message | None:
    """The word that matters most: by a named person, or by taps only when no gate can still say otherwise."""
    session, said = facts.marked.session, facts.said
    if facts.marked.judged.mark == "excused":
        return None
    if said is not None:
        return _made(facts, "not-recorded", "missing", said.at_ms, session.ends_ms, **_of_word(said))
    if now_ms < session.final_ms:
        return None
    return _made(facts, "not-recorded", "missing", session.final_ms, session.ends_ms, gates=facts.gates)


def _correction(facts: Facts, before: Told, claim: Claim, now_ms: int) -> Message:
    said = facts.said
    came = _came(facts) if claim == "there" and said is None else None
    at_ms = said.at_ms if said is not None else came.best_ms if came is not None else now_ms
    more = {
        "fresh_until_ms": now_ms + FRESH_MS,
        "evidence": facts.marked.judged.evidence,
        "place": "" if came is None else facts.places.get(came.id, ""),
        "by": said.by if said is not None else facts.hands.get(came.id, "") if came is not None else "",
        "first_kind": before.kind,
        "excused": facts.marked.judged.mark == "excused",
    }
    return _made(facts, "corrected", claim, at_ms, now_ms + CORRECTION_VALID_MS, **more)


def _key(message: Message, number: int) -> str:
    """The same half-day's same message has the same name, however often it is thought of, also by a restored hub."""
    place = f"{message.pupil}\n{message.day}\n{message.half}\n{number}\n{message.kind}\n{message.claim}"
    text = "\n".join(("k12edge.message.v1", place, *message.evidence))
    return sha256(text.encode("utf-8")).hexdigest()[:32]
