"""A school office on a real socket: store, pages and a desk gateway made by hand, and browsers that are logged in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx

from hub.access.rights import Role
from hub.attendance.schoolday import VIETNAM
from hub.days.classbook import today_at
from hub.roster import RosterRow
from hub.web.server import WebServer
from protocol.batch import BATCH_EVENTS_MAX
from protocol.cards import parse_card
from protocol.rawread import RawRead, encode_raw
from protocol.signing import seal
from protocol.taps import ClockData, TapData
from tests.hub.handmade import T0_MS, Gateway
from tests.hub.room import HubRoom
from tests.hub.running import until
from tests.hub.web.pagehub import SetClock

HOSTILE = "<script>alert(1)</script>=cmd|'/C'!A0\u202eAn"
ROSTER = (
    RosterRow("st-dung", "Trần Đức Dũng", "3/2", None),
    RosterRow("st-an", "Nguyễn Văn An", "3/2", "a:04A1B2C3D4E501"),
    RosterRow("st-be", "Lê Thị Bé", "3/2", None),
    RosterRow("st-chi", HOSTILE, "3/2", None),
    RosterRow("st-hoa", "Đặng Hoà", "3/3", "a:04A1B2C3D4E502"),
)
AN, HOA = "a:04A1B2C3D4E501", "a:04A1B2C3D4E502"
DESK = "van-phong/ban"


def card(number: int) -> str:
    """A card of nobody."""
    return f"a:04C0FFEE{number:06X}"


NOW = datetime(2026, 11, 26, 8, 0, tzinfo=VIETNAM)
"""A Thursday morning in the first term."""


class OfficeRoom:
    """See the room. It is eight o'clock there when it opens."""

    def __init__(self, folder: Path, roster: Sequence[RosterRow] = ROSTER) -> None:
        self.folder, self.clients = folder, list[httpx.Client]()
        self.desk, self.clock = Gateway("van-phong"), SetClock()
        self.clock.ahead_ms = int(NOW.timestamp() * 1000) - self.clock.wall_ns() // 1_000_000
        self._open()
        self.room.known(self.desk)
        if roster:
            self.store.office.take_roster("-", list(roster))
        self.run = self.desk.run(mono_ms=self.mono_ms())
        self.sent = 0

    def _open(self) -> None:
        self.room = HubRoom(self.folder, machine=self.clock)
        self.store = self.room.store
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.server = WebServer(listener, self.store, self.room.status, lambda: None)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        until(lambda: self.server.progress is not None, "the pages are served")

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.stop()
        self._thread.join(10)
        self.room.close()

    def again(self) -> None:
        """The hub after a restart."""
        self.close()
        self.clients = []
        self._open()

    # --- people -------------------------------------------------------------------------------------------------------

    def browser(self, role: Role, school_class: str | None = None) -> httpx.Client:
        """A browser of somebody with this role, logged in."""
        name = f"{role}.{school_class or 'all'}".replace("/", "-")
        now_ms = self.store.clock.now_ms()
        if self.store.users.find(name) is None:
            until_day = "2099-06-30" if role == "substitute" else None
            self.store.users.add(name, name, role, school_class, until_day, now_ms)
        secret = self.store.sessions.begin(name, "tests", now_ms)
        assert secret is not None
        headers = {"accept": "text/html", "origin": self.url}
        made = httpx.Client(base_url=self.url, timeout=20, headers=headers, cookies={"k12": secret})
        self.clients.append(made)
        return made

    def today(self) -> date:
        return today_at(self.store.clock.now_ms())

    def day(self) -> str:
        return self.today().isoformat()

    def audit(self, who: str) -> list[tuple[str, str, str]]:
        return [(r.what, r.object, r.outcome) for r in self.store.audit.page(None, 200) if r.who == who]

    # --- the desk -----------------------------------------------------------------------------------------------------

    def mono_ms(self) -> int:
        return self.store.clock.now_ms() - T0_MS

    def tap(self, number: str, *, known: str | None = None, kind: Any = "desk", **more: Any) -> str:
        """A card held to the desk, as a gateway that has the roster records it; it reaches the hub and is read."""
        school_key = self.store.secrets.card_keys()[-1]
        reason = more.pop("reason", None if known else "unknown")
        raw: dict[str, Any] = {}
        if reason == "unknown":
            raw = {"raw": seal(self.store.secrets.identity().box, encode_raw(RawRead(number)))}

        def data(at: ClockData) -> TapData:
            keyed = school_key.keyed(parse_card(number))
            decision: Any = "accepted" if known else "refused"
            way = "in" if kind == "gate" else None
            return TapData(kind, "ban", way, keyed, known, decision, reason, "ok", "r-1", at, **raw)

        mono_ms = more.pop("mono_ms", self.mono_ms())
        told = "card.presented" if kind == "desk" else "attendance.tap"
        self.run.add(told if known else "card.refused", data, mono_ms=mono_ms, **more)
        while self.sent < len(self.run.lines):
            last = min(self.sent + BATCH_EVENTS_MAX, len(self.run.lines))
            self.room.batch(self.desk, self.desk.batch(self.run, self.sent + 1, last))
            self.sent = last
        while self.store.daybook.catch_up(50) or self.store.daybook.attribute(50):
            pass
        return f"{self.run.journal}.{self.sent}"


def csrf_in(page: httpx.Response) -> str:
    """The hidden field of a page's forms."""
    return page.text.split('data-csrf="', 1)[1].split('"', 1)[0]


def sent(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """A form sent from its page."""
    page = client.get("/me")
    return client.post(path, data={"csrf": csrf_in(page), **fields})


@contextmanager
def office_room(folder: Path, roster: Sequence[RosterRow] = ROSTER) -> Iterator[OfficeRoom]:
    made = OfficeRoom(folder / "hub", roster)
    try:
        yield made
    finally:
        made.close()
