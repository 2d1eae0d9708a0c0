"""The verdict: a pack counted again from its records, and the first thing that is otherwise named. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from hub.meals.mealdays import PupilMeal
from hub.meals.servings import Serving
from hub.recount.counting import Count, Month, Note, count
from hub.recount.facts import Facts, facts_from
from hub.recount.manifest import (
    COUNTED,
    FACTS,
    MANIFEST,
    MEALS,
    MONTHS,
    NOTES,
    RECORDS,
    SERVINGS,
    SIGNATURE,
    Manifest,
    file_problems,
    manifest_from,
    signature_problem,
)
from hub.recount.records import BAD_MAX, Problem, Records, read_records
from protocol.errors import BadMessage
from protocol.signing import fingerprint

VALID: Final = 0
BAD: Final = 1
UNREADABLE: Final = 2
NAMED_MAX: Final = 5
"""Files that the last line names."""
_encoder = msgspec.json.Encoder(order="deterministic")
T = TypeVar("T", Serving, PupilMeal)
PLACES: Final = ("pupil", "adult", "day", "meal", "shift", "device", "point")
"""Of a serving or a pupil's meal: whose, which meal's and where it is. What is otherwise in these was moved."""


@dataclass(slots=True)
class Verdict:
    """What was found: lines for people; problems, the first one first; 0 valid, 1 bad, 2 not to be read at all."""

    lines: list[str] = field(default_factory=list)
    bad: list[Problem] = field(default_factory=list)
    exit_code: int = VALID

    def as_json(self) -> dict[str, Any]:
        """The same for programs; `first_bad` names a record, serving, meal, month or file, or is null."""
        return {
            "valid": self.exit_code == VALID,
            "first_bad": self.bad[0].about if self.bad else None,
            "bad": [{"record": one.about, "problem": one.what} for one in self.bad],
            "through": {},
            "lines": self.lines,
        }


def counted_files(found: Count) -> dict[str, bytes]:
    """What was counted as files of a pack: a line for each serving, and for each pupil's meal of a day."""
    return {
        SERVINGS: b"".join(_encoder.encode(one) + b"\n" for one in found.servings),
        MEALS: b"".join(_encoder.encode(one) + b"\n" for one in found.meals),
        MONTHS: _document(found.months),
        NOTES: _document(found.notes),
    }


def _document(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"


def verify_contents(contents: Mapping[str, bytes], hub_key: str | None = None) -> Verdict:
    """Judge a pack. `hub_key`: the school's hub's public key or its fingerprint, from elsewhere. Raises nothing."""
    manifest = None
    try:
        manifest = manifest_from(contents[MANIFEST])
        facts = facts_from(contents[FACTS])
        records = read_records(contents, manifest.journals, facts.keys)
        return judged(contents, facts, records, count(facts, records.events), hub_key)
    except KeyError as problem:
        return Verdict([f"UNREADABLE {problem.args[0]}: the pack has no such file"], exit_code=UNREADABLE)
    except BadMessage as problem:
        unlike = () if manifest is None else _unlike(*_held_to(manifest, contents, hub_key))
        told = [f"BAD {one.about}: {one.what}" for one in islice(unlike, BAD_MAX)]
        return Verdict([f"UNREADABLE {problem}", *told], exit_code=UNREADABLE)


def judged(
    contents: Mapping[str, bytes], facts: Facts, records: Records, recount: Count, hub_key: str | None = None
) -> Verdict:
    """The verdict on a pack whose records were counted already. Raises BadMessage, KeyError."""
    manifest = manifest_from(contents[MANIFEST])
    files, forged = _held_to(manifest, contents, hub_key)
    problems = [*_unlike(files, forged), *records.problems]
    problems += [Problem(name, f"it can't be understood: {why}") for name, why in recount.refused]
    problems += _differences(contents, recount)
    problems += _whole(manifest, recount, len(records.events))
    problems += [Problem(name, what) for name, what in files.items() if _by_line(name)]
    if facts.school != manifest.school or facts.month != manifest.month:
        problems.append(Problem(FACTS, "it is of another school or month than the manifest"))
    verdict = Verdict([], problems[:BAD_MAX], BAD if problems else VALID)
    verdict.lines += [f"BAD {one.about}: {one.what}" for one in verdict.bad]
    verdict.lines += _told(manifest, recount, sum(records.unsigned.values()), len(records.events))
    if facts.waits:
        verdict.lines.append(
            f"NOTE when it was made, records of these counters were waited for: {', '.join(facts.waits)}"
        )
    verdict.lines.append(_whose(fingerprint(manifest.key), files, forged, known=hub_key is not None))
    return verdict


def _held_to(
    manifest: Manifest, contents: Mapping[str, bytes], hub_key: str | None
) -> tuple[dict[str, str], str | None]:
    """Files that aren't as the manifest lists them, with what is wrong; and what is wrong with its signature."""
    forged = signature_problem(manifest, contents[MANIFEST], contents.get(SIGNATURE, b""), hub_key)
    return dict(file_problems(manifest, contents)), forged


def _unlike(files: Mapping[str, str], forged: str | None) -> Iterator[Problem]:
    """What isn't as the hub signed it, of all that the count rests on: named first, since the rest follows from it.

    Records and what was counted have lines of their own, which are named one by one.
    """
    if forged is not None:
        yield Problem(MANIFEST, forged)
    if FACTS in files:
        yield Problem(FACTS, f"{files[FACTS]}; all that follows is counted from changed facts")
    yield from (Problem(name, what) for name, what in files.items() if name != FACTS and not _by_line(name))


def _by_line(name: str) -> bool:
    return name.startswith((RECORDS, COUNTED))


def _whose(mine: str, files: Mapping[str, str], forged: str | None, *, known: bool) -> str:
    """Whose signature proves the pack, by their fingerprint; or that what was signed is something else."""
    if forged is not None:
        return "no signature of the hub proves this pack"
    if files:
        more = f" and {len(files) - NAMED_MAX} more" if len(files) > NAMED_MAX else ""
        return f"the hub with the fingerprint {mine} signed other files: {', '.join(sorted(files)[:NAMED_MAX])}{more}"
    if not known:
        words = "compare it with the school's (k12edge hub keys show)"
        return f"signed by the hub with the fingerprint {mine}: {words}"
    return f"signed by the hub with the fingerprint {mine}, which is the one that was given"


def _whole(manifest: Manifest, recount: Count, records: int) -> Iterator[Problem]:
    """What the manifest counts against what was counted."""
    for name, mine in counts_of(recount, records).items():
        told = manifest.counts.get(name)
        if told != mine:
            yield Problem(MANIFEST, f"it counts {told} {name}, the pack has {mine}")


def counts_of(recount: Count, records: int) -> dict[str, int]:
    """What a manifest counts."""
    return {"records": records, "servings": len(recount.servings), "meals": len(recount.meals)}


def _told(manifest: Manifest, recount: Count, unsigned: int, records: int) -> Iterator[str]:
    yield (
        f"{manifest.school} {manifest.month}: {records} records, {len(recount.servings)} servings,"
        f" {len(recount.meals)} meal days counted again by rules {manifest.rules}"
    )
    for meal, month in recount.months.items():
        eaten = sum(days.eaten for days in month.pupils.values())
        unsure = sum(days.unconfirmed for days in month.pupils.values())
        charged = sum(days.chargeable for days in month.pupils.values())
        yield f"{meal}: {len(month.pupils)} pupils, {eaten} eaten, {unsure} unconfirmed, {charged} chargeable"
    if unsigned:
        yield f"NOTE {unsigned} records are proven by the hub's signature alone, by none of their counters"
    yield from (f"NOTE {note.about}: {note.told}" for note in recount.notes[:BAD_MAX])


# --- differences ------------------------------------------------------------------------------------------------------


def _differences(contents: Mapping[str, bytes], recount: Count) -> Iterator[Problem]:
    """What the pack says was counted, against the count."""
    yield from _lines_differ(contents.get(SERVINGS, b""), recount.servings, Serving, _serving_key, _serving_name)
    yield from _lines_differ(contents.get(MEALS, b""), recount.meals, PupilMeal, _meal_key, _meal_name)
    yield from _months_differ(contents.get(MONTHS, b""), recount)
    yield from _notes_differ(contents.get(NOTES, b""), recount.notes)


def _serving_key(one: Serving) -> str:
    return f"{one.tap} {one.pupil or ''}"


def _serving_name(one: Serving) -> str:
    return f"serving {one.tap[:60]}"


def _meal_key(one: PupilMeal) -> str:
    return f"{one.day} {one.meal} {one.pupil}"


def _meal_name(one: PupilMeal) -> str:
    return f"meal {one.day} {one.meal} {one.pupil[:80]}"


def _lines_differ(
    octets: bytes, mine: Sequence[T], shape: type[T], key: Callable[[T], str], name: Callable[[T], str]
) -> Iterator[Problem]:
    """A file of lines against what was counted: what was added, removed, changed, or stands elsewhere."""
    expected = [_encoder.encode(one) for one in mine]
    lines = octets.split(b"\n")[:-1] if octets.endswith(b"\n") else octets.split(b"\n") if octets else []
    if lines == expected:
        return
    by_key = {key(one): one for one in mine}
    read = list(_read(lines, shape))
    keys = {key(one) for one in read if not isinstance(one, Problem)}
    removed = [one for one in mine if key(one) not in keys]
    moved = _moves([one for one in read if not isinstance(one, Problem) and key(one) not in by_key], removed, key)
    seen: set[str] = set()
    told = 0
    for one in read:
        if isinstance(one, Problem):
            found: Problem | None = one
        else:
            mark = key(one)
            what = _line_problem(one, by_key.get(mark, moved.get(mark)), twice=mark in seen)
            seen.add(mark)
            found = None if what is None else Problem(name(one), what)
        if found is not None:
            yield found
            told += 1
        if told > BAD_MAX:
            return
    gone = {key(one) for one in moved.values()}
    for one in removed:
        if key(one) not in gone:
            yield Problem(name(one), f"it was removed: the records have it{_at(one)}")
            told += 1
    if not told:
        number = next((n for n, (a, b) in enumerate(zip(lines, expected, strict=False), 1) if a != b), len(lines))
        yield Problem(f"{_file_of(shape)} line {number}", "the lines stand in another order, or are written otherwise")


def _read(lines: Sequence[bytes], shape: type[T]) -> Iterator[T | Problem]:
    """Each line, or why it can't be read."""
    decoder = msgspec.json.Decoder(shape)
    for number, line in enumerate(lines, 1):
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, RecursionError, ValueError) as problem:
            yield Problem(f"{_file_of(shape)} line {number}", f"it can't be read: {str(problem)[:200]}")


def _moves(added: Sequence[T], removed: Sequence[T], key: Callable[[T], str]) -> dict[str, T]:
    """Key of a line that no record comes to -> the one that is missing and rests on the same records: it was moved.

    Only where there is one of each; of more nobody can say which became which.
    """
    came: dict[object, list[T]] = defaultdict(list)
    gone: dict[object, list[T]] = defaultdict(list)
    for some, found in ((added, came), (removed, gone)):
        for one in some:
            if rests_on := _rests_on(one):
                found[rests_on].append(one)
    return {key(some[0]): gone[on][0] for on, some in came.items() if len(some) == 1 == len(gone.get(on, ()))}


def _rests_on(one: Serving | PupilMeal) -> object:
    return one.tap if isinstance(one, Serving) else one.servings


def _file_of(shape: type[Any]) -> str:
    return SERVINGS if shape is Serving else MEALS


def _at(one: Serving | PupilMeal) -> str:
    return f", {one.day} {one.meal}"


def _line_problem(one: Any, known: Any, *, twice: bool) -> str | None:
    if twice:
        return "it stands there twice"
    if known is None:
        return f"it was added: no record comes to it{_at(one)}"
    if one == known:
        return None
    told = "; ".join(_fields_differ(one, known))
    places = [name for name in PLACES if getattr(one, name, None) != getattr(known, name, None)]
    return f"it was moved ({', '.join(places)}): {told}" if places else told


def _fields_differ(one: Any, known: Any) -> Iterable[str]:
    for name in one.__struct_fields__:
        said, right = getattr(one, name), getattr(known, name)
        if said != right:
            yield f"{name} is {str(said)[:80]!r}, by the records {str(right)[:80]!r}"


def _months_differ(octets: bytes, recount: Count) -> Iterator[Problem]:
    try:
        theirs = msgspec.json.decode(octets, type=dict[str, Month])
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        yield Problem(MONTHS, f"it can't be read: {str(problem)[:200]}")
        return
    for meal in sorted(theirs.keys() | recount.months.keys()):
        mine = next((month for name, month in recount.months.items() if name == meal), None)
        said = theirs.get(meal)
        if mine is None or said is None:
            where = "it was added: no record comes to it" if mine is None else "it was removed: the records have it"
            yield Problem(f"month {meal[:40]}", where)
            continue
        for pupil in sorted(said.pupils.keys() | mine.pupils.keys()):
            one, known = said.pupils.get(pupil), mine.pupils.get(pupil)
            if one is None or known is None:
                what = "the records don't have this pupil" if known is None else "the records have this pupil"
                yield Problem(f"month {meal} {pupil[:80]}", what)
            elif one != known:
                yield Problem(f"month {meal} {pupil}", "; ".join(_fields_differ(one, known)))
        if said.evidence != mine.evidence:
            yield Problem(f"month {meal}", "its evidence isn't the digest of what the records come to")


def _notes_differ(octets: bytes, mine: Sequence[Note]) -> Iterator[Problem]:
    try:
        theirs = msgspec.json.decode(octets, type=list[Note])
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        yield Problem(NOTES, f"it can't be read: {str(problem)[:200]}")
        return
    theirs, mine = ([msgspec.structs.replace(one, classes="") for one in notes] for notes in (theirs, mine))
    for one in theirs:
        if one not in mine:
            yield Problem(
                f"{one.what[:20]} {one.about[:80]}", f"the pack notes, and the count doesn't: {one.detail[:200]}"
            )
    for one in mine:
        if one not in theirs:
            yield Problem(f"{one.what} {one.about}", f"{one.detail}; the pack doesn't note it")
