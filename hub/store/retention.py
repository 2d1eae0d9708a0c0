"""The retention: of every table of the ledger's file which class of data it holds, and how long; one declaration.

`docs/reference/retention.md` is made from it, and a table that isn't declared fails the build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from hub.access.sessions import FORGET_MS, WHOLE_MS
from hub.config import PrivacyPlan
from hub.store.database import Database
from hub.store.forwardrows import ANSWERS_KEPT_MS
from hub.store.messagerows import KEPT_MS as MESSAGES_KEPT_MS

DataClass = Literal["identity", "attendance", "card", "meals", "health", "access and audit", "technical"]
Until = Literal["erasure", "age", "ledger", "replaced"]
DAY_MS: Final = 86_400_000
STEP: Final = 1_000
"""Rows that go in one transaction: taps wait for the ledger no longer than for a gateway's batch."""
UNTIL_WORDS: Final[dict[Until, str]] = {
    "erasure": "until the pupil is erased",
    "age": "for a time",
    "ledger": "as long as the ledger: it holds no name, opaque keys at most",
    "replaced": "until something newer takes its place",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A table's class of data, and until when it is kept; `note` for people."""

    table: str
    data: DataClass
    until: Until
    note: str


TABLES: Final = (
    Kept("pupils", "identity", "erasure", "Name, code, birth, sex and the city's id; the key stays."),
    Kept("pupils_erased", "identity", "ledger", "Which keys were erased, when and by whom."),
    Kept("enrolments", "identity", "ledger", "Key and class by day: counts of past days rest on it."),
    Kept("city_rows", "identity", "erasure", "The city's rows as last pulled, names among them."),
    Kept("city_sync", "technical", "replaced", "What the next pull must know."),
    Kept("consents", "identity", "erasure", "Whether parents may be told."),
    Kept("files_sent", "technical", "ledger", "Who said that files for the city were sent, and to whom."),
    Kept("messages", "attendance", "age", "90 days after they were sent or ended, or the pupil's erasure."),
    Kept(
        "card_changes", "card", "erasure", "Plain numbers; those of cards that another pupil had later stay as theirs."
    ),
    Kept("taps", "card", "erasure", "Taken from the records; an erased pupil's lose their card and keep their key."),
    Kept("records_erased", "card", "ledger", "Names of records whose card isn't written down again."),
    Kept("tap_corrections", "card", "ledger", "Keyed ids and opaque keys, from the records."),
    Kept("cards", "card", "ledger", "Keyed ids: what is known of a card's proofs."),
    Kept("card_verdicts", "card", "ledger", "What a tap's proof came to."),
    Kept("card_findings", "card", "ledger", "Taps whose card may be a copy."),
    Kept("card_policies", "technical", "ledger", "Which stations need proofs."),
    Kept("card_cursor", "technical", "replaced", "How far records were judged."),
    Kept("statements", "attendance", "ledger", "What people said, from the records."),
    Kept("leaves", "attendance", "ledger", "From when to when; never why."),
    Kept("leaves_withdrawn", "attendance", "ledger", "Notices that don't count."),
    Kept("confirmations", "attendance", "ledger", "Lists that were signed."),
    Kept("marks_told", "attendance", "ledger", "What the city was told."),
    Kept("marks_cursor", "technical", "replaced", "How far that was seen to."),
    Kept("marks_open", "technical", "replaced", "Days of which something is to come."),
    Kept("meal_taps", "meals", "ledger", "What counters believed, from the records."),
    Kept("serving_words", "meals", "ledger", "What people said of servings, from the records."),
    Kept("meal_ratings", "meals", "ledger", "Faces at the tray return: nobody's."),
    Kept("meal_enrolments", "meals", "ledger", "Who eats at school, by opaque keys, from the records."),
    Kept("meal_portions", "meals", "ledger", "What is cooked for a pupil, never why, from the records."),
    Kept("meal_cuts", "meals", "ledger", "Meals cut, from the records."),
    Kept("meal_cuts_withdrawn", "meals", "ledger", "Cuts that don't count."),
    Kept("meal_closures", "meals", "ledger", "Days without a meal."),
    Kept("meal_services", "meals", "ledger", "Class lists of who ate, from the records."),
    Kept("meal_locks", "meals", "ledger", "Frozen kitchen sheets: numbers."),
    Kept("meal_adjustments", "meals", "ledger", "What was adjusted since: numbers, and whom it was about."),
    Kept("meal_months", "meals", "ledger", "What months came to, by opaque keys: evidence for public money."),
    Kept("meal_complaints", "meals", "ledger", "What parents said of meals, and answers, from the records."),
    Kept("meal_plans", "technical", "ledger", "Meals, shifts, locks: past sheets rest on them."),
    Kept("diets", "health", "erasure", "What a pupil must not eat."),
    Kept("menus", "technical", "ledger", "Dishes, lots, suppliers, samples."),
    Kept("incident_packs", "meals", "ledger", "Packs that were made: opaque keys by list, no name, nobody's illness."),
    Kept("counter_staff", "access and audit", "ledger", "Who may take a shift; PINs as hashes."),
    Kept("counter_sheets", "technical", "replaced", "The newest sheet's number."),
    Kept("timetables", "technical", "ledger", "Calendar and bells: past marks rest on them."),
    Kept("watermarks", "technical", "ledger", "How far gateways' records go."),
    Kept("losses", "technical", "ledger", "Records that are gone for good."),
    Kept("waivers", "technical", "ledger", "Whose records weren't waited for, by whom."),
    Kept("day_cursor", "technical", "replaced", "How far records were read."),
    Kept(
        "events",
        "attendance",
        "ledger",
        "The records themselves, chained and signed; a card's number is sealed in them.",
    ),
    Kept("journals", "technical", "ledger", "What is held of each journal."),
    Kept("headers", "technical", "ledger", "Gateways' signatures."),
    Kept("parked", "technical", "ledger", "Records and messages that couldn't be taken, bounded."),
    Kept("forks", "technical", "ledger", "Other bytes under a record's name, bounded."),
    Kept("pending_batches", "technical", "replaced", "Of gateways that nobody accepted yet, bounded."),
    Kept("alarms", "technical", "replaced", "What staff should know, bounded."),
    Kept("anchors", "technical", "ledger", "What is known of each boot's clock."),
    Kept("devices", "technical", "ledger", "Gateways."),
    Kept("device_keys", "technical", "ledger", "Their public keys, and what they sealed to this hub."),
    Kept("card_keys", "technical", "ledger", "The school's card keys: secret."),
    Kept("settings", "technical", "ledger", "The hub's own; the report of the last pull goes with an erasure."),
    Kept("roster_releases", "technical", "ledger", "Numbers of releases, no rows."),
    Kept("forward_cursor", "technical", "replaced", "How far the city holds the records."),
    Kept("forward_exceptions", "technical", "ledger", "Records that the city didn't take."),
    Kept("city_answers", "technical", "age", "60 days."),
    Kept("users", "access and audit", "ledger", "Staff who may log in, or might once: the audit names them."),
    Kept("sessions", "access and audit", "age", "7 days at most."),
    Kept("tokens", "access and audit", "ledger", "Hashes only."),
    Kept("login_links", "access and audit", "age", "Until they expire."),
    Kept("login_failures", "access and audit", "age", "A day after the last failure."),
    Kept("audit", "access and audit", "age", "`[privacy] audit_days`."),
)
"""Every table there is."""


@dataclass(frozen=True, slots=True)
class Aged:
    """Rows of a table that go by their age: those whose `column` (Unix ms) is below `before_ms`."""

    table: str
    column: str
    before_ms: int


@dataclass(frozen=True, slots=True)
class Going:
    """What would go of a table: how many rows, and the oldest one's moment, Unix ms."""

    table: str
    rows: int
    oldest_ms: int | None


def aged(plan: PrivacyPlan, now_ms: int) -> Iterator[Aged]:
    """What is over its time at a moment."""
    yield Aged("audit", "at_ms", now_ms - plan.audit_days * DAY_MS)
    yield Aged("city_answers", "at_ms", now_ms - ANSWERS_KEPT_MS)
    yield Aged("messages", "done_ms", now_ms - MESSAGES_KEPT_MS)
    yield Aged("sessions", "made_ms", now_ms - WHOLE_MS)
    yield Aged("login_links", "expires_ms", now_ms)
    yield Aged("login_failures", "last_ms", now_ms - FORGET_MS)


class RetentionRows:
    """See the room. Each call is a transaction of its own, or several small ones."""

    def __init__(self, database: Database) -> None:
        """The tables are the state."""
        self._database = database

    def going(self, rule: Aged) -> Going:
        """What would go by a rule."""
        with self._database.lock:
            # The audit goes only from its oldest row on: behind one that stays nothing does.
            which = f"{rule.column} < ?"
            if rule.table == "audit":
                which += " AND number < coalesce((SELECT min(number) FROM audit WHERE at_ms >= ?1), 1 << 62)"
            rows, oldest_ms = self._database.connection.execute(
                f"SELECT count(*), min({rule.column}) FROM {rule.table} WHERE {which}", (rule.before_ms,)
            ).fetchone()
        return Going(rule.table, rows, oldest_ms)

    def let_go(self, rule: Aged) -> int:
        """Delete what is over its time; how many rows. Raises LedgerFull, LedgerFailed."""
        step = self._oldest_of_audit if rule.table == "audit" else self._some
        count = 0
        while done := step(rule):
            count += done
        return count

    def _some(self, rule: Aged) -> int:
        key = {"sessions": "token", "login_links": "token", "login_failures": "about"}.get(rule.table)
        # Tables without a row number are small, and their rows few.
        which = (
            f"{rule.column} < ?"
            if key is not None
            else f"({rule.column}) IN (SELECT {rule.column} FROM {rule.table}"
            f" WHERE {rule.column} < ? ORDER BY {rule.column} LIMIT {STEP})"
        )
        with self._database.transaction() as run:
            return run.execute(f"DELETE FROM {rule.table} WHERE {which}", (rule.before_ms,)).rowcount

    def _oldest_of_audit(self, rule: Aged) -> int:
        with self._database.transaction() as run:
            rows = run.execute("SELECT number, at_ms FROM audit ORDER BY number LIMIT ?", (STEP,)).fetchall()
            count = 0
            for number, at_ms in rows:
                if at_ms >= rule.before_ms:
                    break
                run.execute("DELETE FROM audit WHERE number = ?", (number,))
                count += 1
        return count

    def clean(self) -> bool:
        """Leave no trace of what was deleted in the file's log; False where a reader kept it: the next one does."""
        return self._database.move_log()
