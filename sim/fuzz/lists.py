"""The lists that people bring: CSVs of every kind, OneRoster's files, Excel books opened by a process of their own."""

from __future__ import annotations

import io
import itertools
import zipfile
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

from hub.fitting import unfit
from hub.lists.cells import SHOWN_CHARACTERS_MAX
from hub.lists.changes import applied, plan
from hub.lists.emptybook import empty_book
from hub.lists.faults import Fault, ListRefused
from hub.lists.oneroster import read_oneroster
from hub.lists.people import LINE_CHARACTERS_MAX, People, read_people
from hub.lists.reading import Listed, read_list
from hub.lists.rows import code_problem
from hub.lists.sheets import read_sheets
from hub.lists.templates import PUPILS, TEMPLATES
from sim.emulators.oldbook import old_book
from sim.fuzz.mutator import TEXTS, Mutator, sound_bytes, sound_text
from sim.fuzz.parser import Parser, must

TODAY: Final = date(2026, 11, 26)
ROWS: Final = (
    ("3/2", "7901", "Nguyễn Văn An", "05/09/2018", "Nam", "Đang học", "01/09/2026", ""),
    ("8.10", "0012", "Trần Thị Bình", "2018-01-31", "Nữ", "Chuyển đi", "01/10/2026", ""),
    ("12A7", "HS 3", "Đặng Hoà", "", "", "", "", "c-3"),
)
TOKENS: Final = (
    *(text.encode() for text in TEXTS), b'"', b";", b",", b"\r", b"079215001234", b"79215001234", b"3-Feb",
    b"31/02/2018", b"01/01/1900", b"31/12/9999", b"8.1", b"=cmd()", "\u202eAn".encode(), "Đang học".encode(), b"sep=;",
    b"7.9E+11",
)  # fmt: skip


def _sheet(rows: tuple[tuple[str, ...], ...], separator: str) -> bytes:
    header = tuple(column.headers[0] for column in PUPILS.columns)
    return "\n".join(separator.join(row) for row in (header, *rows, ("", "", "Tổng cộng: 3"))).encode()


def _examined(found: People | Listed[Any]) -> None:
    """What must hold of anything that was read; raises ListRefused where it isn't sound."""
    for fault in found.faults:
        must(fault.vi and fault.en and str(fault), "a fault without words")
        must(len(fault.said) <= max(SHOWN_CHARACTERS_MAX, LINE_CHARACTERS_MAX), "a fault quotes at length")
    if not found.sound:
        # The line that raises counts as the way of refusal: one for each of the first code.
        _refuse(next(fault for fault in found.faults if fault.stops))


def _refuse(fault: Fault) -> None:
    raise ListRefused(fault)


def _follow(people: People) -> None:
    """The plan that the list makes, applied, leaves nothing to do."""
    for line in people.pupils:
        must(line.name is None or unfit(line.name) is None, "a name that hides something")
        must(line.code is None or code_problem(line.code) is None, "a code that is a personal number")
    numbers = itertools.count()
    made = plan([], people.pupils, TODAY, complete=people.complete)
    known = applied([], made.changes, lambda: f"k{next(numbers)}")
    must(
        made.bad or plan(known, people.pupils, TODAY, complete=people.complete).empty,
        "the second time changes something",
    )


class Lists(Parser):
    """`lists`: pupils and every other list as CSV, by one of the separators; a plan that is applied once."""

    name = "lists"
    refusals = (ListRefused,)
    every = 5

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        sheets = [_sheet(ROWS, separator) for separator in ",;\t"]
        sheets.append(b"pupil_key,display_name,class,card_uid\nst-1,An,6A1,04A1B2C3D4E580\nst-2,Hoa,6A1,\n")
        self._pupils = Mutator([sound_text(sheet) for sheet in sheets], TOKENS)
        others = [
            ";".join(column.headers[0] for column in template.columns)
            + "\n" + ";".join(column.example or "1" for column in template.columns) + "\n"
            for template in TEMPLATES.values()
        ]  # fmt: skip
        words = [told[0].encode() for one in TEMPLATES.values() for c in one.columns for told in c.words.values()]
        self._others = Mutator([sound_text(text.encode()) for text in others], (*TOKENS, *words))

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        if rng.random() < 0.7:
            return b"\0" + self._pupils.mutated(rng)
        return bytes((int(rng.random() * len(TEMPLATES)),)) + self._others.mutated(rng)

    def take(self, octets: bytes) -> People | Listed[Any]:
        """See Parser."""
        template = list(TEMPLATES.values())[octets[0]]
        found: People | Listed[Any]
        if template is PUPILS:
            found = read_people("f.csv", octets[1:], TODAY)
        else:
            book = read_sheets("f.csv", octets[1:])
            found = read_list(template, "f.csv", book.sheets, TODAY, book.hidden, tuple(TEMPLATES.values()))
        _examined(found)
        return found

    def follow(self, octets: bytes, taken: People | Listed[Any]) -> None:
        """See Parser."""
        if isinstance(taken, People):
            _follow(taken)


class OneRosters(Parser):
    """`oneroster`: the CSVs of a zip, bulk and delta."""

    name = "oneroster"
    refusals = (ListRefused,)
    every = 5
    FILES = ("manifest.csv", "users.csv", "enrollments.csv", "classes.csv", "orgs.csv", "demographics.csv")
    BULK = (
        b"propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,bulk\nfile.enrollments,bulk\n"
        b"file.classes,bulk\nfile.orgs,bulk\nfile.demographics,bulk\n",
        b"sourcedId,status,dateLastModified,givenName,familyName,middleName,identifier\nu1,,,An,Le,Van,7901\nu2,,,B,T,,\n",
        b"sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate\n"
        b"e1,,,c1,o1,u1,student,true,2026-09-01,\ne2,,,c2,o1,u2,student,,,\n",
        b"sourcedId,status,dateLastModified,title,classType\nc1,,,3/2,homeroom\nc2,,,8.10,homeroom\n",
        b"sourcedId,name,type\no1,Kim Dong,school\n",
        b"sourcedId,birthDate,sex\nu1,2018-09-05,female\n",
    )

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        moment = b",active,2026-11-25T10:00:00Z,"
        deltas = tuple(
            text.replace(b"bulk", b"delta") if place == 0 else text.replace(b",,,", moment)
            for place, text in enumerate(self.BULK)
        )
        tokens = (
            *TOKENS,
            b"delta",
            b"bulk",
            b"absent",
            b"tobedeleted",
            b"active",
            b"u1",
            b"c2",
            b"student",
            b"2026-13-01",
        )
        self._mutators = [
            Mutator([sound_text(bulk), sound_text(delta)], tokens)
            for bulk, delta in zip(self.BULK, deltas, strict=True)
        ]
        self._sound = (self.BULK, deltas)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        sound = list(self._sound[int(rng.random() * 2)])
        for place, mutator in enumerate(self._mutators):
            if rng.random() < 0.3:
                sound[place] = mutator.mutated(rng)[:65_535]
        return b"".join(len(text).to_bytes(2, "big") + text for text in sound)

    def take(self, octets: bytes) -> People:
        """See Parser."""
        members: dict[str, str] = {}
        at = 0
        for name in self.FILES:
            size = int.from_bytes(octets[at : at + 2], "big")
            members[name] = octets[at + 2 : at + 2 + size].decode("utf-8", "replace")
            at += 2 + size
        found = read_oneroster("f.zip", members, TODAY)
        people = People("f.zip", "oneroster", found.lines, found.faults, found.complete)
        _examined(people)
        return people

    def follow(self, octets: bytes, taken: People) -> None:
        """See Parser."""
        _follow(taken)


class Books(Parser):
    """`books`: damaged Excel books, old and new; whatever they do to their reader, a list or a refusal comes of it."""

    name = "books"
    refusals = (ListRefused,)
    share = 500
    # Only the asking counts here; the process that reads has limits of its own.
    cpu_ms_max = 500.0

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._new = empty_book(PUPILS, ROWS)
        with zipfile.ZipFile(io.BytesIO(self._new)) as packed:
            self._members = {name: packed.read(name) for name in packed.namelist()}
        self._texts = {name: Mutator([sound_text(text)], TOKENS) for name, text in self._members.items()}
        header = tuple(column.headers[0] for column in PUPILS.columns)
        self._old = Mutator([sound_bytes(old_book([header, *ROWS]))])
        self._bytes = Mutator([sound_bytes(self._new)])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        kind = rng.random()
        if kind < 0.3:
            return self._old.mutated(rng)
        if kind < 0.5:
            return self._bytes.mutated(rng)
        names = sorted(self._members)
        changed = {names[int(rng.random() * len(names))] for _ in range(2)}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as packed:
            for name, text in self._members.items():
                # A date of its own would make another input of the same seed each time.
                entry = zipfile.ZipInfo(name, (2026, 11, 26, 0, 0, 0))
                packed.writestr(entry, self._texts[name].mutated(rng) if name in changed else text)
        return stream.getvalue()

    def take(self, octets: bytes) -> People:
        """See Parser."""
        people = read_people("f.xlsx", octets, TODAY)
        _examined(people)
        return people

    def follow(self, octets: bytes, taken: People) -> None:
        """See Parser."""
        _follow(taken)
