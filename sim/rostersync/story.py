"""A story: a hub and a city of one seed through some nights, and what must be true of the hub's pupils at each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec

from hub.rostersync.asking import Kind
from hub.rostersync.due import due
from hub.rostersync.plan import Asked, Plan, many
from sim.city.rosterapi import Manners, RosterApi
from sim.city.rosterbook import RosterBook
from sim.rostersync.naive import one_walk_by_offset, short_page_ends
from sim.rostersync.twin import Clock, HubSide

BEGIN_MS: Final = 1_795_564_800_000
"""2026-11-25 UTC: in the midst of a school year."""
LAST_WEEKS_MS: Final = 1_810_771_200_000
"""2027-05-20 UTC: before the summer."""
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
NIGHTS: Final = 3
MAY_LEAVE: Final = 6
"""So many pupils at most leave between two full pulls of an ordinary day: fewer than the guard minds."""
MAY_LEAVE_SHARE: Final = 50
"""And at most one in so many."""
SCHOOL: Final = "79000701"

Incident = Callable[["Run"], None]


@dataclass(slots=True)
class Told:
    """What a story came to: figures that add up, and what was wrong."""

    seed: int
    figures: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def manners_of(rng: Random) -> Manners:
    """A kind of server, drawn: each as it is met."""
    kind = rng.choice(("honest", "honest", "ignores-filter", "refuses-filter", "ignores-sort", "ignores-since"))
    return Manners(
        seed=rng.randrange(1 << 30),
        clamp=rng.choice((0, 50, 100, 200)),
        ignores_filter=kind == "ignores-filter",
        refuses_filter=kind == "refuses-filter",
        ignores_sort=kind == "ignores-sort",
        ignores_since=kind == "ignores-since",
        edits=rng.choice((0, 0.05, 0.3)),
        duplicates=rng.choice((0, 0.1)),
        too_many=rng.choice((0, 0.03)),
        retry_after_s=rng.choice((0, 2, 30)),
        retry_as_date=rng.random() < 0.5,
        unavailable=rng.choice((0, 0.03)),
        truncated=rng.choice((0, 0.03)),
        wrong_types=rng.choice((0, 0.001)),
        date_off_s=rng.choice((0, 0, -3600, 3600, -315_000_000, 315_000_000)),
        no_date=rng.random() < 0.1,
        lacks=rng.choice(([], ["demographics"])),
    )


class Run:
    """One seed's city and hub."""

    def __init__(self, seed: int, pupils: int) -> None:
        """An empty hub, a city with a school."""
        self.rng = Random(seed)
        self.told = Told(seed)
        self.incident = self.rng.choice(sorted(INCIDENTS))
        self.clock = Clock(
            (LAST_WEEKS_MS if self.incident == "new-year" else BEGIN_MS) + self.rng.randrange(12 * HOUR_MS)
        )
        self.book = RosterBook(pupils, seed, self.clock.now_ms, forgets=self.rng.random() < 0.5)
        self.manners = manners_of(self.rng)
        self.api = RosterApi(self.book, self.manners)
        self.hub = HubSide(self.clock, Random(seed + 1))
        self.may_leave = min(MAY_LEAVE, pupils // MAY_LEAVE_SHARE)

    def wrong(self, text: str) -> None:
        """A promise was broken."""
        self.told.problems.append(f"seed {self.told.seed} ({self.incident}): {text}")

    def act(self, **changed: object) -> None:
        """The city behaves otherwise from now on."""
        self.api.manners = msgspec.structs.replace(self.api.manners, **changed)

    def pull(self, kind: Kind, asked: Asked | None = None) -> Plan:
        """A pull, and what must be true of it."""
        before, mine = set(self.book.pupils()), set(self.hub.twin.enrolled())
        made = self.hub.until_pulled(self.api, kind, asked or Asked())
        truth = set(self.book.pupils())
        self.told.figures[kind] += 1
        now = set(self.hub.twin.enrolled())
        if made.guard is not None and now != mine:
            self.wrong("a pull that was held back changed something")
        lost = (mine - now) & before & truth
        if lost:
            self.wrong(f"{len(lost)} pupils who were at the city all the time left in a {kind} pull")
        self.told.figures["lost"] += len(lost)
        self._whole(before & truth)
        return made

    def _whole(self, steady: set[str]) -> None:
        """Who stood still at a city that can page by key was seen by each full pull."""
        harvest = self.hub.harvest
        if harvest is None or harvest.kind == "delta" or self.api.manners.hidden or self.api.manners.empty:
            return
        users = harvest.collections["users"]
        unseen = steady - set(users.rows)
        if "users" not in harvest.offsets:
            self.told.figures["full pulls by key"] += 1
            if unseen:
                self.wrong(f"{len(unseen)} pupils who stood still weren't seen by key")
        else:
            self.told.figures["full pulls by offset"] += 1
            self.told.figures["walks that never agreed"] += not users.whole
            self.told.figures["rows that agreed walks missed"] += len(unseen) if users.whole else 0

    def calm(self, made: Plan, when: str) -> None:
        """A plan of an ordinary day goes through.

        But where so many left while no walk could prove it that they are many by now: then a person is asked.
        """
        if made.guard is None:
            return
        mine, truth = self.hub.twin.enrolled().keys(), self.book.pupils().keys()
        gone = len(mine - truth)
        if not many(gone, len(mine)):
            self.wrong(f"the guard tripped for nothing {when}: {made.guard}")
            self.told.figures["guard tripped for nothing"] += 1
            return
        self.must_trip(made)
        if self.pull("full", Asked(allow_gone=made.guard.gone + self.may_leave)).guard is not None:
            self.wrong("a person's word didn't count")

    def night(self) -> Plan:
        """The next nightly pull, by the hub's own plan of when."""
        for _ in range(40):
            kind, wait_ms = due(self.hub.state, self.clock.ms, SCHOOL)
            if kind == "full":
                return self.pull("full")
            if kind == "delta":
                # A night has sixty deltas; the story tells of some.
                self.pull("delta")
                self.clock.ms += self.rng.randrange(HOUR_MS, 4 * HOUR_MS)
            else:
                self.clock.ms += wait_ms
        raise AssertionError("no night came")

    def day(self) -> None:
        """A day on which people come, go and move, and the night after it."""
        self.book.may_leave = self.may_leave
        for _ in range(self.rng.randrange(6)):
            self.clock.ms += self.rng.randrange(HOUR_MS)
            self.book.edit()
            if self.rng.random() < 0.5:
                self.calm(self.pull("delta"), "by day")
        self.calm(self.night(), "by night")

    def quiet(self) -> None:
        """The city is left alone; after two full pulls the hub has what it has."""
        self.act(edits=0, wrong_types=0, hidden=0, empty=[], too_many=0, unavailable=0, truncated=0)
        for _ in range(2):
            self.clock.ms += DAY_MS
            self.calm(self.pull("full"), "at the end")
        mine, truth = self.hub.twin.enrolled(), self.book.pupils()
        lost, ghosts = truth.keys() - mine.keys(), mine.keys() - truth.keys()
        other = sum(mine[name] != truth[name] for name in mine.keys() & truth.keys())
        self.told.figures["lost"] += len(lost)
        self.told.figures["ghosts"] += len(ghosts)
        for count, what in ((len(lost), "lost"), (len(ghosts), "ghosts"), (other, "of another name or class")):
            if count:
                self.wrong(f"{count} {what} after two full pulls")
        if any(one.missing for one in self.hub.twin.people.values()):
            self.wrong("somebody is missing after two full pulls")

    def must_trip(self, made: Plan) -> None:
        """A plan that would take many is held back."""
        self.told.figures["guard had to trip"] += 1
        if made.guard is None:
            self.wrong("the guard didn't trip")
        else:
            self.told.figures["guard tripped"] += 1


# --- incidents --------------------------------------------------------------------------------------------------------


def nothing(run: Run) -> None:
    """An ordinary night."""
    run.day()


def empty_answer(run: Run) -> None:
    """A collection comes empty for a night, with 200."""
    run.act(empty=[run.rng.choice(("users", "enrollments", "classes"))])
    run.must_trip(run.night())
    run.act(empty=[])
    run.calm(run.night(), "when the city was itself again")


def many_hidden(run: Run) -> None:
    """The city drops a part of its rows for two nights."""
    run.act(hidden=run.rng.choice((0.15, 0.4, 0.9)), edits=0)
    run.must_trip(run.night())
    run.clock.ms += DAY_MS
    run.must_trip(run.night())
    run.act(hidden=0)
    run.calm(run.night(), "when the city was itself again")


def few_hidden(run: Run) -> None:
    """The city drops some rows for one night: grace."""
    run.book.may_leave = 0
    run.act(hidden=0.003, edits=0)
    hidden = {name for name in run.hub.twin.enrolled() if run.api.hides(name)}
    made = run.night()
    if not many(made.counts()["missing"], len(run.hub.twin.enrolled())):
        run.calm(made, "with a few rows missing")
    still = set(run.hub.twin.enrolled()) & set(run.book.pupils())
    run.told.figures["kept by grace"] += len(hidden & still)
    run.act(hidden=0)
    run.calm(run.night(), "when the rows were there again")


def many_leave(run: Run) -> None:
    """A part of the school really leaves (a branch is closed); staff say so."""
    run.act(edits=0)
    leaving = sorted(run.book.pupils())[:: run.rng.choice((2, 4))]
    for user in leaving:
        run.book.leave(user)
    made = run.night()
    run.must_trip(made)
    if made.guard is not None:
        run.clock.ms += HOUR_MS
        after = run.pull("full", Asked(allow_gone=len(leaving) + run.may_leave))
        run.calm(after, "after staff said so")


def new_year(run: Run) -> None:
    """Next year's classes are entered in the summer; the year begins; the last grade leaves with the old one."""
    run.book.may_leave = 0
    run.act(edits=0)
    run.clock.ms += 50 * DAY_MS
    pupils = len(run.book.pupils())
    gone = run.book.begin_year(2027, pupils // 4)
    run.calm(run.night(), "with next year's classes entered")
    ahead = run.hub.until_pulled(run.api, "full").rollover
    if ahead is None or ahead.begins or len(ahead.leaving) != len(gone):
        run.wrong(f"no preview of the year that comes: {ahead}")
    run.clock.ms += 65 * DAY_MS
    made = run.night()
    run.calm(made, "on the first day of the year")
    if made.rollover is None or not made.rollover.begins or set(made.rollover.leaving) != _keys(run, gone):
        run.wrong("the year began, and who stays behind wasn't named")
        return
    run.calm(run.pull("full", Asked(begin_year=made.rollover.year.id)), "when staff began the year")
    ends = {run.hub.twin.ends().get(key) for key in _keys(run, gone)}
    if {str(end) for end in ends} != {"2027-05-31"}:
        run.wrong(f"leavers end on {ends}")


def _keys(run: Run, names: set[str]) -> set[str]:
    return {key for key, one in run.hub.twin.people.items() if one.city_id in names}


INCIDENTS: Final[dict[str, Incident]] = {
    "nothing": nothing,
    "empty-answer": empty_answer,
    "many-hidden": many_hidden,
    "few-hidden": few_hidden,
    "many-leave": many_leave,
    "new-year": new_year,
}


def tell(seed: int, pupils: int) -> Told:
    """Live through a seed."""
    run = Run(seed, pupils)
    run.book.may_leave = run.may_leave
    run.calm(run.pull("full"), "at the first pull")
    for _ in range(NIGHTS):
        run.day()
    INCIDENTS[run.incident](run)
    run.day()
    run.quiet()
    run.told.figures[run.incident] += 1
    run.told.figures["questions"] += run.hub.asks
    run.told.figures["failed pulls"] += run.hub.failed
    _naive(run)
    return run.told


def _naive(run: Run) -> None:
    """What paging as one would write it loses at the same city, of those who stood still."""
    run.api.manners = msgspec.structs.replace(run.manners, too_many=0, unavailable=0, truncated=0, edits=1)
    for name, page in (("short page ends", short_page_ends), ("one walk by offset", one_walk_by_offset)):
        before = set(run.book.pupils())
        run.book.may_leave = None
        seen = page(run.api)
        lost = before & set(run.book.pupils()) - seen
        run.told.figures[f"naive, {name}: lost"] += len(lost)
        run.told.figures[f"naive, {name}: runs with a loss"] += bool(lost)
