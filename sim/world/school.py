"""The simulated school: its boxes, its broker, its city, and a day of pupils with cards."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from csv import writer
from pathlib import Path
from random import Random
from typing import Any, Final, get_args

from hub.cards.listed import CARDS_PASSED
from hub.lists.changes import Guard, ListGuarded
from hub.roster import RosterRefused
from protocol.cards import CardUid
from protocol.errors import K12EdgeError
from protocol.signing import fingerprint
from sim.demo.chain import GATES
from sim.road import SCHOOL
from sim.school import Pupil, make_school
from sim.world.city import CityBox
from sim.world.gateway import GatewayBox
from sim.world.hub import HubBox
from sim.world.lan import PORT, Lan
from sim.world.loop import DAY, MINUTE, MS, SECOND, Loop
from sim.world.lunch import Lunch
from sim.world.machine import SimMachine
from sim.world.plan import CROWDS_MIN, MEALTIME, Plan, pace
from sim.world.truth import Truth
from sim.world.underneath import Underneath
from sim.world.wires import Broker

MONDAY_NS: Final = 1_795_387_800 * SECOND
"""2026-11-23 05:50 in Ho Chi Minh City (22:50 UTC the day before)."""
STRANGERS: Final = 0.01
"""Cards that no roster knows, of all taps; as many are held twice, and a tenth as many show a random number."""
GATE: Final = "cong"
KITCHENS: Final = {"bep": ("quay-1", "quay-2"), "bep-b": ("quay-3", "quay-4")}
"""The gateways with counters, and theirs: each more talks with all others twice a second, which takes a seed's time."""
HOME_MIN: Final = 30
"""From the last tap of a day to its end, in minutes."""
CONFIRMED: Final = " ".join((*get_args(Guard), CARDS_PASSED))
"""What the office says of a list that changes much: it is meant."""


class School:
    """See the room. `draw(name)` gives a stream of chance of its own for each purpose."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Everything made, nothing started."""
        self.plan = plan
        self.began_ns = MONDAY_NS
        self.loop = Loop(MONDAY_NS)
        self.truth = Truth(self.loop)
        self.underneath = Underneath(folder, self.draw("secrets"))
        self.broker = Broker(self.loop, self.draw("broker"), self.truth.count)
        self.pupils = make_school(plan.pupils, plan.noise)
        self.city = CityBox(self.loop, self.draw("city"), self.underneath.storage("city"), self.truth)
        hub_machine = SimMachine(self.loop, self.draw("hub clock"))
        hub_machine.synchronise()
        self.hub = HubBox(
            _hub_config(),
            self.loop,
            self.draw("hub"),
            self.broker,
            self.underneath.storage("hub"),
            self.truth,
            hub_machine,
            self.city,
        )
        self.city.before_answer = self.hub.crash_before_answer
        self.lan = Lan(self.loop, self.draw("lan"), self.truth.count)
        self.gateways: list[GatewayBox] = []
        for name in (GATE, *KITCHENS):
            self.gateways.append(self.make_gateway(name, name, self._machine(name)))
        self.originals = tuple(self.gateways)
        self.lists = 0
        """Lists of pupils that the office brought, the same one counted once."""
        self._listed: str | None = None
        self.keys: bytes | None = None
        self.healing = False
        self.hub_anew = False
        self.copied: set[str] = set()
        self.renewed: set[str] = set()
        self.lunch = Lunch(self)

    def draw(self, name: str) -> Random:
        """A stream of chance."""
        return Random(f"k12edge {self.plan.noise} {name}")

    def _machine(self, name: str) -> SimMachine:
        rng = self.draw(f"clock of {name}")
        machine = SimMachine(self.loop, rng)
        if rng.random() < 0.6:
            self.loop.after(rng.randrange(0, 120) * SECOND, machine.synchronise)
        return machine

    def make_gateway(self, name: str, device: str, machine: SimMachine) -> GatewayBox:
        """A box; several may be of one device, as copies of its card are."""
        box = GatewayBox(
            name,
            _gateway_config(device, 10 + len(self.gateways)),
            self.loop,
            self.draw(name),
            self.broker,
            self.underneath.storage(name),
            self.truth,
            machine,
            self.lan,
        )
        box.on_shown = lambda at, held: self.lunch.paths.note(at, held)
        return box

    # --- people -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first morning: everything is switched on, the gateways are accepted, the roster is imported."""
        self.city.start()
        self.hub.start()
        for box in self.gateways:
            box.start()
            self.when_up(lambda box=box: self.accept(box.config.gateway_id))  # type: ignore[misc]
        self.import_roster(self.pupils, done=self.lunch.furnish)

    def when_up(self, work: Callable[[], None]) -> None:
        """A person at the hub does something, now or as soon as it runs."""
        if self.hub.up:
            work()
        else:
            self.loop.after(SECOND, lambda: self.when_up(work))

    def accept(self, device: str, shown: str | None = None) -> None:
        """A person accepts a gateway at the hub, and once it was met exports the keys, as the handbook asks."""
        self.command("devices-accept", {"device": device, "fingerprint": shown})
        self.loop.after(3 * MINUTE, self.export_keys)

    def command(self, action: str, words: dict[str, str | None], done: Callable[[], None] = lambda: None) -> None:
        """A person's command, given again a minute later while the hub refuses it (its disk is full) or is down.

        So it is where the hub crashed under it: the person read no answer.
        What no waiting helps is a fault of ours: the person would read why, and nothing would happen here. `done` once
        it was carried out.
        """
        try:
            if self.hub.up:
                self.hub.carry(action, words)
                if self.hub.up:
                    done()
                    return
        except (ListGuarded, RosterRefused) as problem:
            raise AssertionError(f"{action} is refused for good: {problem}") from problem
        except K12EdgeError:
            self.truth.count("command refused")
        self.loop.after(MINUTE, lambda: self.command(action, words, done))

    def export_keys(self) -> None:
        """A person keeps the hub's keys in a safe."""
        if self.hub.up:
            with suppress(K12EdgeError):
                self.keys = self.hub.carry("keys-export", {"file": "keys.json"}) or self.keys

    def import_roster(
        self,
        pupils: Sequence[Pupil],
        cards: dict[str, bytes] | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """The office imports the roster, having looked at what it would change; `cards` are pupils' new ones."""
        text = io.StringIO()
        rows = writer(text)
        rows.writerow(("pupil_key", "display_name", "class", "card_uid"))
        for pupil in pupils:
            uid = (cards or {}).get(pupil.key, pupil.uid)
            rows.writerow((pupil.key, pupil.name, pupil.school_class, f"a:{uid.hex().upper()}"))
        if text.getvalue() != self._listed:
            self._listed = text.getvalue()
            self.lists += 1
        paper = base64.b64encode(text.getvalue().encode("utf-8")).decode("ascii")
        self.command("roster-import", {"file": "roster.csv", "paper": paper, "confirm": CONFIRMED}, done)

    # --- a day --------------------------------------------------------------------------------------------------------

    def plan_day(self, day: int) -> None:
        """Pupils come, eat and go home; a few cards are strange."""
        rng = self.draw(f"day {day}")
        start_ns = self.began_ns + day * DAY
        spread = pace(len(self.pupils))
        for crowd, (middle_min, around_min) in enumerate(CROWDS_MIN[: self.plan.crowds]):
            lunch = crowd == MEALTIME
            for number in range(int(len(self.pupils) * (1 + STRANGERS)) + 1):
                at_min = middle_min + spread * max(-around_min, min(around_min, rng.gauss(0, around_min / 2.5)))
                pupil = self.pupils[number] if number < len(self.pupils) else None
                uid = rng.choice((b"\x04" + rng.randbytes(6), b"\x08" + rng.randbytes(3)))
                card = CardUid("a", (uid if pupil is None else pupil.uid).hex().upper())
                at_ns = start_ns + int(at_min * MINUTE)
                if lunch:
                    self.lunch.plan_eater(rng, at_ns, pupil, card)
                else:
                    self._plan_tap(rng, at_ns, card)
            if lunch:
                self.lunch.plan_talk(
                    start_ns + int((middle_min - spread * around_min) * MINUTE),
                    start_ns + int((middle_min + spread * around_min) * MINUTE),
                )

    def boxes(self, device: str) -> list[GatewayBox]:
        """A gateway's box; where a copy of its card runs in a second one, that one too."""
        return [one for one in self.gateways if one.config.gateway_id == device]

    def _plan_tap(self, rng: Random, at_ns: int, card: CardUid) -> None:
        station = rng.randrange(len(GATES))
        copy = rng.random()
        again_ns = int(rng.uniform(1, 40) * SECOND) if rng.random() < STRANGERS else 0

        def tap() -> None:
            # Where a copy of the gateway's card runs in a second box, some pupils meet that one.
            boxes = self.boxes(GATE)
            boxes[int(copy * len(boxes))].hold(station, card)

        self.loop.at(at_ns, tap)
        if again_ns:
            self.loop.at(at_ns + again_ns, tap)

    def day_end_ns(self, day: int) -> int:
        """When the last one has gone home."""
        middle_min, around_min = CROWDS_MIN[self.plan.crowds - 1]
        return self.began_ns + day * DAY + (middle_min + around_min + HOME_MIN) * MINUTE

    # --- mending ------------------------------------------------------------------------------------------------------

    def restart_later(self, start: Callable[[], None], rng: Random) -> None:
        """systemd, or a person, starts a part again."""
        self.loop.after(int(rng.choice((0.2, 1.0, 5.0, 40.0)) * rng.uniform(0.5, 1.5) * SECOND), start)

    def new_hub(self) -> None:
        """A person sets up an empty machine: keys in, before the first start; the roster after it."""
        keys = self.keys
        assert keys is not None
        self.hub.start()
        if not self.hub.up:
            self.loop.after(SECOND, self.new_hub)
            return
        paper = base64.b64encode(keys).decode("ascii")
        self.command("keys-import", {"file": "keys.json", "paper": paper})
        self.import_roster(self.pupils, done=self.lunch.plan_meals)
        self.look_after_gateways()

    def look_after_gateways(self) -> None:
        """A hub with an older memory: a person accepts the gateways that it doesn't know, or knows by another key."""
        for box in self.gateways:
            self.when_up(lambda box=box: self._accept_again(box))  # type: ignore[misc]

    def _accept_again(self, box: GatewayBox) -> None:
        """Export or backup may be older than a gateway's card: then a person accepts its key here, too."""
        store = self.hub.store
        if box.assembly is None or store is None:
            self.loop.after(10 * SECOND, lambda: self._accept_again(box))
            return
        key = box.assembly.keys.identity.key

        def look() -> None:
            known = store.devices.find(box.config.gateway_id)
            accepted = None if known is None else known.accepted_key()
            if accepted is None or accepted.key != key:
                self.truth.count("gateway accepted again at a hub with an older memory")
                self.accept(box.config.gateway_id, fingerprint(key))

        self.hub.perform(look)

    def start_all(self) -> None:
        """Whatever is down is started."""
        self.broker.start()
        self.city.start()
        self.hub.start()
        for box in self.gateways:
            box.start()


def _hub_config() -> dict[str, Any]:
    return {
        "hub": {"id": "tram", "school": SCHOOL, "listen": "127.0.0.1:0"},
        "broker": {"embedded": False, "url": "mqtt://127.0.0.1:1883"},
        "city": {"kind": "k12records", "url": "http://city", "city_hold_s": 900},
        "time": {"source": "ntp"},
    }


def _gateway_config(device: str, host: int) -> dict[str, Any]:
    kind, names = ("gate", GATES) if device == GATE else ("canteen", KITCHENS[device])
    document = {
        "gateway": {"id": device, "school": SCHOOL},
        "station": [{"name": name, "kind": kind, "reader": f"replay:{name}"} for name in names],
        "uplink": {"url": "mqtt://127.0.0.1:1883"},
    }
    if device != GATE:
        # The gate is the first of all; counters know each other by the addresses that they had at first.
        first = [f"10.0.0.{11 + number}:{PORT}" for number in range(len(KITCHENS))]
        mine = f"10.0.0.{host}:{PORT}"
        document["counters"] = {"listen": mine, "peers": [one for one in first if one != mine]}
    return document


def clock_words(at_ns: int, began_ns: int) -> str:
    """A true time for people: the day from 1, and the hour in Ho Chi Minh City."""
    passed_ms = (at_ns - began_ns) // MS + (5 * 60 + 50) * 60_000
    day, rest_ms = divmod(passed_ms, 86_400_000)
    seconds, ms = divmod(rest_ms, 1000)
    return f"day {day + 1} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
