"""Cells of a golden day's files: CSV in UTF-8 with a header line, read cell by cell; what is wrong has a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import TypeVar, cast

from hub.attendance.evidence import HALVES
from hub.attendance.knowndays import beyond
from hub.attendance.schoolday import VIETNAM
from protocol.envelope import unix_ms_of
from protocol.errors import BadMessage, NeedsHands
from protocol.names import spelled
from protocol.records import Half

T = TypeVar("T")


class DayRefused(NeedsHands):
    """The files are no golden day; every line that is wrong is named, and nothing was written."""

    code = "day-refused"
    hint = "Correct the lines named; docs/reference/cli.md has the columns."


class Cells:
    """One line: its cells by column, read one by one; raises ValueError saying what is wrong."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells

    def text(self, column: str) -> str:
        """What stands there, in one spelling."""
        found = spelled(self._cells[column])
        if not found:
            raise ValueError(f"{column} is empty")
        if not found.isprintable():
            raise ValueError(f"{column} {found!r} has a character that can't be seen")
        return found

    def maybe(self, column: str) -> str:
        """The same; empty where nothing does."""
        return spelled(self._cells[column])

    def one_of(self, column: str, known: Sequence[str]) -> str:
        """One of these words."""
        found = self.text(column)
        if found not in known:
            raise ValueError(f"{column} {found!r} is not one of {', '.join(known)}")
        return found

    def half(self, column: str) -> Half:
        """A half-day."""
        return cast("Half", self.one_of(column, HALVES))

    def day(self, column: str, default: date | None = None) -> date:
        """A day; where nothing stands there the default, if there is one."""
        if default is not None and not self.maybe(column):
            return default
        found = self.text(column)
        try:
            day = date.fromisoformat(found)
        except ValueError as problem:
            raise ValueError(f"{column} {found!r} is no date such as 2026-11-23") from problem
        if (unknown := beyond(day)) is not None:
            raise ValueError(f"{column} {unknown}")
        return day

    def moment(self, column: str, default: int | None = None) -> int:
        """A moment, Unix ms; where nothing stands there the default, if there is one."""
        if default is not None and not self.maybe(column):
            return default
        found = self.text(column)
        try:
            return unix_ms_of(found)
        except BadMessage as problem:
            raise ValueError(f"{column} {found!r} is no time such as 2026-11-23T07:05:00.000+07:00") from problem

    def clock(self, column: str, day: date, default: int | None = None) -> int:
        """A time of day, `07:05` or `07:05:30`, of Vietnam (UTC+7, no summer time)."""
        if default is not None and not self.maybe(column):
            return default
        found = self.text(column)
        try:
            moment = datetime.combine(day, time.fromisoformat(found), VIETNAM)
        except ValueError as problem:
            raise ValueError(f"{column} {found!r} is no time of day such as 07:05") from problem
        return int(moment.timestamp() * 1000)

    def number(self, column: str) -> int:
        """A whole number of at most 12 digits; 0 where nothing stands there."""
        found = self.maybe(column) or "0"
        if not found.isascii() or not found.isdigit() or len(found) > 12:
            raise ValueError(f"{column} {found!r} is no whole number")
        return int(found)


def csv_rows(
    path: str, name: str, columns: Sequence[str], octets: bytes, made: Callable[[Cells], T], errors: list[str]
) -> Iterator[T]:
    """What `made` makes of each line of a file with these columns; what it can't is added to `errors` by its line.

    Raises DayRefused where the file is none at all.
    """
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DayRefused(f"{path} can't be read: {problem}") from problem
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        if header != tuple(columns):
            raise DayRefused(f"{path}, line 1: the header must be {','.join(columns)}")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                errors.append(f"{name}, line {reader.line_num}: {len(cells)} columns, {len(header)} expected")
                continue
            try:
                yield made(Cells(dict(zip(header, cells, strict=True))))
            except ValueError as problem:
                errors.append(f"{name}, line {reader.line_num}: {problem}")
    except csv.Error as problem:
        raise DayRefused(f"{path}, line {reader.line_num}: not CSV: {problem}") from problem


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A file's text: the same rows give the same bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
