"""The demonstration's office: what staff do on the hub's own pages, and how a morning's list becomes final."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import httpx2
import msgspec

from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import WEEKDAYS, Bell, Bells, Timetable, Week, timetable_bytes
from protocol.errors import NeedsHands
from sim.demo.chain import Chain
from sim.parts import until
from sim.school import Pupil

FINAL_S: Final = 5.0
"""The list becomes final at the first whole minute that is so far ahead: bells are told in minutes."""
FIRST_FINAL_MIN: Final = 30
"""When the first bells of the day are final: by them nobody is missing while pupils still come."""
LESSONS_MIN: Final = 60
ABSENT: Final = 3
FINAL_WITHIN_S: Final = 110.0
LOOK_S: Final = 0.5
CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]*)"')


class Visitor:
    """A person in a browser: logged in by the one-time link that a command printed."""

    def __init__(self, base: str, link: str) -> None:
        """Choose a password; whoever has the link does."""
        self._http = httpx2.Client(base_url=base, timeout=30, headers={"accept": "text/html", "origin": base})
        password = secrets.token_urlsafe(16)
        self._sent(self._http.post(link, data={"password": password, "again": password}))

    def close(self) -> None:
        """Leave."""
        self._http.close()

    def page(self, path: str) -> str:
        """A page's text."""
        answer = self._http.get(path)
        if answer.status_code != 200:
            raise NeedsHands(f"{path} answered {answer.status_code}")
        return answer.text

    def send(self, page: str, path: str, fields: Mapping[str, str | list[str]]) -> None:
        """Send a form of a page."""
        found = CSRF.search(self.page(page))
        assert found is not None, page
        self._sent(self._http.post(path, data={**fields, "csrf": found[1]}))

    @staticmethod
    def _sent(answer: httpx2.Response) -> None:
        if answer.status_code != 303:
            raise NeedsHands(f"a form was answered {answer.status_code}: {answer.text[:200]}")


def asked(hub_url: str, token: str, method: str, path: str, body: Any = None) -> Any:
    """What the hub's API answers to the holder of a token. Raises NeedsHands."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    content = b"" if body is None else msgspec.json.encode(body)
    answer = httpx2.request(method, hub_url + path, content=content, headers=headers, timeout=30)
    if answer.status_code != 200:
        raise NeedsHands(f"{method} {path} answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()


@dataclass(frozen=True, slots=True)
class Morning:
    """How a class's morning stood before the list was final, and after: pupil -> mark; and the school's counts."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    school: Counter[str]


class Office:
    """The principal with a browser, and the homeroom teacher of a class with three absent pupils."""

    def __init__(self, chain: Chain, pupils: Sequence[Pupil]) -> None:
        """Choose who doesn't come today; nobody is logged in yet."""
        self._chain = chain
        classes: dict[str, list[Pupil]] = {}
        for pupil in pupils:
            classes.setdefault(pupil.school_class, []).append(pupil)
        self.school_class, members = max(classes.items(), key=lambda one: len(one[1]))
        self.absent = tuple(members[:ABSENT]) if len(members) > ABSENT else ()
        self.principal: Visitor | None = None
        self._token = ""
        self.link = ""
        self._began = self.final = datetime.now(VIETNAM)
        self.day = self._began.date()

    @property
    def possible(self) -> bool:
        """Whether the day has an hour left, and a class somebody who can be missing."""
        return bool(self.absent) and (self._began + timedelta(minutes=LESSONS_MIN + 5)).date() == self.day

    def open(self) -> None:
        """Users: two principals, one for whoever watches, and a teacher. The gates stand, nobody has come yet."""
        chain = self._chain
        self._opened = datetime.now(VIETNAM)
        link = chain.command("user", "add", "hieu-truong", "--role", "principal").splitlines()[-1].split()[-1]
        self.principal = Visitor(chain.hub_url, link)
        self.link = chain.command("user", "add", "khach", "--role", "principal").splitlines()[-1].split()[-1]
        named = ("--role", "teacher", "--class", self.school_class, "--name", "co-lan")
        self._token = chain.command("token", "add", *named).split()[-1]
        self._ring(self._opened + timedelta(minutes=FIRST_FINAL_MIN))

    def _ring(self, final: datetime) -> None:
        """The principal sets the bells: nobody is late, and who is missing is so when `final` has passed."""
        assert self.principal is not None
        fields = {"act": "document", "first_day": self.day.isoformat(), "document": self._bells(final)}
        self.principal.send("/calendar", "/calendar/change", {"fields": json.dumps(fields)})

    def _bells(self, final: datetime) -> str:
        ends = max(final, self._opened + timedelta(minutes=LESSONS_MIN))
        moments = (self._opened, final, final, final, ends)
        bell = Bell(*(f"{moment:%H:%M}" for moment in moments))
        today = self.day
        document = Timetable(
            name="demo",
            first=today,
            last=date(today.year + 1, today.month, 1),
            bells=(Bells(am=bell),),
            weeks=(Week(days={weekday: ("am",) for weekday in WEEKDAYS}),),
        )
        return timetable_bytes(document).decode("utf-8")

    # --- what is asked and said ---------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return asked(self._chain.hub_url, self._token, method, path, body)

    def marks(self) -> dict[str, str]:
        """The marks of the class as they stand: pupil -> mark."""
        return {item["student"]: item["mark"] for item in self._ask("GET", "/v1/marks")["items"]}

    def teach(self) -> Mapping[str, str]:
        """The marks before; then the teacher enters a leave notice and a K, and signs: the third is left to the list.

        First the principal sets the bells by the hour of the demonstration.
        """
        self.final = (datetime.now(VIETNAM) + timedelta(seconds=FINAL_S + 59)).replace(second=0, microsecond=0)
        self._ring(self.final)
        before = self.marks()
        today = {"day": self.day.isoformat(), "half": "am"}
        excused, unexcused = self.absent[:2]
        self._ask("POST", "/v1/leave", {"student": excused.key, "first": today, "last": today})
        said = {"class": self.school_class, **today, "states": {unexcused.key: "unexcused"}, "confirms": True}
        self._ask("POST", "/v1/rollcall", said)
        return before

    def await_list(self) -> None:
        """Until every gate has proved that it holds nothing older than the bell; then whoever is missing is absent."""
        until(self._is_final, "the list doesn't become final", within_s=FINAL_WITHIN_S, also=self._chain.check)

    def await_final(self, before: Mapping[str, str]) -> Morning:
        """The marks when the list is final."""
        self.await_list()
        assert self.principal is not None
        for page in ("/today", "/devices", "/calendar", "/users", "/audit"):
            self.principal.page(page)
        day = json.loads(self._chain.command("recompute", "--day", self.day.isoformat(), "--json"))
        return Morning(before, self.marks(), Counter(mark["mark"] for mark in day["marks"]))

    def _is_final(self) -> bool:
        time.sleep(LOOK_S)
        found = self._ask_here("/v1/watermark")["items"]
        return bool(found) and all(item["complete"] for item in found) and self._past(found)

    def _past(self, found: list[dict[str, Any]]) -> bool:
        return all(datetime.fromisoformat(item["final"]) <= datetime.now(VIETNAM) for item in found)

    def _ask_here(self, path: str) -> Any:
        answer = httpx2.get(self._chain.hub_url + path, timeout=30)
        return answer.json()

    def problems(self, final: Morning) -> list[str]:
        """What of the day isn't as it must be."""
        excused, unexcused, missing = (pupil.key for pupil in self.absent)
        wanted = {excused: "excused", unexcused: "unexcused", missing: "absent"}
        found = [
            f"{key}: {final.after.get(key)}, not {mark}" for key, mark in wanted.items() if final.after[key] != mark
        ]
        if final.before[missing] != "not-known":
            found.append(f"{missing}: {final.before[missing]} before the list was final")
        there = [key for key, mark in final.after.items() if key not in wanted and mark != "present"]
        return [*found, *(f"{key}: {final.after[key]}, not present" for key in there)]

    def close(self) -> None:
        """Everybody leaves."""
        if self.principal is not None:
            self.principal.close()
