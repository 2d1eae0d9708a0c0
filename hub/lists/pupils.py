"""The pupils' list, C1-HocSinh and those like it: its template read, and what only the whole list shows. Pure.

Every school has C1-HocSinh. Telephones, addresses, parents and the personal number (12 digits; it tells sex, birth year
and place) stand in it, too; those columns are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from hub.lists.cells import Sheet
from hub.lists.columns import Template
from hub.lists.lines import PupilLine
from hub.lists.reading import Found, Listed, read_list
from hub.lists.rows import Row, plain
from hub.lists.templates import PUPILS, TEMPLATES

CLASS_PUPILS_MAX: Final = 60
"""Larger than any class (Circular 28/2020/TT-BGDĐT: at most 35, 45 from grade 6 on), with room for crowded schools."""


def read_pupils(source: str, sheets: Sequence[Sheet], today: date, hidden: Sequence[str] = ()) -> Listed[PupilLine]:
    """All tables of pupils in a file."""
    others: list[Template] = [template for template in TEMPLATES.values() if template is not PUPILS]
    return read_list(PUPILS, source, sheets, today, hidden, others, _examined)


def _examined(found: list[Found]) -> None:
    """What is worth a look, and stops nothing."""
    people: dict[tuple[str | None, date, str | None], Row] = {}
    classes: dict[str, list[Found]] = {}
    spellings: dict[str, str] = {}
    for each in found:
        line: PupilLine = each.line
        if line.state != "attending" or line.school_class is None:
            continue
        classes.setdefault(line.school_class, []).append(each)
        if line.birth is not None:
            before = people.setdefault((line.name, line.birth, line.school_class), each.row)
            if before is not each.row:
                each.row.told("name", "same-person", before.where)
    for name, members in classes.items():
        if len(members) > CLASS_PUPILS_MAX:
            members[0].row.told("class", "large-class", str(len(members)))
        other = spellings.setdefault(plain(name).replace(" ", ""), name)
        if other != name:
            members[0].row.told("class", "class-spelled", other)
