"""What counters are told beside names: what a pupil must not eat, who may take a shift, the newest sheet's number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hub.store.database import Database
from hub.store.rosterrows import FIRST_NUMBER_MS


@dataclass(frozen=True, slots=True)
class Diet:
    """What a pupil must not eat, in words for staff. `confirmed`: the school saw a paper; else it was only told."""

    pupil: str
    alerts: tuple[str, ...]
    confirmed: bool
    at_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class CounterStaff:
    """Somebody who may take a shift. `id` stands in records and is no name; `pin`: an argon2id hash; `card` canonical.

    `gone_ms`: from when on no more, None while they may.
    """

    id: str
    shown: str
    pin: str | None
    card: str | None
    since_ms: int
    gone_ms: int | None = None


class CounterRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state. `version` grows with each change of this run."""
        self._run = database.connection.execute
        self.version = 0

    def say_diet(self, diet: Diet) -> None:
        """What a pupil must not eat from now on, in the place of all that was said before."""
        self.version += 1
        self._run(
            "INSERT INTO diets (pupil_key, alerts, confirmed, at_ms, by) VALUES (?, ?, ?, ?, ?)",
            (diet.pupil, "\n".join(diet.alerts), int(diet.confirmed), diet.at_ms, diet.by),
        )

    def diets(self, pupils: Sequence[str] | None = None) -> dict[str, Diet]:
        """Pupil -> what holds now, of all or of some; who has none isn't in it."""
        which, values = ("", ()) if pupils is None else (f"WHERE pupil_key IN ({', '.join('?' * len(pupils))})", pupils)
        found: dict[str, Diet] = {}
        for pupil, alerts, confirmed, at_ms, by in self._run(
            f"SELECT pupil_key, alerts, confirmed, at_ms, by FROM diets {which} ORDER BY number", tuple(values)
        ):
            found[pupil] = Diet(pupil, tuple(alerts.split("\n")) if alerts else (), bool(confirmed), at_ms, by)
        return {pupil: diet for pupil, diet in found.items() if diet.alerts}

    def staff(self) -> Iterator[CounterStaff]:
        """Everybody who may, or once might, take a shift; by id."""
        for row in self._run("SELECT id, shown, pin, card, since_ms, gone_ms FROM counter_staff ORDER BY id"):
            yield CounterStaff(*row)

    def cards(self) -> frozenset[str]:
        """The cards by which somebody may take a shift now, in canonical form: no pupil gets one of them."""
        rows = self._run("SELECT card FROM counter_staff WHERE card IS NOT NULL AND gone_ms IS NULL")
        return frozenset(str(card) for (card,) in rows)

    def admit(self, one: CounterStaff) -> None:
        """Somebody may take a shift, as said now. Raises sqlite3.IntegrityError where the card is somebody else's."""
        self.version += 1
        self._run(
            "INSERT INTO counter_staff (id, shown, pin, card, since_ms, gone_ms) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET shown = excluded.shown, pin = excluded.pin, card = excluded.card,"
            " gone_ms = excluded.gone_ms",
            (one.id, one.shown, one.pin, one.card, one.since_ms, one.gone_ms),
        )

    def next_sheet(self, now_ms: int, above: int = 0) -> int:
        """A number for one more version of the counters' sheet: above `above`, not below the seconds since
        FIRST_NUMBER_MS.

        A counter keeps the highest that it ever heard: a hub that was restored must not be below it for a day.
        """
        version = max(self.sheet() + 1, above + 1, (now_ms - FIRST_NUMBER_MS) // 1000)
        self._run("UPDATE counter_sheets SET version = :version", {"version": version})
        return version

    def sheet(self) -> int:
        """The newest number; 0 where none was made."""
        return int(self._run("SELECT version FROM counter_sheets").fetchone()[0])
