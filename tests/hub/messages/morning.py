"""A morning for tests of messages: a class with one gate, marks by the real rules, an outbox that is kept in a list."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date

from hub.attendance.evidence import Direction, Leave, Statement, Tap, Watermark
from hub.attendance.schoolday import Binding, Pupil, SchoolDay, by_card, marks_of
from hub.messages.planning import MESSAGE_KINDS, Facts, Message, MessageKind, Told, facts_of, plan
from protocol.records import Half, State
from tests.hub.reports.book import MONDAY, at, session

PUPILS = (
    Pupil("st-an", "Nguyễn Văn An", "3/2", date.min, date.max),
    Pupil("st-binh", "Nguyễn Văn Bình", "3/2", date.min, date.max),
)


@dataclass(slots=True)
class Row:
    """A message of the outbox as the store would keep it."""

    message: Message
    state: str = "waiting"
    attempts: int = 0
    made_ms: int = 0


@dataclass
class Morning:
    """What is known so far. Its half-days are a morning and an afternoon for which pupils stay."""

    taps: list[tuple[str, Tap]] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    leaves: list[Leave] = field(default_factory=list)
    watermarks: list[Watermark] = field(default_factory=lambda: [Watermark("e", "cong", "expected", 0)])
    bindings: list[Binding] = field(
        default_factory=lambda: [Binding(f"a:{pupil.key}", pupil.key, 0, 1 << 60) for pupil in PUPILS]
    )
    consents: set[str] = field(default_factory=lambda: {pupil.key for pupil in PUPILS})
    places: dict[str, str] = field(default_factory=dict)
    hands: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    kinds: Collection[MessageKind] = MESSAGE_KINDS

    def tap(
        self, clock: str, way: Direction | None = "in", pupil: str = "st-an", error_s: int = 0, day: date = MONDAY
    ) -> str:
        name, best_ms = f"j.{len(self.taps) + 1}", at(clock, day)
        tap = Tap(name, "", best_ms, best_ms - 1000 * error_s, best_ms + 1000 * error_s, way)
        self.taps.append((f"a:{pupil}", tap))
        self.places[name] = "cổng A"
        return name

    def say(self, state: State, clock: str, by: str = "cô Lan", half: Half = "am", pupil: str = "st-an") -> str:
        name = f"r.{len(self.statements) + 1}"
        self.statements.append(Statement(name, pupil, MONDAY, half, state, at(clock), by))
        return name

    def leave(self, clock: str = "06:00", pupil: str = "st-an") -> None:
        self.leaves.append(Leave("l.1", pupil, (MONDAY, "am"), (MONDAY, "pm"), at(clock), "mẹ"))

    def complete(self, clock: str) -> None:
        self.watermarks.append(Watermark(f"w.{clock}", "cong", "complete", at(clock), at(clock)))

    def facts(self, clock: str, half: Half = "am", pupil: str = "st-an", day: date = MONDAY) -> Facts | None:
        known = SchoolDay(
            PUPILS,
            by_card(self.bindings),
            {(MONDAY, "3/2", half): session(MONDAY, half) for half in ("am", "pm")},  # type: ignore[misc]
            tuple(self.taps),
            tuple(self.statements),
            tuple(self.leaves),
            tuple(self.watermarks),
        )
        found = facts_of(known, marks_of(known, at(clock, day)), self.places, self.consents, self.hands)
        wanted = (one for one in found if (one.marked.session.half, one.marked.pupil.key) == (half, pupil))
        return next(wanted, None)

    def told(self, half: Half = "am", pupil: str = "st-an") -> list[Told]:
        return [
            Told(m.key, m.kind, m.claim, row.state, row.attempts, m.evidence, row.made_ms)  # type: ignore[arg-type]
            for row in self.rows
            if ((m := row.message).half, m.pupil) == (half, pupil)
        ]

    def look(self, clock: str, half: Half = "am", pupil: str = "st-an", day: date = MONDAY) -> list[Message]:
        """Plan until nothing follows; the messages that are new."""
        new: list[Message] = []
        facts = self.facts(clock, half, pupil, day)
        for _ in range(20):
            if facts is None:
                return new
            found = plan(facts, self.told(half, pupil), at(clock, day), self.kinds)
            for row in self.rows:
                if row.message.key in found.cancel:
                    row.state = "cancelled"
            if not found.messages:
                return new
            for message in found.messages:
                assert message.key not in {row.message.key for row in self.rows}, "a name is given once"
                self.rows.append(Row(message, made_ms=at(clock, day)))
                new.append(message)
        raise AssertionError("it never ends")

    def deliver(self, clock: str) -> list[Message]:
        """Send all that waits and is not too old; what was sent."""
        sent = []
        for row in self.rows:
            if row.state == "waiting":
                fit = at(clock) < row.message.valid_until_ms
                row.state, row.attempts = ("sent" if fit else "expired"), row.attempts + fit
                sent += [row.message] if fit else []
        return sent

    def states(self) -> list[tuple[str, str]]:
        return [(row.message.kind, row.state) for row in self.rows]

    def unbind(self, pupil: str, to: str) -> None:
        """The card was another pupil's all the time: its taps find the other one."""
        self.bindings = [replace(one, pupil=to) if one.card == f"a:{pupil}" else one for one in self.bindings]


def kinds(messages: list[Message]) -> list[str]:
    return [message.kind for message in messages]
