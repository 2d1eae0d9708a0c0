"""What a list of pupils would change: who is new, updated, moved, leaves, returns, or isn't in it. Pure, and a preview.

- A list says who is there, and who left where it says so. Who isn't in a complete list is named, and stays until a
  person decides: they may be in another file.
- A pupil is the same by our key, else the city's id, else the school's code, else by name, birth date and class where
  exactly one pupil has them.
- A class holds from a day on; days before it keep theirs, and the first list of all holds since ever. The day may lie
  ahead: so a school year is rolled over.
- A plan that is applied and made again is empty. A plan by which many pupils leave, are missing, move or are renamed is
  guarded: a person must say that it is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

from hub.lists.enrolling import ended, placed
from hub.lists.identity import Owners
from hub.lists.known import KnownPupil, Origin, class_on
from hub.lists.lines import PupilLine
from hub.lists.matching import Bad, MatchedBy, matched
from protocol.errors import NeedsHands
from protocol.names import class_order, folded

GONE_SHARE_MAX: Final = 0.05
GONE_COUNT_MAX: Final = 20
"""More leaving or missing at once than either is rather a wrong file than a school's day."""
MOVED_SHARE_MAX: Final = 0.3
"""More moving at once than this share is a new school year, or a column that slipped."""

BAD_NAMED: Final = 20

Kind = Literal["new", "updated", "moved", "left", "returns", "missing"]
Reason = Literal[
    "new", "name", "spelling", "code", "city-id", "birth", "sex", "class", "left", "returned", "confirmed", "found",
    "not-listed", "ended",
]  # fmt: skip
"""Why: `spelling`, the same name written otherwise; `confirmed`, a provisional pupil whom the list knows; `found`, one
who was missing; `ended`, a pupil whose last class is over."""
Guard = Literal["empty", "many-gone", "many-moved", "many-renamed"]


class ListGuarded(NeedsHands):
    """The list would change very much at once; a person must say that it is meant. Nothing was changed."""

    code = "list-guarded"
    hint = "Look at the preview; confirm each guard by name if the list is right."


@dataclass(frozen=True, slots=True)
class Change:
    """One pupil, before (None: a new one) and after. A new one's key is empty where the list has none: mint it."""

    kind: Kind
    reasons: tuple[Reason, ...]
    before: KnownPupil | None
    after: KnownPupil
    matched_by: MatchedBy | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class ClassMove:
    """How many pupils go from one class to another; None is none: newcomers, leavers."""

    before: str | None
    after: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A preview: nothing was changed. `to_write` gives what one transaction has to write.

    `missing` are all who attend on `day` and aren't listed; `same` stand in the list as they are known.
    """

    day: date
    changes: tuple[Change, ...]
    missing: tuple[KnownPupil, ...]
    bad: tuple[Bad, ...]
    same: int
    attending: int
    guards: tuple[Guard, ...]
    moves: tuple[ClassMove, ...]
    new_classes: tuple[str, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each kind, in the order of a preview."""
        kinds = Counter(change.kind for change in self.changes if change.kind != "missing")
        return {
            "new": kinds["new"], "updated": kinds["updated"], "moved": kinds["moved"], "left": kinds["left"],
            "returns": kinds["returns"], "missing": len(self.missing), "bad": len(self.bad), "same": self.same,
        }  # fmt: skip

    @property
    def empty(self) -> bool:
        """Whether taking the list would write nothing."""
        return not self.changes

    def to_write(self, confirmed: Collection[str] = ()) -> tuple[Change, ...]:
        """What to write, all in one transaction: each pupil's row and all their enrolments become `after`'s.

        Codes and city ids are unique in the end; two pupils may exchange theirs, so clear those that change first.
        Raises ListGuarded where a line is bad, or a guard wasn't `confirmed`.
        """
        if self.bad:
            places = ", ".join(f"{bad.line.where or '?'} ({bad.reason})" for bad in self.bad[:BAD_NAMED])
            raise ListGuarded(f"{len(self.bad)} lines can't be taken: {places}")
        left = [guard for guard in self.guards if guard not in confirmed]
        if left:
            # Where it is decided that who is missing leaves, they are counted once.
            twice = {"missing"} if self.counts["left"] >= self.counts["missing"] else set[str]()
            counts = ", ".join(f"{count} {kind}" for kind, count in self.counts.items() if count and kind not in twice)
            raise ListGuarded(
                f"not confirmed: {', '.join(left)} ({self.attending} attend; {counts})",
                hint=f"Look at who it names; if the list is right, say so: --confirm {' --confirm '.join(left)}.",
            )
        return self.changes


def applied(
    known: Sequence[KnownPupil], changes: Sequence[Change], new_key: Callable[[], str]
) -> tuple[KnownPupil, ...]:
    """What is known after the changes were written; the store does the same to its tables."""
    pupils = {pupil.key: pupil for pupil in known}
    for change in changes:
        key = change.after.key or new_key()
        pupils[key] = replace(change.after, key=key)
    return tuple(pupils.values())


def plan(
    known: Sequence[KnownPupil],
    lines: Sequence[PupilLine],
    day: date,
    *,
    complete: bool,
    today: date | None = None,
    origin: Origin = "list",
    missing: Literal["keep", "leave"] = "keep",
    whole_school: bool = True,
    city_says: bool = False,
) -> Plan:
    """Compare a list with what is known, to hold from `day` on, which may lie ahead of `today` (None: it is `day`).

    `complete`: who isn't listed is missing; `missing="leave"`: a person decided that they left. Without `whole_school`
    only pupils of classes that the list names can be missing: it is one grade's file. `city_says`: it is the city's own
    answer, whose id is the pupil's, whatever they are called now.
    """
    today = day if today is None else today
    found, bad = matched(known, lines, day)
    changes: list[Change] = []
    same = 0
    owners = Owners(known, found)
    for line, before, by in found:
        named = city_says and before is not None and before.city_id == line.city_id is not None
        if before is not None and by != "name" and not named and (touched := owners.instead(before, line)):
            bad.append(Bad(line, "another-person", touched))
            continue
        change = _change(before, by, line, (day, today), origin)
        if change is None:
            same += 1
        elif isinstance(change, Bad):
            bad.append(change)
        else:
            changes.append(change)
    if not known and day == today:
        changes = [_since_ever(change, day) for change in changes]
    listed = {before.key for _, before, _ in found if before is not None}
    listed |= {key for each in bad for key in each.keys}
    absent = [pupil for pupil in known if pupil.key not in listed]
    classes = {line.school_class for line in lines if line.school_class is not None}
    gone = [
        pupil
        for pupil in absent
        if complete and pupil.state == "enrolled" and (now := class_on(pupil, day)) and (whole_school or now in classes)
    ]
    changes += _unlisted(absent, gone, (day, today), origin, missing)
    taken, changes = _clashing(known, changes)
    attending = [pupil for pupil in known if pupil.state != "left" and class_on(pupil, day) is not None]
    known_classes = {class_on(pupil, day) for pupil in known}
    return Plan(
        day,
        tuple(changes),
        tuple(gone),
        tuple(bad + taken),
        same,
        len(attending),
        tuple(_guards(changes, gone, len(attending), empty=complete and not lines)),
        tuple(_moves(changes, day)),
        tuple(sorted(classes - known_classes, key=class_order)) if known else (),
    )


Days = tuple[date, date]
"""From when the list holds, and today."""

# --- what changes -----------------------------------------------------------------------------------------------------


def _change(
    before: KnownPupil | None, by: MatchedBy | None, line: PupilLine, days: Days, origin: Origin
) -> Change | Bad | None:
    """What a line changes; None where it says what is known, or speaks of somebody who left before."""
    day = days[0]
    since = max(day, line.state_day or day)
    if before is None:
        if line.state == "left" or line.only_known:
            return None
        if line.name is None:
            return Bad(line, "unknown-pupil")
        enrolments = () if line.school_class is None else placed((), line.school_class, since)
        after = KnownPupil(
            line.key or "", line.name, line.code, line.city_id, line.birth, line.sex, "enrolled", origin, 0, enrolments
        )
        return Change("new", ("new",), None, after, None, line.where)
    if line.state == "left":
        after = _left(before, line.state_day or day, days)
        return None if after == before else Change("left", ("left",), before, after, by, line.where)
    after = replace(
        before,
        name=line.name or before.name,
        code=line.code or before.code,
        city_id=line.city_id or before.city_id,
        birth=line.birth or before.birth,
        sex=line.sex or before.sex,
        state="enrolled",
        origin=origin if before.origin == "hand" else before.origin,
        missing=0 if origin in (before.origin, "city") else before.missing,
        enrolments=placed(before.enrolments, line.school_class, since) if line.school_class else before.enrolments,
    )
    if after == before:
        return None
    reasons = tuple(_reasons(before, after, since))
    kind: Kind = "updated"
    if "returned" in reasons:
        kind = "returns"
    elif "class" in reasons:
        kind = "moved"
    return Change(kind, reasons, before, after, by, line.where)


def _since_ever(change: Change, day: date) -> Change:
    """A pupil of the first list of all belongs to their class since ever: nobody said since when."""
    pieces = tuple(replace(one, first=date.min) if one.first == day else one for one in change.after.enrolments)
    return replace(change, after=replace(change.after, enrolments=pieces))


def _left(before: KnownPupil, since: date, days: Days) -> KnownPupil:
    if before.state == "left":
        return before
    day, today = days
    current = [piece for piece in before.enrolments if piece.first <= day and (piece.last is None or piece.last >= day)]
    if current and since < current[0].first:
        # Days on which the pupil was known to be there stay as they were.
        since = day
    return replace(
        before,
        state="left" if since <= today else before.state,
        missing=0,
        enrolments=ended(before.enrolments, since),
    )


def _reasons(before: KnownPupil, after: KnownPupil, since: date) -> Iterator[Reason]:
    if before.state == "left" or (before.enrolments and class_on(before, since) is None):
        yield "returned"
    elif class_on(before, since) != class_on(after, since):
        yield "class"
    if before.state == "provisional":
        yield "confirmed"
    if before.missing and not after.missing:
        yield "found"
    if before.name != after.name:
        yield "spelling" if folded(before.name) == folded(after.name) else "name"
    pairs: tuple[tuple[Reason, object, object], ...] = (
        ("code", before.code, after.code),
        ("city-id", before.city_id, after.city_id),
        ("birth", before.birth, after.birth),
        ("sex", before.sex, after.sex),
    )
    yield from (reason for reason, old, new in pairs if old != new)


def _unlisted(
    absent: Sequence[KnownPupil],
    gone: Sequence[KnownPupil],
    days: Days,
    origin: Origin,
    missing: Literal["keep", "leave"],
) -> Iterator[Change]:
    """Who isn't listed. Of the city's pupils a school's list counts nothing: their absences are the pulls' to count."""
    day, today = days
    keys = {pupil.key for pupil in gone}
    for pupil in absent:
        if pupil.key in keys:
            if missing == "leave":
                yield Change("left", ("not-listed",), pupil, _left(pupil, day, days))
            elif not pupil.missing and pupil.origin == origin:
                yield Change("missing", ("not-listed",), pupil, replace(pupil, missing=1))
        elif pupil.state == "enrolled" and _is_over(pupil, today):
            yield Change("left", ("ended",), pupil, replace(pupil, state="left", missing=0))


def _is_over(pupil: KnownPupil, day: date) -> bool:
    return bool(pupil.enrolments) and all(piece.last is not None and piece.last < day for piece in pupil.enrolments)


def _clashing(known: Sequence[KnownPupil], changes: Sequence[Change]) -> tuple[list[Bad], list[Change]]:
    """Changes after which two pupils would have one code or city id."""
    after = {pupil.key: pupil for pupil in known}
    after |= {change.after.key: change.after for change in changes if change.after.key}
    pupils = [*after.values(), *(change.after for change in changes if not change.after.key)]
    codes = Counter(pupil.code for pupil in pupils if pupil.code)
    city_ids = Counter(pupil.city_id for pupil in pupils if pupil.city_id)
    bad: list[Bad] = []
    sound: list[Change] = []
    for change in changes:
        pupil, before = change.after, change.before
        new_code = before is None or before.code != pupil.code
        new_id = before is None or before.city_id != pupil.city_id
        if (new_code and codes[pupil.code or ""] > 1) or (new_id and city_ids[pupil.city_id or ""] > 1):
            line = PupilLine(pupil.name, None, code=pupil.code, city_id=pupil.city_id, where=change.where)
            owners = tuple(
                other.key
                for other in pupils
                if other is not pupil
                and ((new_code and other.code == pupil.code) or (new_id and other.city_id == pupil.city_id))
            )
            bad.append(Bad(line, "id-taken", owners))
        else:
            sound.append(change)
    return bad, sound


# --- the preview ------------------------------------------------------------------------------------------------------


def _guards(changes: Sequence[Change], gone: Sequence[KnownPupil], attending: int, *, empty: bool) -> Iterator[Guard]:
    share = max(1.0, GONE_SHARE_MAX * attending)
    leaving = {change.after.key for change in changes if change.kind == "left" and "ended" not in change.reasons}
    count = len(leaving | {pupil.key for pupil in gone})
    renamed = sum("name" in change.reasons for change in changes)
    moved = sum("class" in change.reasons for change in changes)
    if empty and attending:
        yield "empty"
    if count > GONE_COUNT_MAX or count > share:
        yield "many-gone"
    if moved > max(GONE_COUNT_MAX, MOVED_SHARE_MAX * attending):
        yield "many-moved"
    if renamed > GONE_COUNT_MAX or renamed > share:
        yield "many-renamed"


def _moves(changes: Iterable[Change], day: date) -> Iterator[ClassMove]:
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for change in changes:
        later = max((piece.first for piece in change.after.enrolments), default=day)
        before = None if change.before is None else class_on(change.before, day)
        after = class_on(change.after, max(day, later)) if change.kind != "left" else None
        if before != after:
            counts[before, after] += 1
    ordered = sorted(counts.items(), key=lambda item: (class_order(item[0][0] or ""), class_order(item[0][1] or "")))
    yield from (ClassMove(before, after, count) for (before, after), count in ordered)
