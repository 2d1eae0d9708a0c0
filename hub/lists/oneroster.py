"""A OneRoster CSV zip, bulk or delta, as pupils: who is there, in which class, who left. Pure.

OneRoster 1.2 CSV binding (IMS/1EdTech), with 1.1's `role` in users.csv, too. Files are taken by their names, columns by
their headers. Only pupils are taken, and of them no telephone, no address, no user id of any other system.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final, Literal

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY, beyond
from hub.fitting import name_problem, unfit
from hub.lists.cells import CELL_CHARACTERS_MAX, shown
from hub.lists.faults import Faults
from hub.lists.lines import PupilLine, Standing
from hub.lists.reading import Listed
from hub.lists.rows import class_problem, code_problem
from protocol.names import spelled

VERSIONS: Final = ("1.1", "1.2")
ROWS_MAX: Final = 100_000
"""Of one file: enrollments name each pupil in each lesson."""
TEXT_CHARACTERS_MAX: Final = 120
CODE_CHARACTERS_MAX: Final = 64
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("sourcedid", "givenname", "familyname"),
    "enrollments": ("sourcedid", "classsourcedid", "usersourcedid", "role"),
    "classes": ("sourcedid", "title"),
    "orgs": ("sourcedid", "name", "type"),
    "roles": ("sourcedid", "usersourcedid", "role"),
    "demographics": ("sourcedid",),
}
"""File -> columns that it must have. The first three must be there."""
ENDING: Final = frozenset(("no-version", "no-mode", "no-file", "no-column", "no-csv", "too-many-cells"))
SEXES: Final = {"male": "m", "female": "f"}
Mode = Literal["bulk", "delta", "absent"]
MODES: Final = ("bulk", "delta", "absent")


@dataclass(frozen=True, slots=True)
class Delivery(Listed[PupilLine]):
    """What was read. `complete`: a pupil who isn't in it is no pupil of the school."""

    complete: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of one file: its cells by lower-case header."""

    file: str
    number: int
    cells: Mapping[str, str]
    gone: bool
    changed_s: float

    @property
    def id(self) -> str:
        return self.cells["sourcedid"]

    def cell(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def where(self) -> str:
        return f"{self.file}, {self.number}"


def read_oneroster(source: str, members: Mapping[str, str], today: date) -> Delivery:
    """The pupils of a zip's CSVs, by file name in lower case."""
    return _Reading(source, members, today).read()


class _Reading:
    """One zip as it is read."""

    def __init__(self, source: str, members: Mapping[str, str], today: date) -> None:
        self._source, self._members, self._today = source, members, today
        self._faults = Faults(source)
        self._modes: dict[str, Mode] = {}
        self._whole = True
        self._faulty: set[str] = set()
        self._standing: set[str] = set()

    def read(self) -> Delivery:
        self._manifest()
        files = {name: self._entries(name) for name in NEEDED} if self._whole else {}
        lines = list(self._pupils(files)) if self._whole else []
        complete = all(self._modes.get(name) == "bulk" for name in ("users", "enrollments"))
        if not lines and complete and self._whole:
            self._wrong("no-rows", "users.csv", 1)
        return Delivery(self._source, "oneroster", tuple(lines), self._faults.all, (), self._read_files(), complete)

    def _read_files(self) -> tuple[str, ...]:
        return tuple(f"{name}.csv" for name, mode in self._modes.items() if mode != "absent")

    def _wrong(self, code: str, file: str, row: int, column: str = "", *about: str, said: str = "") -> None:
        self._faults.add(code, *about, sheet=file, row=row, header=column, said=said)
        # Without a sound manifest, or a column, the rest of the files says nothing.
        self._whole = self._whole and code not in ENDING

    def _manifest(self) -> None:
        told: dict[str, str] = {}
        for number, cells in self._lines("manifest.csv"):
            if number > 1 and len(cells) == 2:
                told[cells[0].strip().casefold()] = cells[1].strip()
        version = told.get("oneroster.version", "")
        if version not in VERSIONS:
            self._wrong("no-version", "manifest.csv", 0, "oneroster.version", version[:20] or "–")
        for name in NEEDED:
            mode = told.get(f"file.{name}", "absent" if name not in ("users", "enrollments", "classes") else "")
            if mode.casefold() not in MODES:
                self._wrong("no-mode", "manifest.csv", 0, f"file.{name}", f"file.{name}")
                continue
            self._modes[name] = mode.casefold()  # type: ignore[assignment]  # It is one of MODES.
            if self._modes[name] != "absent" and f"{name}.csv" not in self._members:
                self._wrong("no-file", "manifest.csv", 0, f"file.{name}", f"{name}.csv")
        if self._whole and self._modes["users"] == "absent" and self._modes["enrollments"] == "absent":
            self._wrong("no-file", "manifest.csv", 0, "file.users", "users.csv")

    def _lines(self, file: str) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._members[file], newline=""), strict=True)
        try:
            for number, cells in enumerate(reader, 1):
                if number > ROWS_MAX:
                    self._wrong("too-many-cells", file, number, "", str(ROWS_MAX), "200")
                    return
                yield number, cells
        except csv.Error as problem:
            self._wrong("no-csv", file, reader.line_num, "", str(reader.line_num), str(problem))

    def _entries(self, name: str) -> dict[str, _Entry]:
        """The lines of a file by sourcedId; of a delta's several about one the newest."""
        file, mode = f"{name}.csv", self._modes[name]
        found: dict[str, _Entry] = {}
        if mode == "absent":
            return found
        header: list[str] = []
        for number, cells in self._lines(file):
            if number == 1:
                header = [cell.strip().casefold() for cell in cells]
                for column in NEEDED[name]:
                    if column not in header:
                        self._wrong("no-column", file, 1, column, column)
                if not self._whole:
                    return found
            elif any(cell.strip() for cell in cells):
                entry = self._entry(file, number, header, cells, mode)
                if entry is None:
                    continue
                before = found.get(entry.id)
                if before is None or (mode == "delta" and entry.changed_s > before.changed_s):
                    found[entry.id] = entry
                elif mode == "bulk" or entry.changed_s == before.changed_s:
                    self._wrong("code-twice", file, number, "sourcedId", before.where)
        return found

    def _entry(self, file: str, number: int, header: list[str], cells: list[str], mode: Mode) -> _Entry | None:
        found = {column: spelled(cell) for column, cell in zip(header, cells, strict=False)}
        # Taken back below where the line is sound.
        self._faulty.add(found.get("sourcedid", ""))
        if len(cells) != len(header):
            self._wrong("cells-short", file, number, "", str(len(cells)), str(len(header)))
            return None
        if any(len(cell) > CELL_CHARACTERS_MAX for cell in cells):
            self._wrong("long-text", file, number, "", str(CELL_CHARACTERS_MAX))
            return None
        name = found["sourcedid"]
        problem = "missing" if not name else code_problem(name)
        if problem is not None or len(name) > CODE_CHARACTERS_MAX:
            self._wrong(problem or "too-long", file, number, "sourcedId", str(CODE_CHARACTERS_MAX))
            return None
        gone, changed_s = False, 0.0
        if mode == "delta":
            status = found.get("status", "").casefold()
            if status not in ("active", "tobedeleted"):
                self._wrong("no-status", file, number, "status", said=status[:40])
                return None
            gone, moment = status == "tobedeleted", _moment(found.get("datelastmodified", ""))
            if moment is None:
                self._wrong("no-moment", file, number, "dateLastModified")
                return None
            changed_s = moment
        self._faulty.discard(name)
        return _Entry(file, number, found, gone, changed_s)

    # --- pupils -------------------------------------------------------------------------------------------------------

    def _pupils(self, files: Mapping[str, Mapping[str, _Entry]]) -> Iterator[PupilLine]:
        enrolled: dict[str, list[_Entry]] = {}
        for entry in files["enrollments"].values():
            if entry.cell("role").casefold() == "student":
                enrolled.setdefault(entry.cell("usersourcedid"), []).append(entry)
        roles: dict[str, set[str]] = {}
        for role in files["roles"].values():
            if not role.gone:
                roles.setdefault(role.cell("usersourcedid"), set()).add(role.cell("role").casefold())
        self._one_school(files, enrolled)
        codes: dict[str, _Entry] = {}
        self._standing = {user.cell("identifier") for user in files["users"].values() if not user.gone}
        for user in files["users"].values():
            told = roles.get(user.id) or {user.cell("role").casefold()} - {""}
            if told and "student" not in told:
                continue
            unsure = not told and user.id not in enrolled
            if unsure and self._modes["users"] == "bulk":
                # Staff and parents: whoever has no role is a pupil by being in a class.
                continue
            line = self._pupil(user, enrolled.get(user.id, []), files)
            if line is not None and unsure:
                # A delta that renames somebody doesn't say again what they are.
                line = replace(line, only_known=True)
            if line is not None:
                if line.code is not None and (before := codes.setdefault(line.code, user)) is not user:
                    self._wrong("code-twice", user.file, user.number, "identifier", before.where)
                yield line
        if self._modes["users"] == "bulk":
            for user_id, entries in enrolled.items():
                if user_id not in files["users"] and user_id not in self._faulty:
                    self._wrong(
                        "no-such", entries[0].file, entries[0].number, "userSourcedId", "userSourcedId", "users.csv"
                    )
            return
        for user_id, entries in enrolled.items():
            if user_id not in files["users"]:
                # Of a pupil who didn't change a delta tells only the new class.
                school_class, since = self._class(entries, files, None)
                if school_class is not None:
                    yield PupilLine(None, school_class, city_id=user_id, state_day=since, where=entries[0].where)

    def _pupil(
        self, user: _Entry, entries: list[_Entry], files: Mapping[str, Mapping[str, _Entry]]
    ) -> PupilLine | None:
        parts = (user.cell("familyname"), user.cell("middlename"), user.cell("givenname"))
        name = " ".join(part for part in parts if part)
        if user.gone:
            # A code may be all by which the pupil is known; where a name is given it says whether it is they.
            code = user.cell("identifier") or None
            sound = code is not None and code_problem(code) is None
            # Whoever the school's system made anew has the code still.
            known_by = code if sound and code not in self._standing else None
            return PupilLine(name or None, None, "left", known_by, user.id, where=user.where)
        problem = "missing" if not name else unfit(name) or name_problem(name)
        if problem is None and len(name) > TEXT_CHARACTERS_MAX:
            self._wrong("too-long", user.file, user.number, "givenName", str(TEXT_CHARACTERS_MAX))
            return None
        if problem is not None:
            self._wrong(problem, user.file, user.number, "givenName")
            return None
        code = user.cell("identifier") or None
        if code is not None and (problem := code_problem(code)) is not None:
            self._wrong(problem, user.file, user.number, "identifier")
            return None
        school_class, since = self._class(entries, files, user)
        state: Standing = "attending"
        person = files["demographics"].get(user.id)
        birth = None if person is None else self._birth(person)
        sex = None if person is None else SEXES.get(person.cell("sex").casefold())
        return PupilLine(name, school_class, state, code, user.id, None, birth, sex, since, (), user.where)

    def _class(
        self, entries: list[_Entry], files: Mapping[str, Mapping[str, _Entry]], user: _Entry | None
    ) -> tuple[str | None, date | None]:
        """The class that a pupil belongs to, and since when: the homeroom, else the primary one, else the only one."""
        known: dict[str, tuple[_Entry, _Entry]] = {}
        for entry in entries:
            if entry.gone or self._is_over(entry):
                continue
            lesson = files["classes"].get(entry.cell("classsourcedid"))
            if lesson is None and entry.cell("classsourcedid") in self._faulty:
                return None, None
            if lesson is None or lesson.gone:
                self._wrong("no-such", entry.file, entry.number, "classSourcedId", "classSourcedId", "classes.csv")
                return None, None
            known[lesson.id] = entry, lesson
        found = list(known.values())
        homerooms = [pair for pair in found if pair[1].cell("classtype").casefold() == "homeroom"]
        primaries = [pair for pair in found if pair[0].cell("primary").casefold() == "true"]
        chosen = homerooms or primaries or found
        if len(chosen) > 1:
            entry, titles = chosen[1][0], [pair[1].cell("title") for pair in chosen]
            self._wrong("two-homerooms", entry.file, entry.number, "classSourcedId", *titles[:2])
            return None, None
        if not chosen:
            bulk = self._modes["users"] == "bulk"
            if user is not None and bulk:
                self._wrong("no-homeroom", user.file, user.number)
            elif any(entry.gone for entry in entries):
                self._wrong("class-ended", entries[0].file, entries[0].number)
            return None, None
        entry, lesson = chosen[0]
        title = lesson.cell("title")
        problem = "missing" if not title else class_problem(title) or unfit(title)
        if problem is not None or len(title) > TEXT_CHARACTERS_MAX:
            self._wrong(
                problem or "too-long", lesson.file, lesson.number, "title", str(TEXT_CHARACTERS_MAX), said=title[:40]
            )
            return None, None
        since = _day(entry.cell("begindate"))
        if since is not None and beyond(since) is not None:
            days = map(shown, (FIRST_DAY, LAST_DAY))
            self._wrong("day-range", entry.file, entry.number, "beginDate", *days, said=shown(since))
            return None, None
        return title, since

    def _is_over(self, entry: _Entry) -> bool:
        last = _day(entry.cell("enddate"))
        return last is not None and last < self._today

    def _birth(self, person: _Entry) -> date | None:
        text = person.cell("birthdate")
        birth = _day(text)
        if text and (birth is None or not birth.year > 1945 or birth > self._today):
            self._wrong("no-day", person.file, person.number, "birthDate", said=text[:40])
            return None
        return birth

    def _one_school(self, files: Mapping[str, Mapping[str, _Entry]], enrolled: Mapping[str, list[_Entry]]) -> None:
        schools = {
            entry.cell("schoolsourcedid") for entries in enrolled.values() for entry in entries if not entry.gone
        } - {""}
        if len(schools) > 1:
            self._wrong("several-schools", "enrollments.csv", 0, "schoolSourcedId", str(len(schools)))
        orgs = files["orgs"]
        if self._modes["orgs"] == "bulk" and schools - set(orgs):
            self._wrong("no-such", "enrollments.csv", 0, "schoolSourcedId", "schoolSourcedId", "orgs.csv")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> float | None:
    """A moment, Unix s; without an offset it is UTC, as the binding says."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
