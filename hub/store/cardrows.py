"""The cards in rows: what is known of each, what was found of their taps, and how far the ledger was read for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hub.cards.authenticity import CardState, Finding, Judged, Moment
from hub.store.anchorrows import AnchorRows
from hub.store.ledger import Ledger
from protocol.envelope import decode_data, decode_event, rfc3339
from protocol.errors import BadMessage
from protocol.taps import TapData, parse_tap_id

LISTED_MAX: Final = 1_000
"""Findings shown at once, the newest."""

_states = msgspec.json.Decoder(CardState)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the ledger was read, in which round, with which keys; see 003.sql."""

    position: int
    round: int
    names: bytes | None
    proofs: bytes | None


class CardRows:
    """See the room. Whoever calls holds the database's lock; changes run within a transaction."""

    def __init__(self, ledger: Ledger, anchors: AnchorRows) -> None:
        """The tables are the state."""
        self._ledger, self._anchors = ledger, anchors
        self._run = ledger.database.connection.execute

    def cursor(self) -> Cursor:
        """Where the judging stands."""
        return Cursor(*self._run("SELECT position, round, names, proofs FROM card_cursor").fetchone())

    def newest(self) -> int:
        """The last record's position, 0 where there is none."""
        return int(self._run("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])

    def page(self, after: int, limit: int) -> list[tuple[int, int, bytes]]:
        """Records behind a position: position, journal's number, bytes."""
        return self._run(
            "SELECT position, journal, raw FROM events WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        ).fetchall()

    def move(self, position: int) -> None:
        """Every record to here was judged."""
        self._run("UPDATE card_cursor SET position = ?", (position,))

    def begin(self, names: bytes, proofs: bytes | None) -> None:
        """All is made anew, with these keys: from the first record on. What was found stays until it is all read."""
        self._run(
            "UPDATE card_cursor SET round = round + (position > 0), position = 0, names = ?, proofs = ?",
            (names, proofs),
        )

    def unchecked(self) -> None:
        """A proof was passed over for want of keys."""
        self._run("UPDATE card_cursor SET proofs = NULL WHERE proofs IS NOT NULL")

    def settle(self, number: int) -> None:
        """The ledger was read to its end in this round: what earlier ones found, and this one didn't, goes."""
        for table in ("card_findings", "cards"):
            self._run(f"DELETE FROM {table} WHERE round < ?", (number,))

    def policies(self, stations: Iterable[str]) -> dict[str, int]:
        """From which position on each of these stations needs proofs; for one that is new, from now on."""
        wanted = set(stations)
        known = {str(station): int(since) for station, since in self._run("SELECT station, since FROM card_policies")}
        for station in known.keys() - wanted:
            self._run("DELETE FROM card_policies WHERE station = ?", (station,))
        for station in wanted - known.keys():
            known[station] = self.newest()
            self._run("INSERT INTO card_policies (station, since) VALUES (?, ?)", (station, known[station]))
        return {station: known[station] for station in wanted}

    # --- cards --------------------------------------------------------------------------------------------------------

    def state(self, card: str, number: int) -> CardState:
        """What is known of a card in this round."""
        found = self._run("SELECT state FROM cards WHERE card = ? AND round = ?", (card, number)).fetchone()
        return CardState() if found is None else _states.decode(found[0])

    def write(self, card: str, moment: Moment, before: CardState, judged: Judged, number: int) -> list[Finding]:
        """Write what follows from a tap; the findings that no earlier round had."""
        if judged.state != before:
            self._run(
                "INSERT OR REPLACE INTO cards (card, state, round) VALUES (?, ?, ?)",
                (card, msgspec.json.encode(judged.state).decode("utf-8"), number),
            )
        journal, sequence = self._name(moment.tap)
        if judged.verdict is not None:
            self._run(
                "INSERT OR REPLACE INTO card_verdicts (journal, sequence, verdict, counter) VALUES (?, ?, ?, ?)",
                (journal, sequence, judged.verdict, judged.counter),
            )
        elif number > 1:
            self._run("DELETE FROM card_verdicts WHERE journal = ? AND sequence = ?", (journal, sequence))
        return [finding for finding in judged.findings if self._find(finding, number)]

    def _find(self, finding: Finding, number: int) -> bool:
        """Keep a finding; False where it was known."""
        journal, sequence = self._name(finding.moment.tap)
        if finding.code == "proof-late":
            self._run(
                "UPDATE card_verdicts SET verdict = 'late' WHERE journal = ? AND sequence = ?", (journal, sequence)
            )
        again = self._run(
            "UPDATE card_findings SET round = ?, detail = ? WHERE journal = ? AND sequence = ? AND code = ?",
            (number, finding.detail, journal, sequence, finding.code),
        )
        if again.rowcount:
            return False
        self._run(
            "INSERT INTO card_findings (journal, sequence, code, detail, round) VALUES (?, ?, ?, ?, ?)",
            (journal, sequence, finding.code, finding.detail, number),
        )
        return True

    def _name(self, tap: str) -> tuple[int, int]:
        found = parse_tap_id(tap)
        book = None if found is None else self._ledger.books.find(found.journal)
        assert found is not None and book is not None, tap
        return book.number, found.sequence

    # --- what people see ----------------------------------------------------------------------------------------------

    def verdicts(self) -> dict[str, tuple[str, int | None]]:
        """Tap id -> verdict and counter, of each that has one."""
        rows = self._run("SELECT journal, sequence, verdict, counter FROM card_verdicts").fetchall()
        return {
            f"{self._ledger.books.numbered(journal).journal}.{sequence}": (verdict, counter)
            for journal, sequence, verdict, counter in rows
        }

    def findings(self) -> list[dict[str, Any]]:
        """The newest LISTED_MAX findings, oldest first, each with its tap's time, place and pupil; no card."""
        rows = self._run(
            "SELECT f.journal, f.sequence, code, detail, raw FROM card_findings AS f"
            " JOIN events AS e ON e.journal = f.journal AND e.sequence = f.sequence ORDER BY number DESC LIMIT ?",
            (LISTED_MAX,),
        ).fetchall()
        return [self._shown(*row) for row in reversed(rows)]

    def _shown(self, journal: int, sequence: int, code: str, detail: str, raw: bytes) -> dict[str, Any]:
        book = self._ledger.books.numbered(journal)
        shown: dict[str, Any] = {"id": f"{book.journal}.{sequence}", "time": None, "device": book.device}
        shown |= {"station": None, "student": None, "code": code, "detail": detail}
        try:
            event = decode_event(bytes(raw))
            data = decode_data(event, TapData)
        except BadMessage:
            return shown
        time_ms = self._anchors.of(book.source).effective(event).best_ms
        return shown | {"time": rfc3339(time_ms), "station": data.point, "student": data.student}
