"""The eraser: what `k12edge hub retention` asks - what is over its time goes, and pupils who left long ago.

Of an erased pupil the key stays, and with it every record, mark and count. A tap of theirs stays theirs, without a
card; so marks of past days are what they were, also when all is read again from the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.attendance.schoolday import holders_of
from hub.days.classbook import midnight_ms, today_at
from hub.days.scribe import name_of
from hub.desks.desk import Outcome
from hub.desks.userdesk import TERMINAL
from hub.store.erasedrows import ERASED_NAME, ErasedRows
from hub.store.retention import TABLES, Going, RetentionRows, aged
from protocol.envelope import rfc3339
from protocol.errors import NeedsHands

if TYPE_CHECKING:
    from hub.parts import Store

PUPILS_EACH: Final = 100
"""Erased by one command at most: each has thousands of taps. The command says how many remain."""
GROUP: Final = 200


class EraseRefused(NeedsHands):
    """The pupil can't be erased."""

    code = "erase-refused"
    hint = "Whoever is a pupil of the school leaves it first: by the city's roster or by a list."


class Eraser:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Erase from this store."""
        self._store, self._plan = store, store.config.privacy
        self._rows, self._erased = RetentionRows(store.database), ErasedRows(store.database)

    def carry_out(self, words: Mapping[str, str | None]) -> Outcome:
        """Do what the command says: `erase`, one pupil by key; `dry_run`, only tell. Raises EraseRefused."""
        dry = words.get("dry_run") == "True"
        key, by = words.get("erase"), words.get("by") or "-"
        now_ms = self._store.clock.now_ms()
        if self._store.clock.error_ms() is None:
            raise EraseRefused("the hub's clock is not set", hint="Nothing is old by a clock that nobody vouches for.")
        while self._store.daybook.catch_up(GROUP):
            pass
        pupils = self._asked(key) if key is not None else self._old(now_ms)
        now, later = pupils[:PUPILS_EACH], pupils[PUPILS_EACH:]
        found = [self._about(now)] if now else []
        if key is None:
            found += [going for rule in aged(self._plan, now_ms) if (going := self._rows.going(rule)).rows]
        if dry:
            return Outcome(self._told(words, found, len(now) + len(later), clean=True))
        with self._store.database.transaction():
            self._erased.count_from(today_at(now_ms))
        for pupil, _ in now:
            self._erase(pupil, now_ms, by)
        if key is None:
            for rule in aged(self._plan, now_ms):
                count = self._rows.let_go(rule)
                if count:
                    self._note("retention", f"{rule.table} {count}")
        if now:
            with self._store.database.transaction():
                self._store.roster.renew(now_ms)
        return Outcome(self._told(words, found, len(later), clean=self._rows.clean()), roster=bool(now))

    # --- pupils -------------------------------------------------------------------------------------------------------

    def _old(self, now_ms: int) -> Sequence[tuple[str, str]]:
        with self._store.database.lock:
            return self._erased.gone_before(today_at(now_ms) - timedelta(days=self._plan.left_days))

    def _asked(self, key: str) -> Sequence[tuple[str, str]]:
        with self._store.database.lock:
            person = self._store.people.find(key)
        if person is None:
            raise EraseRefused("no pupil has this key", hint="The pupil's page and the JSON API show it.")
        if person.state != "left":
            raise EraseRefused(f"{key} is a pupil of the school; the next roster would bring them back")
        return [] if person.name == ERASED_NAME else [(key, "")]

    def _about(self, pupils: Sequence[tuple[str, str]]) -> Going:
        days = [last for _, last in pupils if last]
        oldest_ms = None if not days else _moment_ms(min(days))
        return Going("pupils", len(pupils), oldest_ms)

    def _erase(self, pupil: str, now_ms: int, by: str) -> None:
        """One pupil, in one transaction."""
        store = self._store
        with store.database.transaction():
            changes = self._erased.own_changes(pupil)
            self._erased.settle_taps(self._taps(pupil, {card for _, card in changes}))
            self._erased.forget_changes(record for record, _ in changes)
            self._erased.erase(pupil, now_ms, by)
            store.days.cards_version += 1
            store.people.version += 1
            self._note("erasure", pupil)

    def _taps(self, pupil: str, cards: set[str]) -> list[tuple[str, int, int, str | None]]:
        """Every tap of these cards, and whether it is the pupil's; what may be another's stays as it is."""
        store = self._store
        bindings = store.holders.bindings()
        found: list[tuple[str, int, int, str | None]] = []
        for tap in list(store.days.taps_of_cards(store.holders.texts(cards))):
            known = bindings.get(tap.card, ())
            book = store.ledger.books.numbered(tap.journal)
            when = store.anchors.of(book.source).effective_at(book.journal, tap.reading())
            holders = holders_of(known, when.best_ms)
            if holders == [pupil]:
                found.append((name_of(store.ledger, tap), tap.journal, tap.sequence, pupil))
            elif not holders and {held.pupil for held in known} == {pupil}:
                found.append((name_of(store.ledger, tap), tap.journal, tap.sequence, None))
        return found

    # --- words --------------------------------------------------------------------------------------------------------

    def _note(self, what: str, about: str) -> None:
        clock = self._store.clock
        self._store.audit.note(TERMINAL, what, about, "write", "allowed", clock.now_ms(), clock.mono_ms())

    def _told(self, words: Mapping[str, str | None], found: Sequence[Going], remain: int, *, clean: bool) -> str:
        dry = words.get("dry_run") == "True"
        classes = {kept.table: kept.data for kept in TABLES}
        if words.get("json") == "True":
            shown: list[dict[str, Any]] = [
                {
                    "table": one.table,
                    "data": classes[one.table],
                    "rows": one.rows,
                    "oldest": None if one.oldest_ms is None else rfc3339(one.oldest_ms)[:10],
                }
                for one in found
            ]
            whole = {"dry_run": dry, "tables": shown, "pupils_remaining": remain, "log_clean": clean}
            return msgspec.json.encode(whole).decode("utf-8")
        verb = "sẽ xóa / would go" if dry else "đã xóa / gone"
        lines = []
        for one in found:
            since = "" if one.oldest_ms is None else f", từ / from {rfc3339(one.oldest_ms)[:10]}"
            lines.append(f"{one.table}: {one.rows} {verb}{since}")
        if not dry and remain:
            lines.append(f"còn {remain} học sinh: chạy lại / {remain} pupils remain: run it again")
        if not clean:
            lines.append(
                "nhật ký tệp còn đang được đọc: chạy lại sau / the file's log is being read: run it again later"
            )
        return "\n".join(lines) or "không có gì phải xóa / nothing is over its time"


def _moment_ms(day: str) -> int:
    return midnight_ms(date.fromisoformat(day))
