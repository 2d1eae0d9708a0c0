"""The city's roster: a school's years, classes, pupils and enrolments as OneRoster rows, and what changes in them."""

from __future__ import annotations

import time
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from sim.school import FAMILIES, GIVENS, MIDDLES, make_school

COLLECTIONS: Final = ("orgs", "academicSessions", "classes", "enrollments", "users", "demographics")
SCHOOL: Final = "org-79000701"
IDENTIFIER: Final = "79000701"
YEAR: Final = 2026
Row = dict[str, Any]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def stamp(unix_ms: int) -> str:
    """A moment as rows have it."""
    when = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


class RosterBook:
    """See the room. `forgets`: who leaves is taken out without a word, as servers do; else marked `tobedeleted`.

    `may_leave`: how many more may leave by `edit`; None: any number.
    """

    def __init__(
        self, pupils: int, seed: int, now_ms: Callable[[], int] = _now_ms, *, forgets: bool = False, year: int = YEAR
    ) -> None:
        """A school in the midst of a year."""
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in COLLECTIONS}
        self._sorted: dict[str, list[str]] = {}
        self.now_ms, self._forgets, self._rng = now_ms, forgets, Random(seed)
        self._put("orgs", SCHOOL, {"name": "Trường mẫu", "type": "school", "identifier": IDENTIFIER})
        self.may_leave: int | None = None
        self._there: list[str] = []
        self._of_user: dict[str, list[str]] = {}
        self.year = self.add_year(year)
        school = make_school(pupils, seed)
        self.titles = sorted({pupil.school_class for pupil in school})
        self._add_classes(self.year)
        for pupil in school:
            family, middle, given = pupil.name.split(" ")
            self.admit(pupil.school_class, (family, middle, given))

    # --- reading ------------------------------------------------------------------------------------------------------

    def pupils(self) -> dict[str, tuple[str, str]]:
        """The truth: who is a pupil now, by id, with name and class."""
        users = self.rows["users"]
        return {
            user: (self.name_of(user), title)
            for user, title in self._titles(self.year).items()
            if users.get(user, {}).get("status") == "active"
        }

    def name_of(self, user: str) -> str:
        """A pupil's name as it is written."""
        row = self.rows["users"][user]
        name = " ".join(filter(None, (row["familyName"], row["middleName"], row["givenName"])))
        return unicodedata.normalize("NFC", name)

    def _titles(self, year: str) -> dict[str, str]:
        classes = self.rows["classes"]
        found = {}
        for row in self.rows["enrollments"].values():
            at = classes.get(row["class"]["sourcedId"])
            if row["status"] == "active" and at is not None and at["terms"][0]["sourcedId"] == f"{year}-hk1":
                found[row["user"]["sourcedId"]] = at["title"]
        return found

    def ids(self, collection: str) -> list[str]:
        """Ids in order."""
        if collection not in self._sorted:
            self._sorted[collection] = sorted(self.rows[collection])
        return self._sorted[collection]

    def behind(self, collection: str, key: str) -> list[str]:
        """The ids behind a key, in order."""
        ids = self.ids(collection)
        return ids[bisect_right(ids, key) :]

    # --- changes ------------------------------------------------------------------------------------------------------

    def _put(self, collection: str, name: str, facts: Row) -> str:
        self._sorted.pop(collection, None)
        row = {"sourcedId": name, "status": "active", "dateLastModified": stamp(self.now_ms()), **facts}
        # A row that was edited stands last where a server sorts by nothing.
        self.rows[collection].pop(name, None)
        self.rows[collection][name] = row
        return name

    def _change(self, collection: str, name: str, **facts: Any) -> None:
        kept = {key: value for key, value in self.rows[collection][name].items() if key != "dateLastModified"}
        self._put(collection, name, kept | facts)

    def _end(self, collection: str, name: str) -> None:
        if self._forgets:
            self._sorted.pop(collection, None)
            del self.rows[collection][name]
        else:
            self._change(collection, name, status="tobedeleted")

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{self._rng.getrandbits(48):012x}"

    def add_year(self, first: int) -> str:
        """A school year and its two halves; its id."""
        year = f"y-{first}"
        days = {"startDate": f"{first}-09-05", "endDate": f"{first + 1}-05-31"}
        self._put("academicSessions", year, {"title": f"{first}-{first + 1}", "type": "schoolYear", **days})
        for half in ("hk1", "hk2"):
            facts = {"title": half, "type": "semester", "parent": {"sourcedId": year}, **days}
            self._put("academicSessions", f"{year}-{half}", facts)
        return year

    def _add_classes(self, year: str) -> None:
        for title in self.titles:
            facts = {
                "title": title,
                "classType": "homeroom",
                "school": {"sourcedId": SCHOOL},
                "terms": [{"sourcedId": f"{year}-hk1"}, {"sourcedId": f"{year}-hk2"}],
            }
            self._put("classes", f"{year}-{title}", facts)

    def admit(self, title: str, name: tuple[str, str, str] | None = None) -> str:
        """A new pupil; their id."""
        rng = self._rng
        family, middle, given = name or (rng.choice(FAMILIES), rng.choice(MIDDLES), rng.choice(GIVENS))
        user = self._id("u")
        if rng.random() < 0.2:
            middle = unicodedata.normalize("NFD", middle)
        born = date(2013, 1, 1) + timedelta(days=rng.randrange(1500))
        facts: Row = {
            "familyName": family,
            "middleName": middle,
            "givenName": given,
            "identifier": f"HS{rng.getrandbits(33):010d}",
            "roles": [{"roleType": "primary", "role": "student", "org": {"sourcedId": SCHOOL}}],
        }
        self._put("users", user, facts)
        self._put("demographics", user, {"birthDate": born.isoformat(), "sex": rng.choice(("male", "female"))})
        self._enrol(user, title, None)
        self._there.append(user)
        return user

    def _enrol(self, user: str, title: str, first: date | None) -> None:
        facts = {
            "user": {"sourcedId": user},
            "class": {"sourcedId": f"{self.year}-{title}"},
            "school": {"sourcedId": SCHOOL},
            "role": "student",
            "primary": True,
            "beginDate": None if first is None else first.isoformat(),
        }
        self._of_user.setdefault(user, []).append(self._put("enrollments", self._id("e"), facts))

    def _enrolments(self, user: str, year: str) -> list[str]:
        rows = self.rows["enrollments"]
        return [
            name
            for name in self._of_user.get(user, ())
            if name in rows
            and rows[name]["status"] == "active"
            and rows[name]["class"]["sourcedId"].startswith(f"{year}-")
        ]

    def leave(self, user: str) -> None:
        """A pupil goes."""
        for name in self._enrolments(user, self.year):
            self._end("enrollments", name)
        self._end("users", user)
        self._end("demographics", user)

    def move(self, user: str, title: str) -> None:
        """A pupil changes class."""
        for name in self._enrolments(user, self.year):
            self._end("enrollments", name)
        self._enrol(user, title, datetime.fromtimestamp(self.now_ms() / 1000, UTC).date())

    def rename(self, user: str, given: str) -> None:
        """A pupil's name is corrected."""
        self._change("users", user, givenName=given)

    def edit(self) -> str:
        """Something happens to somebody; what."""
        rng, users = self._rng, self._there
        what = rng.choice(("admit", "leave", "move", "rename")) if users else "admit"
        at = rng.randrange(len(users)) if users else 0
        while what != "admit" and self.rows["users"].get(users[at], {}).get("status") != "active":
            users[at] = users[-1]
            users.pop()
            at = rng.randrange(len(users))
        if what == "leave" and self.may_leave is not None:
            what = "leave" if self.may_leave > 0 else "rename"
            self.may_leave -= 1
        if what == "admit":
            self.admit(rng.choice(self.titles))
        elif what == "leave":
            self.leave(users[at])
        elif what == "move":
            self.move(users[at], rng.choice(self.titles))
        else:
            self.rename(users[at], rng.choice(GIVENS))
        return what

    def begin_year(self, first: int, leaving: int) -> set[str]:
        """Next year's classes and enrolments, but for so many pupils, who leave with the old one; who they are."""
        staying = sorted(self.pupils())
        gone = set(self._rng.sample(staying, leaving))
        titles = self._titles(self.year)
        self.year = self.add_year(first)
        self._add_classes(self.year)
        for user in staying:
            if user not in gone:
                self._enrol(user, self.titles[(self.titles.index(titles[user]) + 1) % len(self.titles)], None)
        return gone
