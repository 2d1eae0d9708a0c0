"""The desk of reports: what `k12edge hub report` and `hub files` ask, made here and handed over as a file."""

from __future__ import annotations

import calendar
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from hub.desks.desk import Outcome
from hub.papers import PAPER_BYTES_MAX
from hub.reporting.cityfolder import CityFolder, Laid
from hub.reporting.making import FORMS, Form, Reporting, ReportRefused
from hub.reports.summaries import Span
from hub.reports.words import day_text, moment_text

if TYPE_CHECKING:
    from hub.parts import Store

Words = Mapping[str, str | None]


class ReportDesk:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def carry_out(self, action: str, words: Words) -> Outcome:
        """Do one of REPORT_ACTIONS. Raises ReportRefused, FilesRefused."""
        return ACTIONS[action](self, words)

    def _month(self, words: Words) -> Outcome:
        first, last = _month(words.get("month") or "")
        making, form, by = Reporting(self._store), _form(words), _by(words)
        out = io.BytesIO()
        return _handed(out, making.month_into(out, form, by, first, last, words.get("class")))

    def _day(self, words: Words) -> Outcome:
        out = io.BytesIO()
        making, form, by, day = Reporting(self._store), _form(words), _by(words), _date(words, "day")
        making.check_class(day, day, words.get("class"))
        return _handed(out, making.day_into(out, form, by, day, words.get("class")))

    def _term(self, words: Words) -> Outcome:
        first, last = _date(words, "first"), _date(words, "last")
        span, out = Span(f"{first.isoformat()}..{last.isoformat()}", first, last), io.BytesIO()
        making, form, by = Reporting(self._store), _form(words), _by(words)
        making.check_class(first, last, words.get("class"))
        return _handed(out, making.term_into(out, form, by, [span], words.get("class")))

    def _make(self, words: Words) -> Outcome:
        made = CityFolder(self._store).make(_by(words), *_month(words.get("month") or ""))
        names = "\n".join(f"  {file.name}\t{file.bytes} B" for file in made.files)
        return Outcome(f"{made.number:06}\t{day_text(made.first)} – {day_text(made.last)}\n{names}")

    def _list(self, words: Words) -> Outcome:
        found = CityFolder(self._store).all()
        if words.get("json") == "True":
            return Outcome(msgspec.json.encode([one.told() for one in found]).decode("utf-8"))
        return Outcome("\n".join(line for one in found for line in _told(one)) or "chưa có / none yet")

    def _sent(self, words: Words) -> Outcome:
        number = words.get("number") or ""
        if not number.isascii() or not number.isdigit() or len(number) > 6:
            raise ReportRefused(f"{number[:20]!r} is no number of files")
        sent = CityFolder(self._store).sent(_by(words), int(number), words.get("to") or "")
        return Outcome(f"{sent.number:06}: {sent.by} → {sent.to}, {moment_text(sent.at_ms)}", records=1)


def _told(laid: Laid) -> Iterator[str]:
    made = laid.manifest
    span = "" if made is None else f"\t{day_text(made.first)} – {day_text(made.last)}\t{made.by}"
    yield f"{laid.number:06}{span}"
    for one in laid.sent:
        yield f"\tđã gửi / sent {moment_text(one.at_ms)}: {one.by} → {one.to}"
    if not laid.sent:
        yield "\tchưa gửi / not sent"
    yield from (f"\t! {fault}" for fault in laid.faults)


def _handed(out: io.BytesIO, name: str) -> Outcome:
    octets = out.getvalue()
    if len(octets) > PAPER_BYTES_MAX:
        raise ReportRefused(
            f"{name} has {len(octets)} bytes, more than a command carries",
            hint="Take one class, xlsx or csv; or open /reports in a browser.",
        )
    return Outcome(name, paper=octets)


def _by(words: Words) -> str:
    return words.get("by") or "-"


def _form(words: Words) -> Form:
    """As it is asked for, else as the file's name ends. Raises ReportRefused."""
    asked = words.get("format") or (words.get("file") or "").rpartition(".")[2].lower()
    form = next((form for form in FORMS if form == asked), None)
    if form is None:
        raise ReportRefused(f"{asked[:20]!r} is not one of {', '.join(FORMS)}", hint="Name the file so, or --format.")
    return form


def _date(words: Words, name: str) -> date:
    text = words.get(name) or ""
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise ReportRefused(f"{name}: {text[:20]!r} is no day such as 2026-11-23") from problem


def _month(text: str) -> tuple[date, date]:
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError as problem:
        raise ReportRefused(f"{text[:20]!r} is no month such as 2026-11") from problem
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


ACTIONS: Final[dict[str, Callable[[ReportDesk, Words], Outcome]]] = {
    "report-month": ReportDesk._month,
    "report-day": ReportDesk._day,
    "report-term": ReportDesk._term,
    "files-make": ReportDesk._make,
    "files-list": ReportDesk._list,
    "files-sent": ReportDesk._sent,
}
REPORT_ACTIONS: Final = frozenset(ACTIONS)
