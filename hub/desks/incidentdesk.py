"""The desk of incidents: packs made, numbered and recorded; sent to the city only when somebody who may says so.

In an emergency the list comes first: where the ledger can't take the record of it, the files are handed over all the
same, and say so.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.days.classbook import today_at
from hub.days.daybook import GROUP
from hub.days.incidentbook import IncidentBook
from hub.desks.desk import Outcome
from hub.desks.userdesk import TERMINAL
from hub.incidents.asking import IncidentRefused, Scope, scope_of, ticked, ticks_from
from hub.incidents.files import FORMS, File, Form, files_of
from hub.incidents.pack import List, Pack, incident_pack
from hub.incidents.tables import Issue
from hub.incidents.versions import Kept, difference, kept_of, packed, unpacked
from hub.incidents.words import origin_text
from hub.papers import unwrapped
from hub.reports.words import Language, moment_text
from hub.store.database import LedgerFailed, LedgerFull
from hub.store.incidentrows import PackRow
from protocol.envelope import rfc3339
from protocol.errors import Refused
from protocol.records import IncidentPack

if TYPE_CHECKING:
    from hub.parts import Store

log = logging.getLogger("k12edge.incident")

SENT: Final[tuple[List, ...]] = ("eaten", "maybe")
"""The lists that the city is sent, as opaque keys: who ate, and who may have."""
PART_BYTES: Final = 12 * 1024
"""Of keys in one record, which has 16 KiB at most (protocol.envelope.EVENT_BYTES_MAX)."""
NAMED_MAX: Final = 40
"""Sources of which a record says that something may be missing; the files name all."""
NAME_CHARACTERS_MAX: Final = 100
LISTED: Final = 50
WAITS: Final = "đã ghi, chờ thành phố / recorded, waits for a city"
NO_CITY: Final = (
    "đã ghi, CHƯA ĐI ĐÂU CẢ: chưa cấu hình máy chủ thành phố; khi có, bản ghi tự đi cùng mọi bản ghi khác"
    " / recorded, NOT SENT: no city that takes records is configured ([city] kind); once one is, it travels as all do"
)
Words = Mapping[str, str | None]


class IncidentNotSent(Refused):
    """The pack wasn't sent to the city."""

    code = "incident-not-sent"
    hint = "A version that was made, is no exercise and wasn't sent yet can be sent; see k12edge hub incident-list."


@dataclass(frozen=True, slots=True)
class Made:
    """A pack that was made. `record`: the hub's own record of it, empty where the ledger took none."""

    scope: Scope
    pack: Pack
    issue: Issue
    files: tuple[File, ...]
    took_ms: int
    record: str


class IncidentDesk:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store
        self._book = IncidentBook(store)

    @property
    def travels(self) -> bool:
        """Whether a city is configured that takes records; else what is sent is recorded and waits for one."""
        return self._store.config.city.answers

    # --- what a command asks --------------------------------------------------------------------------------------

    def carry_out(self, action: str, words: Words) -> Outcome:
        """Do one of INCIDENT_ACTIONS. Raises IncidentRefused, IncidentNotSent."""
        return ACTIONS[action](self, words)

    def _make(self, words: Words) -> Outcome:
        scope = scope_of(words, today_at(self._store.clock.now_ms()))
        paper = words.get("paper")
        ill = None if paper is None else (words.get("ill") or "ill", unwrapped(paper))
        made = self.make(scope, _by(words), drill=words.get("drill") == "True", ill=ill)
        self._note("incident pack made", f"{scope.key} {made.issue.number}")
        return Outcome("\n".join(_told(made)), paper=zipped(made.files), records=int(bool(made.record)))

    def _send(self, words: Words) -> Outcome:
        scope = scope_of(words, today_at(self._store.clock.now_ms()))
        number = words.get("number") or ""
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise IncidentNotSent("{number!r} is no version of a pack", number=number[:20])
        parts = self.send(scope.key, int(number), _by(words))
        self._note("incident pack sent", f"{scope.key} {number}")
        told = "đã gửi / sent" if self.travels else NO_CITY
        return Outcome(f"{scope.key} {number}: {told}, {parts} bản ghi / records", records=parts)

    def _list(self, words: Words) -> Outcome:
        with self._store.database.lock:
            rows = self._store.incidents.latest(LISTED)
        self._note("incident packs", "-", kind="read")
        if words.get("json") == "True":
            return Outcome(msgspec.json.encode([row_told(row) for row in rows]).decode("utf-8"))
        lines = (_row_text(row, "đã gửi / sent" if self.travels else WAITS) for row in rows)
        return Outcome("\n".join(lines) or "chưa có / none yet")

    def _note(self, what: str, about: str, *, kind: Any = "write") -> None:
        clock = self._store.clock
        # What was handed over stays so where no row can be written.
        with suppress(LedgerFull, LedgerFailed):
            self._store.audit.note(TERMINAL, what, about, kind, "allowed", clock.now_ms(), clock.mono_ms())

    # --- what pages and programs ask too --------------------------------------------------------------------------

    def look(self, scope: Scope) -> Pack:
        """A pack as it is known now, without a version. Raises IncidentRefused."""
        # On a full disk what was read until then is all that can be told; the origins name what wasn't.
        with suppress(LedgerFull, LedgerFailed):
            while self._store.daybook.catch_up(GROUP):
                pass
        now_ms = self._store.clock.now_ms()
        if scope.day > today_at(now_ms) and self._store.clock.error_ms() is not None:
            raise IncidentRefused("{day} is no day that was", day=scope.day)
        return _packed(self._book.known(self._book.asked(scope, now_ms), now_ms), scope)

    def make(
        self,
        scope: Scope,
        by: str,
        *,
        drill: bool = False,
        ill: tuple[str, bytes] | Mapping[str, bool] | None = None,
        language: Language = "vi",
        forms: Sequence[Form] = FORMS,
    ) -> Made:
        """Make the next version and its files, and record it. `ill`: a file's name and bytes, or pupil -> ill.

        Raises IncidentRefused.
        """
        store = self._store
        began_ms = store.clock.mono_ms()
        pack = self.look(scope)
        if ill is not None:
            ticks = ticks_from(*ill, pack.known.roll) if isinstance(ill, tuple) else ticked(ill, pack.known.roll)
            pack = _packed(replace(pack.known, ill=ticks), scope)
        kept = kept_of(pack)
        number, before = self._number(scope, drill)
        issue = Issue(
            number,
            store.config.school,
            store.clock.now_ms(),
            by,
            store.clock.mono_ms() - began_ms,
            drill,
            scope.lot or (f"{scope.hours} h" if scope.kind == "hours" else ""),
            "hub",
            None if before is None else tuple(difference(before, kept)),
        )
        files = tuple(files_of(pack, issue, scope.stem(number, drill=drill), language, forms))
        took_ms = store.clock.mono_ms() - began_ms
        record = self._record(scope, pack, issue, files, kept, took_ms)
        return Made(scope, pack, issue, files, took_ms, record)

    def send(self, scope: str, number: int, by: str) -> int:
        """Have a version sent to the city, as pupils' keys alone; how many records. Raises IncidentNotSent."""
        store = self._store
        with store.database.transaction():
            row = store.incidents.find(scope, number, drill=False)
            if row is None:
                raise IncidentNotSent(
                    "there is no version {number} of {scope!r}; an exercise is never sent",
                    number=number,
                    scope=scope[:80],
                )
            if row.sent_ms is not None:
                raise IncidentNotSent(
                    "version {number} was sent already on {sent}", number=number, sent=moment_text(row.sent_ms)
                )
            parts = list(_parts(unpacked(row.kept)))
            for place, lists in enumerate(parts, 1):
                data = {
                    **_written(row.summary),
                    "what": "sent",
                    "by": by,
                    "files": {},
                    "part": place,
                    "parts": len(parts),
                    "lists": lists,
                }
                store.daybook.enter("incident.pack", data)
            store.incidents.send(row, store.clock.now_ms())
        store.office.on_entered(False)
        return len(parts)

    def _number(self, scope: Scope, drill: bool) -> tuple[int, Kept | None]:
        """The next version's number, and what the one before said, where that is remembered.

        A hub that was regained from the city has its records again, and its numbers go on.
        """
        with self._store.database.lock:
            row = self._store.incidents.newest(scope.key, drill=drill)
            if row is not None:
                return row.number + 1, unpacked(row.kept)
            told = [
                said.number
                for raw in self._store.ledger.own_records('"vn.k12edge.incident.pack.v1"')
                if (said := _said(raw)) is not None and (said.scope, said.drill) == (scope.key, drill)
            ]
        return max(told, default=0) + 1, None

    def _record(self, scope: Scope, pack: Pack, issue: Issue, files: Sequence[File], kept: Kept, took_ms: int) -> str:
        store = self._store
        octets = packed(kept)
        data = {
            "what": "made",
            "scope": scope.key,
            "number": issue.number,
            "drill": issue.drill,
            "made": rfc3339(issue.made_ms),
            "took": took_ms,
            "complete": pack.complete,
            "counts": pack.counts(),
            "kept": hashlib.sha256(octets).hexdigest(),
            "by": issue.by,
            "waiting": [one.name[:NAME_CHARACTERS_MAX] for one in pack.known.origins if not one.complete][:NAMED_MAX],
            "files": {file.name: file.sha256 for file in files},
        }
        try:
            with store.database.transaction():
                name = str(store.daybook.enter("incident.pack", data))
                summary = msgspec.convert({**data, "clock": NO_CLOCK}, IncidentPack)
                row = PackRow(
                    scope.key, issue.drill, issue.number, issue.made_ms, issue.by, name, summary, octets, None
                )
                store.incidents.keep(row)
        except (LedgerFull, LedgerFailed) as problem:
            log.warning("an incident pack was made and could not be recorded: %s", problem)
            return ""
        store.office.on_entered(False)
        return name


NO_CLOCK: Final = {"boot": "", "mono": 0, "wall": "", "sync": "none"}
"""Of the summary in the table: the record itself has its clock."""


def zipped(files: Sequence[File]) -> bytes:
    """The files as one, the same bytes for the same."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.writestr(zipfile.ZipInfo(file.name), file.octets)
    return out.getvalue()


def _packed(known: Any, scope: Scope) -> Pack:
    try:
        return incident_pack(known)
    except ValueError as problem:
        raise IncidentRefused("{key}: {problem}", key=scope.key, problem=problem, hint="Ask meal by meal.") from problem


def _parts(kept: Kept) -> Iterator[dict[str, list[str]]]:
    """The keys of the lists that are sent, in parts that fit one record each; at least one."""
    part: dict[str, list[str]] = {}
    size = 0
    for name in SENT:
        for key in sorted({key for found, _, _, _, key in kept.lines if found == name and key}):
            if size + len(key) + 3 > PART_BYTES:
                yield part
                part, size = {}, 0
            part.setdefault(name, []).append(key)
            size += len(key) + 3
    yield part


def _written(summary: IncidentPack) -> dict[str, Any]:
    """What a record of a version says, without its clock, which each record has of its own."""
    found: dict[str, Any] = msgspec.to_builtins(summary)
    del found["clock"]
    return found


def _said(raw: bytes) -> IncidentPack | None:
    class Envelope(msgspec.Struct):
        data: IncidentPack

    try:
        return msgspec.json.decode(raw, type=Envelope).data
    except (msgspec.DecodeError, ValueError):
        return None


def _by(words: Words) -> str:
    return words.get("by") or "-"


def _told(made: Made) -> Iterator[str]:
    """What was made, for whoever stands at the terminal."""
    counts = made.pack.counts()
    took = f"{made.took_ms / 1000:.1f} s"
    yield f"{made.scope.key}, bản / version {made.issue.number}: {counts['pupils']} đã ăn / ate ({took})"
    yield ", ".join(f"{name} {count}" for name, count in counts.items() if count and name != "pupils")
    for origin in made.pack.known.origins:
        yield f"  {origin.name}: {'đủ / complete' if origin.complete else origin_text(origin.words, 'vi')}"
    if not made.pack.complete:
        yield "CHƯA ĐỦ DỮ LIỆU / INCOMPLETE"
    if not made.record:
        yield "KHÔNG GHI ĐƯỢC vào sổ cái / NOT RECORDED in the ledger"


def _row_text(row: PackRow, told: str) -> str:
    kind = "diễn tập / drill" if row.drill else "thật / real"
    sent = "chưa gửi / not sent" if row.sent_ms is None else f"{told} {moment_text(row.sent_ms)}"
    took = f"{row.summary.took / 1000:.1f} s"
    return "\t".join((row.scope, str(row.number), kind, moment_text(row.made_ms), row.by, took, sent))


def row_told(row: PackRow) -> dict[str, Any]:
    """A version for programs."""
    sent = None if row.sent_ms is None else rfc3339(row.sent_ms)
    return {**_written(row.summary), "record": row.record, "sent": sent}


ACTIONS: Final[dict[str, Callable[[IncidentDesk, Words], Outcome]]] = {
    "incident": IncidentDesk._make,
    "incident-send": IncidentDesk._send,
    "incident-list": IncidentDesk._list,
}
INCIDENT_ACTIONS: Final = frozenset(ACTIONS)
