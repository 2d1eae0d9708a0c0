"""The counters' teller: makes the counters' sheet anew whenever something of it changes, and sends it to each counter.

A sheet is sealed to one gateway's box and published retained on dev/<device>/sheet: within seconds of each change, on
every new link, again while a gateway names another version, and now and then so that its age is honest.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.attendance.schoolday import VIETNAM
from hub.meals.countersheets import Alerts, Told, counter_sheet
from hub.road.announcer import Reminder
from hub.worker import RowsWorker
from protocol.cards import parse_card
from protocol.countersheet import COUNTERS_MAX, CounterSheet, SealedSheet, pack_sheet
from protocol.envelope import rfc3339
from protocol.meals import Meal
from protocol.signing import Identity, seal, sign_message
from protocol.topics import device_topic

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.ports import Link
    from hub.road.fleet import Fleet
    from hub.store.devices import Device

log = logging.getLogger("k12edge.counters")

LOOK_MS: Final = 2_000
"""Between two looks at whether anything changed: a few numbers are compared."""
GATHER_MS: Final = 1_000
"""Between two sheets at least; a list that is taken changes hundreds of pupils one by one."""
RENEW_MS: Final = 10 * 60_000
"""A sheet that nothing changed in is made again: its age at the counter then tells of the link, not of a quiet day."""
RECKON_MS: Final = 60 * 60_000
"""At least so often it is also reckoned again from all that was said; in between only its version and age are new."""
KNOWN_MS: Final = 7 * 86_400_000
"""A gateway that had a counter within it has one; and who told so since this hub started."""
STATIONS_MS: Final = 60_000
"""Which gateways have counters is looked up no more often."""
VERSION_MAX: Final = 1 << 50
"""A counter that says more says nothing that can be outdone."""
FAILED_PAUSE_MS: Final = 5_000


class Counters(RowsWorker):
    """See the room. Others may call `now`."""

    def __init__(self, school: str, identity: Identity, store: Store, fleet: Fleet) -> None:
        """Silent until a link is given by `use`."""
        super().__init__(store.database, log, FAILED_PAUSE_MS)
        self._school, self._identity, self._store, self._fleet = school, identity, store, fleet
        self._link: Link | None = None
        self._anew = threading.Event()
        self._greeted: set[str] = set()
        self._of_greeted = threading.Lock()
        self._made_for: object = None
        self._made_ms = self._reckoned_ms = -(1 << 60)
        self._looked_ms = -(1 << 60)
        self._told: set[str] = set()
        self._sheet: CounterSheet | None = None
        self._reminder = Reminder()
        self.on_made: Callable[[CounterSheet], None] = lambda _sheet: None
        """Hears of each version once it was sent."""

    def use(self, link: Link) -> None:
        """Speak by this link."""
        self._link = link

    def now(self) -> None:
        """The link is new: say everything again."""
        self._anew.set()
        self.wake()

    def greet(self, device: str) -> None:
        """A gateway has connected: it may be a counter, and what the broker kept for it may be lost."""
        with self._of_greeted:
            self._greeted.add(device)
        self.wake()

    def failed(self) -> None:
        """Say it again once it can be."""
        self._made_for = None

    def work(self) -> int:
        """Make and send what is due; the ms to wait before the next look."""
        store, mono_ms = self._store, self._store.clock.mono_ms()
        with store.database.lock:
            if store.clock.error_ms() is None or store.daybook.rereading:
                # By a clock that isn't set it would be some other day's; half of the words would say that nobody eats.
                return LOOK_MS
            if mono_ms - self._looked_ms >= STATIONS_MS or self._anew.is_set() or self._greeted:
                self._told, self._looked_ms = self._with_counters(), mono_ms
            counters = self._counters()
            today = datetime.fromtimestamp(store.clock.now_ms() / 1000, VIETNAM).date()
            made_for = (today, self._changes(), sorted(counters))
        if not counters:
            return LOOK_MS
        anew = self._anew.is_set()
        held = self._highest_held(counters)
        outdone = self._sheet is not None and held > self._sheet.version
        if made_for != self._made_for or self._sheet is None or outdone or mono_ms - self._made_ms >= RENEW_MS:
            self._anew.clear()
            if made_for == self._made_for and self._sheet is not None and mono_ms - self._reckoned_ms < RECKON_MS:
                self._sheet = self._renewed(self._sheet, counters, held)
            else:
                self._sheet, self._reckoned_ms = self._make(today, counters, held), mono_ms
            self._take_greeted()
            self._send(self._sheet, counters)
            self._made_for, self._made_ms = made_for, mono_ms
            self.on_made(self._sheet)
            return GATHER_MS
        greeted = self._take_greeted()
        if anew or self._reminder.due(self._behind(self._sheet, counters)):
            self._anew.clear()
            self._send(self._sheet, counters)
        elif greeted:
            self._send(self._sheet, {name: device for name, device in counters.items() if name in greeted})
        return LOOK_MS

    def _take_greeted(self) -> set[str]:
        with self._of_greeted:
            greeted, self._greeted = self._greeted, set()
        return greeted

    # --- who has counters ---------------------------------------------------------------------------------------------

    def _with_counters(self) -> set[str]:
        """Gateways that said, or whose records show, that they have a canteen station."""
        run, since_ms = self._store.database.connection.execute, self._store.clock.now_ms() - KNOWN_MS
        found = {
            device
            for (device,) in run(
                "SELECT DISTINCT j.device FROM taps AS t JOIN journals AS j ON j.number = t.journal"
                " WHERE t.best_ms >= ? AND t.kind = 'canteen' AND j.device IS NOT NULL",
                (since_ms,),
            )
        }
        for device, stations in run(
            "SELECT DISTINCT j.device, w.stations FROM watermarks AS w JOIN journals AS j ON j.number = w.journal"
            " WHERE w.complete_to_ms >= ? AND j.device IS NOT NULL",
            (since_ms,),
        ):
            if "canteen" in msgspec.json.decode(stations).values():
                found.add(device)
        return found

    def _counters(self) -> dict[str, Device]:
        """The accepted gateways that have counters, by name; at most COUNTERS_MAX."""
        found: dict[str, Device] = {}
        for device in self._store.devices.all():
            heard = self._fleet.find(device.device)
            says = heard is not None and (heard.state.sheet is not None or "canteen" in heard.state.rosters)
            counts = device.standing == "accepted" and device.accepted_key() is not None
            if counts and (says or device.device in self._told):
                found[device.device] = device
        return dict(list(found.items())[:COUNTERS_MAX])

    def _behind(self, sheet: CounterSheet, counters: dict[str, Device]) -> bool:
        """Whether a connected counter says that it has another version."""
        for name in counters:
            heard = self._fleet.find(name)
            if heard is not None and heard.connected and heard.state.sheet not in (None, sheet.version):
                return True
        return False

    # --- making and sending -------------------------------------------------------------------------------------------

    def _changes(self) -> tuple[Any, ...]:
        """What a sheet rests on, as numbers that grow; leave notices too."""
        store, run = self._store, self._store.database.connection.execute
        counts = tuple(
            run(f"SELECT count(*), max({column}) FROM {table}").fetchone()
            for table, column in (("leaves", "at_ms"), ("leaves_withdrawn", "at_ms"), ("timetables", "made_ms"))
        )
        return (
            store.days.meals.version,
            store.mealplans.version,
            store.counters.version,
            store.people.version,
            store.notes.diets_in_doubt() is None,
            [key.number for key in store.secrets.card_keys()],
            counts,
        )

    def _highest_held(self, counters: dict[str, Device]) -> int:
        """The highest version that a counter says it has. After a restored backup it is higher than ours, and a counter
        takes no lower one.
        """
        heard = [self._fleet.find(name) for name in counters]
        told = (one.state.sheet or 0 for one in heard if one is not None)
        return max((version for version in told if version <= VERSION_MAX), default=0)

    def _renewed(self, sheet: CounterSheet, counters: dict[str, Device], held: int) -> CounterSheet:
        """The same sheet as its next version, made now: nothing that it rests on has changed."""
        store = self._store
        with store.database.transaction():
            version = store.counters.next_sheet(store.clock.now_ms(), held)
            made = rfc3339(store.clock.now_ms())
        keys = dict(sorted(_keys_of(counters).items()))
        return msgspec.structs.replace(sheet, version=version, made=made, counters=keys)

    def _make(self, today: date, counters: dict[str, Device], held: int) -> CounterSheet:
        store = self._store
        with store.database.transaction():
            version = store.counters.next_sheet(store.clock.now_ms(), held)
            said = store.mealbook.said(today)
            names = {one.key: one.name for one in store.people.of(today, today)}
            diets = store.counters.diets()
            menus: dict[Meal, list[str]] = {}
            for dish in store.mealplans.menu(today, today):
                menus.setdefault(dish.meal, []).append(dish.dish)
            staff = [one for one in store.counters.staff() if one.gone_ms is None]
            keys = store.secrets.card_keys()
            made = rfc3339(store.clock.now_ms())
            keep = store.notes.diets_in_doubt() is not None
        told = Told(
            names,
            {pupil: Alerts(one.alerts, one.confirmed) for pupil, one in diets.items()},
            {meal: ", ".join(dishes) for meal, dishes in menus.items()},
            _keys_of(counters),
            {one.id: one.pin for one in staff if one.pin is not None},
            {key.keyed(parse_card(one.card)): one.id for one in staff if one.card is not None for key in keys},
            {one.id: one.shown for one in staff},
            keep,
        )
        return counter_sheet(self._school, said, told, version, made)

    def _send(self, sheet: CounterSheet, counters: dict[str, Device]) -> None:
        packed = pack_sheet(sheet)
        for name, device in counters.items():
            key = device.accepted_key()
            if key is None or self._link is None:
                continue
            topic = device_topic(self._school, name, "sheet")
            body = msgspec.json.encode(SealedSheet(sheet.version, seal(key.box, packed)))
            self._link.publish(topic, sign_message(self._identity, topic, body))


def _keys_of(counters: dict[str, Device]) -> dict[str, str]:
    return {name: key.key for name, device in counters.items() if (key := device.accepted_key()) is not None}
