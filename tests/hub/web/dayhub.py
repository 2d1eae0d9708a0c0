"""A hub's pages with a school day on them: two classes, a gate that taps, the daybook read on its own thread."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx

from hub.access.rights import Role
from hub.attendance.schoolday import VIETNAM
from hub.road.reception import Followups, Reception
from hub.roster import RosterRow
from hub.web.doorman import cookie_name
from protocol.cards import parse_card
from protocol.envelope import rfc3339
from protocol.taps import ClockData, TapData
from tests.hub.handmade import SCHOOL, T0_MS, Gateway, Run
from tests.hub.running import until
from tests.hub.web.pagehub import BOUND, CLASS, OTHER_CLASS, PageHub, SetClock

DAY = date(2026, 11, 26)
"""A Thursday; the hub's clock is set to it."""
FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Đặng", "Vũ")
GIVEN = ("An", "Bình", "Châu", "Dũng", "Đạt", "Em", "Giang", "Hoà", "Khánh", "Lan", "Minh", "Nga", "Oanh", "Phúc")
STRANGE = "a:04FFFFFFFFFF81"
HOSTILE = (
    "<script>window.struck = 1</script>",
    '=HYPERLINK("http://foreign.example")',
    "Nguyễn \u202egnah\u202c Văn",
    '" onfocus=window.struck=1 autofocus x="',
    "{{ 7 * 7 }}%s",
)


def ms_at(clock: str, day: date = DAY) -> int:
    hour, minute, *second = map(int, clock.split(":"))
    moment = datetime(day.year, day.month, day.day, hour, minute, *second, tzinfo=VIETNAM)
    return int(moment.timestamp() * 1000)


def pupils_of(school_class: str, count: int, first: int = 0) -> list[RosterRow]:
    """A class of pupils with cards; keys `p-<class>-<number>`."""
    slug = school_class.replace("/", "-")
    return [
        RosterRow(
            f"st-{slug}-{number}",
            f"{FAMILY[(first + number) % 7]} {('Văn', 'Thị', 'Minh')[number % 3]} {GIVEN[(first + number) % 14]}",
            school_class,
            f"a:04{(first + number):010X}81",
        )
        for number in range(count)
    ]


ROSTER = (*pupils_of(CLASS, 12), *pupils_of(OTHER_CLASS, 6, first=500))


class DayHub(PageHub):
    """See the room. `now` sets the clock; `tap` holds a card to the gate, `deliver` brings the taps here."""

    def __init__(self, folder: Path, roster: Iterable[RosterRow] = ROSTER, **more: Any) -> None:
        self.gate, self.rows, self._late_ms = Gateway(), list(roster), 0
        super().__init__(folder, **more)

    def _open(self) -> None:
        self.clock = SetClock()
        self.clock.ahead_ms = ms_at("07:10") - self.clock.wall_ns() // 1_000_000
        super()._open()
        store = self.store
        assert store.own is not None
        self.reception = Reception(
            SCHOOL,
            store.ledger,
            store.devices,
            store.secrets,
            store.roster,
            self.status.fleet,
            store.own,
            store.anchors,
            store.clock,
        )
        store.office.on_entered = lambda _roster: store.daybook.wake()
        self._reading = threading.Thread(target=store.daybook.run, daemon=True)
        if not hasattr(self, "run"):
            self._furnish()
        self._reading.start()

    def _furnish(self) -> None:
        store = self.store
        self.heard()
        self.ask("devices-accept", device=self.gate.device, fingerprint=None)
        store.office.take_roster("-", self.rows)
        self.run: Run = self.gate.run(mono_ms=ms_at("05:00") - T0_MS)
        self.sent = 0
        self.cards = {row.pupil_key: row.card or "" for row in self.rows}

    def close(self) -> None:
        self.store.daybook.stop()
        self._reading.join(10)
        super().close()

    def now(self, clock: str, day: date = DAY) -> None:
        self.clock.ahead_ms += ms_at(clock, day) - self.store.clock.now_ms()

    def later(self) -> str:
        """A minute later than now and than this ever said, though the clock was set back; its hour and minute."""
        now_ms = self.store.clock.now_ms()
        self._late_ms = max(now_ms, self._late_ms) + 60_000
        self.clock.ahead_ms += self._late_ms - now_ms
        return datetime.fromtimestamp(self._late_ms / 1000, VIETNAM).strftime("%H:%M")

    def tap(self, pupil: str, clock: str, *, way: str = "in", card: str | None = None, err_ms: int = 15) -> str:
        """A pupil's card at the gate, or another card; the record's id."""
        key, number = self.store.secrets.card_keys()[-1], card or self.cards[pupil]
        keyed = key.keyed(parse_card(number))

        def data(at: ClockData) -> TapData:
            if card is not None:
                return TapData("gate", "cong-a", way, keyed, None, "refused", "unknown", "refused", "r-1", at)  # type: ignore[arg-type]
            return TapData("gate", "cong-a", way, keyed, pupil, "accepted", None, "ok", "r-1", at)  # type: ignore[arg-type]

        kind = "attendance.tap" if card is None else "card.refused"
        self.run.add(kind, data, mono_ms=ms_at(clock) - T0_MS, err_ms=err_ms)
        return f"{self.run.journal}.{len(self.run.lines)}"

    def watermark(self, clock: str, **more: Any) -> None:
        """The gateway says that all that it saw until then is written; `more`: what else it says, or otherwise."""
        told = {
            "last": len(self.run.lines),
            "complete_to": rfc3339(ms_at(clock)),
            "stations": {"cong-a": "gate"},
            "readers": {"cong-a": "ready"},
            "blind": [],
            **more,
        }
        self.run.add("device.watermark", told, mono_ms=ms_at(clock) - T0_MS)

    def deliver(self, *, wait: bool = True) -> None:
        """What was tapped reaches the ledger; and the daybook."""
        with self.store.database.transaction():
            self.reception.take_batch(self.gate.device, self.gate.batch(self.run, self.sent + 1), Followups())
        self.sent = len(self.run.lines)
        self.store.daybook.wake()
        if wait:
            self.settle()

    def heard(self, **changes: Any) -> None:
        """The gateway says how it is."""
        with self.store.database.transaction():
            self.reception.take_state(self.gate.device, self.gate.state(**changes), Followups())

    def browser(self, role: Role, name: str = "", **words: str) -> httpx.Client:
        """Somebody of a role who is logged in already."""
        name = name or f"{role}.user"
        self.ask("user-add", name=name, role=role, **{**BOUND.get(role, {}), **words})
        secret = self.store.sessions.begin(name, "test", self.store.clock.now_ms())
        assert secret is not None
        client = self.client()
        client.cookies.set(cookie_name("https" if self.tls else "http"), secret)
        return client

    def listeners(self) -> int:
        """Streams that are open."""
        return self.server.streams()

    def settle(self) -> None:
        """Everything entered is read."""

        def read() -> bool:
            with self.store.database.lock:
                return self.store.days.cursor() >= self.store.days.newest()

        until(read, "the daybook is read")


def other_day(days: int) -> date:
    return DAY + timedelta(days=days)


@contextmanager
def day_hub(folder: Path, **more: Any) -> Iterator[DayHub]:
    made = DayHub(folder, **more)
    try:
        yield made
    finally:
        made.close()


def new_card() -> str:
    return f"a:04{secrets.token_hex(5).upper()}81"
