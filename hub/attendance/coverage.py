"""Coverage: until when a gateway's records are all here, by its own word and by what the hub holds. Pure.

A gateway says: of what I saw to T all is written by now. That counts where everything that it wrote before it said so
is here: its journal to that record, and the journals before that one. A journal that nobody went on with (a card that
was copied, restored, replaced) may have more than anybody knows: it must say so for itself, or a person decides.

What is older than the time asked about concerns nobody: a hole whose records were written before it is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from hub.attendance.evidence import Watermark

GATE: Final = "gate"
AWAKE_MS: Final = 19_800_000
"""05:30: before, nobody comes to a school, and a gateway may be off."""
Why = Literal["never-heard", "clock-unsure", "not-heard", "missing", "parked", "other-branch", "reader-blind"]
"""What is waited for of a device: its first word; a time with a bound; a word that reaches so far; records that the
hub lacks; records that it couldn't take; a journal that nobody went on with; a reader that saw nobody."""
Gone = Literal["missing", "parked", "lost"]
Flaw = Literal["records-lost", "reader-blind", "gateway-dark", "other-branch"]
"""What nothing can prove any more, though the device is complete: records that are gone for good, time in which a
reader or the whole gateway saw nobody, a journal that a person gave up."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Records `first` to `last` of a journal that the ledger lacks.

    They were written before `before_ms`; None where nobody knows. `why`: not here, here but not understood (`parked`),
    or gone for good by the gateway's own word (`lost`).
    """

    first: int
    last: int
    before_ms: int | None
    why: Gone = "missing"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A journal as the hub holds it.

    `opened_ms`: it was opened, so all journals before it had ended, by then at the latest; None where nobody knows.
    `previous`: the journal before it and that one's last record then. `held_last`: the last record here. `holes` are
    below it, or lost behind it. `ended_ms`: when its last record here was made. `heard_ms`: when the hub took the
    newest of its records. `first_ms`: it was opened then at the earliest.
    """

    journal: str
    opened_ms: int | None
    previous: tuple[str, int] | None
    held_last: int
    heard_ms: int
    holes: tuple[Hole, ...] = ()
    ended_ms: int | None = None
    first_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Blind:
    """A station's reader saw nobody from `since_ms` to `until_ms`; None: it still doesn't."""

    station: str
    since_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A gateway's word in a journal, at a sequence, made at `at_ms`: all to `complete_to_ms` is written.

    It may be wrong by `error_ms`; None where nothing vouches for the clock.
    """

    journal: str
    sequence: int
    at_ms: int
    complete_to_ms: int
    error_ms: int | None
    stations: Mapping[str, str]
    blind: tuple[Blind, ...] = ()

    @property
    def sure_ms(self) -> int | None:
        """Until when it is certain."""
        return None if self.error_ms is None else self.complete_to_ms - self.error_ms


@dataclass(frozen=True, slots=True)
class Waiver:
    """`by` decided at `at_ms`, for `reason`, that what `device` may still have until `through_ms` isn't waited for."""

    record: str
    device: str
    through_ms: int
    at_ms: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the hub knows of one device that a person accepted.

    `since_ms`: it was accepted, or made its first record, by then. `retired_ms`: a person retired it then. `heard_ms`:
    when it last spoke. `tapped`: the kinds of stations of its taps in the time asked about. `ends`: its journals that
    no other one goes on with, see `ends`. `chapters`: of its journals those, and the ones before them back to the first
    that was opened before the time asked about.
    """

    device: str
    since_ms: int
    retired_ms: int | None
    heard_ms: int | None
    tapped: frozenset[str] = frozenset()
    ends: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a gate device's records are certainly all here: to `through_ms`, None where nothing is certain.

    `why`: what it takes to get further, with `what`: numbers and names for people. `gates` of its stations are gates,
    `blind` of them see nobody now. `claim`: the word that it rests on; `newest`: its last one. `flaws`: (what, since).
    """

    device: str
    gates: int
    through_ms: int | None
    why: Why
    what: Mapping[str, object] = field(default_factory=dict)
    claim: Claim | None = None
    newest: Claim | None = None
    held: int = 0
    blind: int = 0
    flaws: tuple[tuple[Flaw, int], ...] = ()


def is_gate(device: DeviceFacts, from_ms: int) -> bool:
    """Whether a device stands at a gate, at any time since `from_ms`, as far as anybody knows.

    By what it said of its stations since, or last; without a word by the taps that came from it. One that never spoke
    may be anything, so it may be a gate.
    """
    if GATE in device.tapped:
        return True
    if not device.claims:
        return not device.tapped
    last = max(device.claims, key=lambda claim: claim.at_ms)
    return any(GATE in claim.stations.values() for claim in device.claims if claim.at_ms >= from_ms or claim is last)


def ends(links: Mapping[str, tuple[tuple[str, int] | None, int]]) -> tuple[str, ...]:
    """The journals that no other one goes on with, or not from their last record here.

    Of all journals of a device: journal -> the one before it with its last record then, its own last record here.
    """
    gone_on: dict[str, int] = {}
    for previous, _ in links.values():
        if previous is not None:
            gone_on[previous[0]] = max(gone_on.get(previous[0], 0), previous[1])
    return tuple(journal for journal, (_, last) in links.items() if last > gone_on.get(journal, 0))


def reach(device: DeviceFacts, waivers: Sequence[Waiver], from_ms: int, awake_ms: int | None = None) -> Reach:
    """Until when all is here that a device saw since `from_ms`; the least of what its journals' ends say.

    `awake_ms`: from when somebody may come, so that a reader that sees nobody is one that missed somebody perhaps.
    """
    awake_ms = from_ms if awake_ms is None else awake_ms
    gates = _gates(device)
    newest = max(device.claims, key=lambda claim: claim.at_ms, default=None)
    if not device.chapters:
        return Reach(device.device, gates, None, "never-heard", {"since_ms": device.since_ms})
    by_name = {chapter.journal: chapter for chapter in device.chapters}
    given_up = max((waiver.at_ms for waiver in waivers if waiver.device == device.device), default=None)
    last_heard = max(by_name[name].heard_ms for name in device.ends)
    found: list[Reach] = []
    flaws: set[tuple[Flaw, int]] = set()
    for name in device.ends:
        chapter = by_name[name]
        other = chapter.heard_ms < last_heard
        if other and given_up is not None and chapter.heard_ms <= given_up:
            # A person gave it up after its last word. For the times of then that stands beside what is derived.
            flaws.add(("other-branch", chapter.heard_ms if chapter.ended_ms is None else chapter.ended_ms))
            continue
        told = _along(device, _path(by_name, name, from_ms), from_ms, awake_ms)
        if other and told.why == "not-heard":
            what = {"journal": name, "heard_ms": chapter.heard_ms}
            told = Reach(told.device, gates, told.through_ms, "other-branch", what, told.claim, newest, told.held)
        found.append(told)
        flaws |= set(told.flaws)
    least = min(found, key=lambda one: (one.through_ms is not None, one.through_ms or 0))
    blind = sum(one.until_ms is None for one in _at_gates(newest)) if newest is not None else 0
    return Reach(
        *(device.device, gates, least.through_ms, least.why, least.what, least.claim, newest, least.held),
        blind=min(blind, gates),
        flaws=tuple(sorted(flaw for flaw in flaws if flaw[1] >= from_ms)),
    )


def _gates(device: DeviceFacts) -> int:
    """How many gates a device has, by its last word; one where it said nothing."""
    last = max(device.claims, key=lambda claim: claim.at_ms, default=None)
    return 1 if last is None else max(1, sum(kind == GATE for kind in last.stations.values()))


def _at_gates(claim: Claim) -> list[Blind]:
    return [one for one in claim.blind if claim.stations.get(one.station) == GATE]


def _path(by_name: Mapping[str, Chapter], leaf: str, from_ms: int) -> list[tuple[Chapter | None, int, Chapter | None]]:
    """From the oldest journal that matters to `leaf`: each with its last record that belongs here, and the next one.

    None stands for a journal of which the hub has nothing.
    """
    path: list[tuple[Chapter | None, int, Chapter | None]] = []
    chapter, through, after = by_name[leaf], by_name[leaf].held_last, None
    seen: set[str] = set()
    while chapter.journal not in seen:
        seen.add(chapter.journal)
        path.append((chapter, through, after))
        if chapter.previous is None or (chapter.opened_ms is not None and chapter.opened_ms < from_ms):
            break
        name, last = chapter.previous
        before = by_name.get(name)
        if before is None:
            path.append((None, last, chapter))
            break
        after, chapter, through = chapter, before, last
    return path[::-1]


def _along(
    device: DeviceFacts, path: Sequence[tuple[Chapter | None, int, Chapter | None]], from_ms: int, awake_ms: int
) -> Reach:
    """What the claims of one line of journals prove: those before the first record that is missing and matters."""
    gates = _gates(device)
    sound: list[Claim] = []
    flaws: list[tuple[Flaw, int]] = []
    blocked: Hole | None = None
    held = 0
    for chapter, through, after in path:
        opened_ms = None if after is None else after.opened_ms
        if chapter is None:
            blocked = Hole(1, through, opened_ms)
            break
        held = through
        for hole in _holes(chapter, through, opened_ms):
            if hole.before_ms is not None and hole.before_ms < from_ms:
                continue
            if hole.why == "lost":
                flaws.append(("records-lost", from_ms))
                continue
            blocked, held = hole, hole.first - 1
            break
        sound += [claim for claim in device.claims if claim.journal == chapter.journal and claim.sequence <= held]
        if blocked is not None:
            break
        dark = _dark(chapter, after, awake_ms)
        if dark is not None:
            flaws.append(("gateway-dark", dark))
    flaws += [
        ("reader-blind", max(one.since_ms, awake_ms))
        for claim in sound
        for one in _at_gates(claim)
        if one.until_ms is None or one.until_ms > awake_ms
    ]
    best = max((claim for claim in sound if claim.error_ms is not None), key=proves, default=None)
    through_ms = None if best is None else proves(best)
    why, what = _waits(device, sound, best, blocked)
    return Reach(device.device, gates, through_ms, why, what, best, None, held, flaws=tuple(flaws))


def proves(claim: Claim) -> int:
    """Until when a claim says who came: no further than its gates' readers looked."""
    assert claim.sure_ms is not None
    unsure_ms = claim.error_ms or 0
    return min([claim.sure_ms, *(one.since_ms - unsure_ms for one in _at_gates(claim) if one.until_ms is None)])


def _holes(chapter: Chapter, through: int, opened_ms: int | None) -> list[Hole]:
    """What is missing up to `through`, the tail included: that was written before the next journal was opened."""
    holes = [hole for hole in chapter.holes if hole.first <= through or hole.why == "lost"]
    if chapter.held_last < through:
        holes.append(Hole(chapter.held_last + 1, through, opened_ms))
    return holes


DARK_MS: Final = 120_000
"""A gateway is away so long: somebody may have come and found it dark. A restart takes seconds."""


def _dark(chapter: Chapter, after: Chapter | None, awake_ms: int) -> int | None:
    """From when a gateway saw nobody, because it didn't run: at most from its last record to its next journal."""
    if after is None or after.opened_ms is None or chapter.ended_ms is None:
        return None
    since_ms = max(chapter.ended_ms, awake_ms)
    return since_ms if after.opened_ms - since_ms > DARK_MS else None


def _waits(
    device: DeviceFacts, sound: Sequence[Claim], best: Claim | None, blocked: Hole | None
) -> tuple[Why, dict[str, object]]:
    """What it takes to get further than `best`."""
    if blocked is not None:
        why: Why = "parked" if blocked.why == "parked" else "missing"
        return why, {"records": blocked.last - blocked.first + 1}
    still = [] if best is None else [one for one in _at_gates(best) if one.until_ms is None]
    newest = max(sound, key=lambda claim: claim.at_ms, default=None)
    if newest is not None and newest.error_ms is None:
        return "clock-unsure", {}
    blind = [] if newest is None else [one for one in _at_gates(newest) if one.until_ms is None]
    if blind or still:
        first = min(blind or still, key=lambda one: one.since_ms)
        return "reader-blind", {"station": first.station, "since_ms": first.since_ms}
    return "not-heard", {"heard_ms": device.heard_ms}


def words(
    known: Iterable[DeviceFacts], waivers: Sequence[Waiver], from_ms: int, awake_ms: int | None = None
) -> list[Watermark]:
    """What completeness.completeness eats: of every gate device that it is expected, how far it is complete, and by
    whom it isn't waited for.

    Of a claim that isn't proven the word says how many records of it are here; it counts for nothing.
    """
    found: list[Watermark] = []
    for device in known:
        if not is_gate(device, from_ms):
            continue
        name, told = device.device, reach(device, waivers, from_ms, awake_ms)
        found.append(Watermark(f"device.{name}", name, "expected", device.since_ms))
        if told.claim is not None and told.through_ms is not None:
            sequence, record = told.claim.sequence, f"{told.claim.journal}.{told.claim.sequence}"
            at_ms, to_ms = told.claim.at_ms, told.claim.complete_to_ms
            error_ms = to_ms - told.through_ms
            found.append(Watermark(record, name, "complete", at_ms, to_ms, error_ms, sequence, sequence))
        newest = told.newest
        if newest is not None and newest is not told.claim and newest.error_ms is not None:
            record, last = f"{newest.journal}.{newest.sequence}", newest.sequence
            held = min(told.held, last - 1) if told.why in ("missing", "parked") else None
            if held is not None:
                to_ms, error_ms = newest.complete_to_ms, newest.error_ms
                found.append(Watermark(record, name, "complete", newest.at_ms, to_ms, error_ms, last, held))
        if device.retired_ms is not None:
            found.append(Watermark(f"device.{name}", name, "retired", device.retired_ms))
        found += [Watermark(f"device.{name}", name, "flawed", since_ms, by=flaw) for flaw, since_ms in told.flaws]
        found += [
            Watermark(waiver.record, name, "waived", waiver.at_ms, waiver.through_ms, by=waiver.by)
            for waiver in waivers
            if waiver.device == name
        ]
    return found
