"""The authenticity of a tap: its proof, its card's type and its place, against what is known of that card. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from hub.cards.sun import ProofRefused, SunKeys, is_sun
from protocol.cards import CardUid
from protocol.ranges import Range, RangeSet

Verdict = Literal["proved", "replayed", "late", "refused", "unchecked", "unreadable", "missing"]
"""What became of a tap's proof; a tap without one, where none was needed, has no verdict."""
FindingCode = Literal[
    "proof-refused", "proof-replayed", "proof-late", "proof-missing", "card-type-changed", "card-in-two-places"
]
"""What staff are told; each is explained in docs/reference/errors.md."""

FACETS: Final = ("sak", "ats", "pmm")
"""What of a card's type is its chip's, and so stays: SAK and ATS (ISO 14443), PMm (JIS X 6319-4)."""
FACET_CHARACTERS_MAX: Final = 64
PIECES_MAX: Final = 512
"""Ranges of counters kept of a card. Telephones read it in between, so each tap may begin one: 512 are half a year."""
MOMENTS_MAX: Final = 32
"""Taps remembered of a card, the latest: a week and a half, so that what waited offline so long finds its like."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """A tap as its card remembers it: which, where, when for certain, and its counter where it was proved."""

    tap: str
    device: str
    station: str
    boot: str
    mono_ms: int
    best_ms: int
    not_before_ms: int | None
    not_after_ms: int | None
    accepted: bool
    counter: int | None = None

    @property
    def place(self) -> str:
        """Where it was, for people."""
        return f"{self.device}/{self.station}"

    @property
    def certain(self) -> bool:
        """Whether it has both bounds."""
        return self.not_before_ms is not None and self.not_after_ms is not None

    def surely_before(self, other: Moment) -> bool:
        """Whether it was earlier, whatever the clocks' errors were; of one boot the one clock tells."""
        if (self.device, self.boot) == (other.device, other.boot):
            return self.mono_ms < other.mono_ms
        return (
            self.not_after_ms is not None
            and other.not_before_ms is not None
            and self.not_after_ms < other.not_before_ms
        )

    def apart_at_most_ms(self, other: Moment) -> int | None:
        """The longest time that may lie between both; None where nothing bounds it."""
        if self.not_before_ms is None or self.not_after_ms is None:
            return None
        if other.not_before_ms is None or other.not_after_ms is None:
            return None
        return max(self.not_after_ms - other.not_before_ms, other.not_after_ms - self.not_before_ms)


class CardState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one card. `counters` were seen; `floor`: those to here are no longer told apart."""

    facets: dict[str, str] = {}
    counters: tuple[Range, ...] = ()
    floor: int = -1
    moments: tuple[Moment, ...] = ()


HEX: Final = re.compile("[0-9a-f]{2,256}")
"""What a facet's value is; it goes into logs and onto terminals as it stands."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A proof held to the keys: the counter that it proves, or why it proves nothing."""

    outcome: Literal["valid", "refused", "unchecked", "unreadable"]
    counter: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap to be judged. `known`: its card was found in a roster, or none was there; `needs_proof`: its station's."""

    moment: Moment
    card: str
    facets: Mapping[str, str]
    proof: Checked | None
    desk: bool
    refused: bool
    known: bool
    needs_proof: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a tap that staff should know; no card number is in it."""

    moment: Moment
    code: FindingCode
    detail: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows from a tap: the card's new state, the verdict on its proof, what was found of it or earlier ones."""

    state: CardState
    verdict: Verdict | None
    counter: int | None
    findings: tuple[Finding, ...]


def facets_of(kind: str) -> dict[str, str]:
    """A card's type taken apart, such as `sak=20,ats=0675...`; what is no facet is passed over."""
    pairs = (part.partition("=") for part in kind.split(","))
    return {name: value[:FACET_CHARACTERS_MAX] for name, _, value in pairs if name in FACETS and HEX.fullmatch(value)}


def check_proof(proof: str, card: CardUid, keys: SunKeys | None) -> Checked | None:
    """What a proof is worth that was read with this card's number; None where the text means to prove nothing."""
    if not is_sun(proof):
        return None
    if keys is None:
        return Checked("unchecked")
    try:
        proved = keys.verified(proof)
    except ProofRefused as problem:
        return Checked("refused", why=str(problem))
    if proved.card != card:
        return Checked("refused", why="it proves another card than the number that was read")
    return Checked("valid", proved.counter)


def judge(state: CardState, tap: Tap, apart_ms: int, bound: Callable[[Moment], Moment]) -> Judged:
    """Judge one tap. `bound` gives a remembered moment its bounds, where by now its clock is known.

    A tap counts once: whoever calls judges each record once, in any order.
    """
    remembered = [moment if moment.certain else bound(moment) for moment in state.moments]
    fresh = [moment for moment, before in zip(remembered, state.moments, strict=True) if moment is not before]
    findings: list[Finding] = []
    seen = RangeSet(state.counters)
    verdict, counter = _on_proof(tap, seen, state.floor, remembered, findings)
    moment = msgspec.structs.replace(tap.moment, counter=counter if verdict == "proved" else None)
    kept = [*remembered, moment] if moment.accepted or moment.counter is not None else remembered
    late = _late([*fresh, moment], kept)
    findings += [
        Finding(one, "proof-late", f"its counter is lower than that of {other.tap}, which surely was earlier")
        for one, other in late
    ]
    if any(one is moment for one, _ in late):
        verdict = "late"
    findings += _in_two_places([*fresh, moment], kept, apart_ms)
    facets = _on_type(state, tap, verdict, findings)
    floor = state.floor
    if moment.counter is not None:
        seen.add(moment.counter)
        floor = _shortened(seen, floor)
    latest = sorted(kept, key=lambda one: one.best_ms)[-MOMENTS_MAX:]
    return Judged(CardState(facets, tuple(seen), floor, tuple(latest)), verdict, counter, tuple(findings))


def _on_proof(
    tap: Tap, seen: RangeSet, floor: int, remembered: list[Moment], findings: list[Finding]
) -> tuple[Verdict | None, int | None]:
    """The verdict on the proof alone, and its counter; what is wrong with it is found."""
    proof = tap.proof
    if proof is None or proof.outcome == "unreadable":
        why = "no proof came with it, and this station needs one" if proof is None else proof.why
        if tap.needs_proof and not tap.refused:
            findings.append(Finding(tap.moment, "proof-missing", why))
            return "missing" if proof is None else "unreadable", None
        return None if proof is None else "unreadable", None
    if proof.outcome == "refused":
        if tap.known:
            # A stranger's card may hold anything; nobody took it for one of ours.
            findings.append(Finding(tap.moment, "proof-refused", proof.why))
        return "refused", None
    if proof.counter is None:
        return "unchecked", None
    if proof.counter in seen:
        other = next((f", with {one.tap} at {one.place}" for one in remembered if one.counter == proof.counter), "")
        findings.append(Finding(tap.moment, "proof-replayed", f"the same proof came before{other}"))
        return "replayed", proof.counter
    if proof.counter <= floor:
        findings.append(Finding(tap.moment, "proof-late", "its counter is lower than all that are remembered"))
        return "late", proof.counter
    return "proved", proof.counter


def _late(fresh: list[Moment], kept: list[Moment]) -> list[tuple[Moment, Moment]]:
    """Taps whose counter is lower than that of one that surely was earlier, each with such a one."""
    found: dict[str, tuple[Moment, Moment]] = {}
    for one in fresh:
        for other in kept:
            if one.counter is None or other.counter is None:
                continue
            low, high = (one, other) if one.counter < other.counter else (other, one)
            if high.surely_before(low):
                found.setdefault(low.tap, (low, high))
    return list(found.values())


def _in_two_places(fresh: list[Moment], kept: list[Moment], apart_ms: int) -> list[Finding]:
    """Acceptances at two devices between which nobody can walk in so short a time; told of the later one."""
    found: dict[str, Finding] = {}
    for one in fresh:
        for other in kept:
            if not (one.accepted and other.accepted) or one.device == other.device:
                continue
            apart = one.apart_at_most_ms(other)
            if apart is not None and apart < apart_ms:
                first, later = (other, one) if other.best_ms <= one.best_ms else (one, other)
                detail = f"also accepted at {first.place}, {first.tap}, at most {apart} ms before or after"
                found.setdefault(later.tap, Finding(later, "card-in-two-places", detail))
    return list(found.values())


def _on_type(state: CardState, tap: Tap, verdict: Verdict | None, findings: list[Finding]) -> dict[str, str]:
    """What is known of the card's type after this tap: learnt at a desk, or at first sight of what isn't known."""
    sound = not tap.refused and verdict in (None, "proved", "unchecked", "unreadable", "missing")
    if tap.desk and sound:
        return dict(tap.facets) or state.facets
    changed = [name for name in FACETS if name in tap.facets and tap.facets[name] != state.facets.get(name)]
    changed = [name for name in changed if name in state.facets]
    if changed:
        detail = ", ".join(f"{name} is {tap.facets[name]}, known is {state.facets[name]}" for name in changed)
        findings.append(Finding(tap.moment, "card-type-changed", detail))
    return state.facets if changed or not sound else {**tap.facets, **state.facets}


def _shortened(seen: RangeSet, floor: int) -> int:
    """Forget the lowest ranges beyond PIECES_MAX; the new floor."""
    while seen.pieces > PIECES_MAX:
        first, last = next(iter(seen))
        seen.remove(first, last)
        floor = last
    return floor
