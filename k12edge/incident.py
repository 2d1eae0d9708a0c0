"""`k12edge incident`: the pack of a meal's eaters from the counters' own journals, where no hub can be asked."""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.pile import Pile, pile_of
from edge.sheetbeside import sheet_beside
from host.machine import Machine
from hub.incidents.asking import HOURS, IncidentRefused, Scope, hours_before, meals_between, scope_of, ticks_from
from hub.incidents.files import FORMS, File, Form, files_of
from hub.incidents.journals import Found, Volume, known_of, plans_in
from hub.incidents.manifest import Manifest, manifest_bytes, manifest_from, manifest_of
from hub.incidents.pack import Asked, Pack, incident_pack, meals_that_were
from hub.incidents.tables import Issue
from hub.incidents.versions import difference, kept_of
from hub.incidents.words import WORDS, origin_text
from hub.meals.sittings import DAY_MS, WEEK, day_of, midnight_of
from hub.papers import PaperRefused, read_paper, write_paper
from protocol.countersheet import CounterSheet
from protocol.errors import BadMessage

LIBRARIES: Final[Mapping[Form, str]] = {"pdf": "reportlab", "xlsx": "xlsxwriter"}
"""What a file needs beside the program; a gateway has neither, and its CSV says all."""
NOWHERE: Final = "Give the counters' data folders, their copies or journal files, as they are on this machine."
MANIFESTS_MAX: Final = 1_000
"""Manifests that are looked through in a folder."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the command was asked; `ill` is the file of ticks."""

    paths: Sequence[Path]
    out: Path
    words: Mapping[str, str | None]
    ill: Path | None
    drill: bool
    by: str


def incident(asking: Asking, machine: Machine | None = None) -> Iterator[str]:
    """Make the files; what was made as lines. Raises IncidentRefused."""
    machine = machine or Machine()
    began_ns, now_ms = machine.boottime_ns(), machine.wall_ns() // 1_000_000
    words = dict(asking.words)
    if not any(words.get(name) for name in ("meal", "last_hours")):
        words["last_hours"] = str(HOURS)
    scope = scope_of(words, day_of(now_ms))
    if not any(path.exists() for path in asking.paths):
        # A mistyped folder, and a list that says that nobody ate.
        raise IncidentRefused("there is nothing at {paths}", paths=", ".join(map(str, asking.paths)), hint=NOWHERE)
    sheets, troubles = _sheets(asking.paths)
    from_ms, until_ms = _span(scope, now_ms)
    found = _found(pile_of(asking.paths, from_ms, until_ms), sheets, troubles)
    pack = _pack(found, _meals(scope, found, from_ms, until_ms), asking.ill)
    before = _before(asking.out, scope, asking.drill)
    issue = Issue(
        1 if before is None else before.number + 1,
        sheets[0].school if sheets else "–",
        now_ms,
        asking.by,
        (machine.boottime_ns() - began_ns) // 1_000_000,
        asking.drill,
        f"{scope.hours} h" if scope.kind == "hours" else "",
        "journals",
        None if before is None else tuple(difference(before.kept, kept_of(pack))),
    )
    forms = [form for form in FORMS if form not in LIBRARIES or find_spec(LIBRARIES[form]) is not None]
    files = files_of(pack, issue, scope.stem(issue.number, drill=asking.drill), forms=forms)
    took_ms = (machine.boottime_ns() - began_ns) // 1_000_000
    manifest = manifest_of(scope, pack, issue, files, took_ms)
    files.append(File(f"{scope.stem(issue.number, drill=asking.drill)}.json", manifest_bytes(manifest)))
    written = write_files(asking.out, files)
    yield from _told(pack, written, took_ms, sorted(set(FORMS) - set(forms)))


def _span(scope: Scope, now_ms: int) -> tuple[int, int]:
    """From when to when records matter."""
    if scope.kind == "meal":
        midnight_ms = midnight_of(scope.day)
        return midnight_ms, midnight_ms + DAY_MS
    return hours_before(scope, now_ms)


def _meals(scope: Scope, found: Found, from_ms: int, until_ms: int) -> list[Asked]:
    if scope.kind == "meal":
        assert scope.meal is not None
        return [(scope.day, scope.meal)]
    asked = meals_between(plans_in(found), from_ms, until_ms)
    known = known_of(found, asked)
    # No journal says on which weekdays a school eats: on others, and of none of whom a sheet tells, only by a serving.
    had = {one for one in asked if one[0].weekday() in WEEK or known.expected.get(one)}
    return meals_that_were(known, had)


def _sheets(paths: Sequence[Path]) -> tuple[list[CounterSheet], list[tuple[str, str, str]]]:
    found = [sheet_beside(path) for path in paths]
    sheets = sorted((sheet for sheet, _ in found if sheet is not None), key=lambda sheet: -sheet.version)
    # Where one gateway's sheet opens, nobody misses another's.
    return sheets, [] if sheets else [("*", "no-names", why) for _, why in found if why]


def _found(pile: Pile, sheets: Sequence[CounterSheet], troubles: Sequence[tuple[str, str, str]]) -> Found:
    faults = [(fault.where, str(fault.code), fault.about) for fault in pile.faults]
    return Found(volumes_of(pile), pile.timelines, (*faults, *troubles), sheets)


def _pack(found: Found, asked: Sequence[Asked], ill: Path | None) -> Pack:
    known = known_of(found, asked)
    if ill is not None:
        known = replace(known, ill=ticks_from(str(ill), read_paper(ill), known.roll))
    try:
        return incident_pack(known)
    except ValueError as problem:
        raise IncidentRefused(str(problem), hint="Ask meal by meal.") from problem


def volumes_of(pile: Pile) -> list[Volume]:
    """The journals of a pile as a pack is made of them."""
    return [
        Volume(
            book.journal,
            book.source,
            book.held.last if book.held else book.pruned_through,
            book.near,
            book.pruned_through,
            tuple(book.holes()),
            book.before,
            book.opened,
            book.newest,
        )
        for book in pile.books.values()
    ]


def _before(out: Path, scope: Scope, drill: bool) -> Manifest | None:
    """The newest version of the same in the folder where the files go; a drill and the real thing count apart."""
    found: Manifest | None = None
    for path in sorted(out.glob("*.json"))[:MANIFESTS_MAX]:
        try:
            manifest = manifest_from(path.read_bytes())
        except (BadMessage, OSError):
            continue
        if (manifest.scope, manifest.drill) == (scope.key, drill) and (found is None or manifest.number > found.number):
            found = manifest
    return found


def make_room(out: Path) -> None:
    """The folder where files will go, made where it is missing, and tried. Raises PaperRefused."""
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise PaperRefused(f"{out} can't be made: {problem.strerror}") from problem
    tried = out / f".{secrets.token_hex(8)}"
    write_paper(tried, b"")
    tried.unlink(missing_ok=True)


def write_files(out: Path, files: Sequence[File]) -> list[Path]:
    """New files in a folder that is made where it is missing; only their owner reads them. Raises PaperRefused."""
    make_room(out)
    for file in files:
        write_paper(out / file.name, file.octets)
    return [out / file.name for file in files]


def _told(pack: Pack, written: Sequence[Path], took_ms: int, missing: Sequence[str]) -> Iterator[str]:
    """What was made, and what is missing, for whoever stands there."""
    counts = pack.counts()
    yield f"{counts['pupils']} học sinh đã ăn / pupils ate ({took_ms / 1000:.1f} s)"
    yield ", ".join(f"{name} {count}" for name, count in counts.items() if count and name != "pupils")
    for origin in pack.known.origins:
        text = "đủ / complete" if origin.complete else origin_text(origin.words, "vi")
        yield f"  {origin.name}: {text}"
    if not pack.complete:
        yield "CHƯA ĐỦ DỮ LIỆU / INCOMPLETE"
    yield f"  {WORDS['vi']['hub']} / hub: {WORDS['vi']['hub-only']} / {WORDS['en']['hub-only']}"
    yield from (str(path) for path in written)
    if missing:
        yield f"{', '.join(missing)}: cần thư viện của máy chủ / needs the hub's libraries (k12edge[hub]); CSV says all"


def unzipped(archive: bytes) -> list[File]:
    """The files that a hub handed over as one."""
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        return [File(Path(entry.filename).name, found.read(entry)) for entry in found.infolist()]
