"""A list that was read: the values of its rows, and what is wrong, from sheets and one template. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, TypeVar

from hub.lists.cells import Sheet
from hub.lists.columns import Column, Template
from hub.lists.faults import Fault, Faults
from hub.lists.rows import Row
from hub.lists.table import Nearest, Table, find_tables

OVERLAP_MAX: Final = 20
"""So many of one sheet's rows in another one are a copy of the list, not slips."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A row that is sound, its cells' values by column, and what was made of them."""

    row: Row
    values: Mapping[str, Any]
    line: Any


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """The values in the order of the file, and all faults. Where one `stops`, nothing of it may be written.

    `ignored` are the headers of columns that were not taken, such as telephones and parents.
    """

    source: str
    kind: str
    lines: tuple[T, ...]
    faults: tuple[Fault, ...]
    ignored: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing stops it."""
        return not any(fault.stops for fault in self.faults)


def read_list(
    template: Template,
    source: str,
    sheets: Sequence[Sheet],
    today: date,
    hidden: Sequence[str] = (),
    others: Sequence[Template] = (),
    examined: Callable[[list[Found]], None] | None = None,
) -> Listed[Any]:
    """Read every sheet that has the template's header.

    `others`: what the file may be instead, to be named where it isn't this; `examined` looks at all sound rows
    together.
    """
    faults = Faults(source)
    tables, nearest = find_tables(sheets, template, faults)
    other = which_is_it(sheets, [template, *others])
    if tables and other is not None and other is not template:
        # It has what this list needs, and more that is another one's.
        faults.add("other-list", *other.title, sheet=tables[0].sheet.name, row=tables[0].header_row)
        return Listed(source, template.name, (), faults.all)
    found: list[Found] = []
    for table in tables:
        rows = 0
        for row in table.rows(template, today, faults):
            rows += 1
            values = row.values(template)
            line = None if values is None else template.line(values, row)
            if values is not None and line is not None and row.sound:
                found.append(Found(row, values, line))
        if not rows:
            faults.add("no-rows", sheet=table.sheet.name, row=table.header_row)
    if not tables:
        _no_table(template, nearest, other, faults)
    for name in hidden:
        faults.add("hidden", sheet=name)
    found = _once(template, found, faults)
    for look in (template.examined, examined):
        if look is not None:
            look(found)
    ignored = dict.fromkeys(word for table in tables for word in table.ignored)
    names = tuple(table.sheet.name for table in tables)
    return Listed(source, template.name, tuple(each.line for each in found), faults.all, tuple(ignored), names)


def _no_table(
    template: Template,
    nearest: Nearest | None,
    other: Template | None,
    faults: Faults,
) -> None:
    faults.add("no-table", _named(template.needed))
    if other is not None:
        faults.add("other-list", *other.title)
    elif nearest is not None:
        faults.add("nearest", _named(nearest.lacking), sheet=nearest.sheet, row=nearest.row)


def which_is_it(sheets: Sequence[Sheet], templates: Sequence[Template]) -> Template | None:
    """The template of which a sheet has most columns, with all that it needs: the first of equals."""
    best: tuple[int, Template | None] = (0, None)
    for template in templates:
        tables: list[Table] = find_tables(sheets, template, Faults(""))[0]
        count = max((len(table.places) for table in tables), default=0)
        if count > best[0]:
            best = count, template
    return best[1]


def _named(columns: Sequence[Column]) -> str:
    return ", ".join(column.headers[0] for column in columns)


def _once(template: Template, found: list[Found], faults: Faults) -> list[Found]:
    """Those that come first: a row that names the same thing again is a fault, a sheet that does so is a copy."""
    if not template.identity:
        return found
    first: dict[tuple[Any, ...], Found] = {}
    doubles: list[tuple[Row, Row]] = []
    pairs: Counter[tuple[str, str]] = Counter()
    for each in found:
        before = first.setdefault(tuple(each.values[key] for key in template.identity), each)
        if before is not each:
            doubles.append((each.row, before.row))
            pairs[each.row.sheet, before.row.sheet] += 1
    copies = {pair for pair, count in pairs.items() if pair[0] != pair[1] and count > OVERLAP_MAX}
    for sheet, other in sorted(copies):
        faults.add("sheets-overlap", other, sheet=sheet)
    for row, earlier in doubles:
        if (row.sheet, earlier.sheet) not in copies:
            row.wrong(template.identity[0], "code-twice", earlier.where)
    return list(first.values())
