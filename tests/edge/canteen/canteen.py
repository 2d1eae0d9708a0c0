"""A canteen's gateway on real parts: journal, keys, rosters, sheet, lanes; stepped or on its own threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import nacl.pwhash
from msgspec.structs import replace

from edge.assembly import Assembly
from edge.canteen.counter import GatewayCounter
from edge.canteen.ports import CounterView
from edge.canteen.sittings import local_day
from edge.clock import SystemClock
from edge.config import load_config
from edge.ports import CardSeen, Recorded, Warning_
from protocol.cards import CardKey, CardUid
from protocol.countersheet import CounterSheet, Eater, MealPlan, SealedSheet, Shift, pack_sheet
from protocol.envelope import rfc3339
from protocol.roster import Release, pack_release
from protocol.signing import Identity, seal, sign_message
from protocol.status import DeviceConfig
from protocol.topics import device_topic
from tests.edge.room import events, hub_state

SCHOOL, DEVICE = "79000701", "quay-a"
HUB = Identity(b"\x02" * 32, b"\x03" * 32)
KEY = CardKey(1, b"\x05" * 32)
AN, BINH, STRANGER, LOST, STAFF = (CardUid("a", f"04A1B2C3D4E5{n:02X}") for n in range(5))
PIN = "246810"
TODAY = local_day(SystemClock("declared", 1000).read().best_ms)


def hashed(pin: str) -> str:
    """As cheap as the library makes one: a test's PIN guards nothing."""
    cheap = nacl.pwhash.argon2id
    return cheap.str(pin.encode(), opslimit=cheap.OPSLIMIT_MIN, memlimit=cheap.MEMLIMIT_MIN).decode()


def sheet(version: int = 1, **more: Any) -> CounterSheet:
    """A lunch that is all of today, for two pupils who are expected and one who isn't."""
    found = CounterSheet(
        version,
        rfc3339(SystemClock().read().wall_ms - 60_000),
        SCHOOL,
        TODAY,
        [MealPlan("lunch", [Shift(1, "00:00", "23:59", [], "A")])],
        [
            Eater("st-an", "Nguyễn Thị Hoà An", "1A", "porridge", ["lunch"], True, ["lạc / peanut"], True),
            Eater("st-binh", "Đặng Bình", "3/2", "regular", ["lunch"]),
            Eater("st-chi", "Lê Chi", "3/2", "regular", []),
        ],
        counters={DEVICE: "A" * 43},
    )
    return replace(found, **more)


class Canteen:
    """An assembly with one or two canteen stations; `shown` are its signals, each after its record."""

    def __init__(self, folder: Path, stations: tuple[str, ...] = ("quay-1",), *, meet: bool = True) -> None:
        self.data, file = folder / "data", folder / "gateway.toml"
        self.data.mkdir(exist_ok=True)
        text = f'[gateway]\nid = "{DEVICE}"\nschool = "{SCHOOL}"\ndata_dir = "{self.data}"\nhub_key = "{HUB.key}"\n'
        text += '[time]\nsource = "declared"\n'
        for name in stations:
            text += f'[[station]]\nname = "{name}"\nkind = "canteen"\nreader = "replay:{name}"\n'
        file.write_text(text, encoding="utf-8")
        self.shown: list[Recorded] = []
        self.warned: list[Warning_] = []
        self.threads: list[threading.Thread] = []
        self.assembly = Assembly(load_config(file), SystemClock("declared", 1000), self, lambda: None)
        found = self.assembly.counter
        assert found is not None
        self.counter: GatewayCounter = found
        if meet:
            self.assembly.keys.meet_hub(hub_state(HUB))
            box = self.assembly.keys.identity.box
            self.assembly.keys.configure(DeviceConfig(1, [(1, seal(box, KEY.secret))]))

    # --- what a hub sends -----------------------------------------------------------------------------------------

    def signed(self, made: CounterSheet, signer: Identity = HUB) -> bytes:
        body = SealedSheet(made.version, seal(self.assembly.keys.identity.box, pack_sheet(made)))
        return sign_message(signer, device_topic(SCHOOL, DEVICE, "sheet"), msgspec.json.encode(body))

    def lay(self, made: CounterSheet | None = None) -> bool:
        return self.counter.hear_sheet(self.signed(made or sheet()))

    def roster(self, number: int = 1, **more: CardUid) -> None:
        """The canteen's release; `more`: pupils with a card of theirs."""
        cards = {
            KEY.keyed(AN): ["st-an", "Nguyễn Thị Hoà An", "1A"],
            KEY.keyed(BINH): ["st-binh", "Đặng Bình", "3/2"],
        }
        cards |= {KEY.keyed(card): [f"st-{name}", name, "3/2"] for name, card in more.items()}
        name = f"r-20261122T180011Z-{number}"
        release = Release(name, number, SCHOOL, "canteen", [1], cards, {KEY.keyed(LOST): "lost"})
        self.assembly.rosters.take("canteen", pack_release(release))

    # --- signals --------------------------------------------------------------------------------------------------

    def show(self, recorded: Recorded) -> None:
        assert str(recorded.tap) in {event.id for event in events(self.data)}, "a beep before its record"
        self.shown.append(recorded)

    def warn(self, warning: Warning_) -> None:
        self.warned.append(warning)

    # --- people ---------------------------------------------------------------------------------------------------

    def tap(self, card: CardUid, ago_s: float = 0.0, station: int = 0) -> str:
        """Hold a card to a reader `ago_s` seconds ago; the signal."""
        before = len(self.shown)
        seen_ns = self.assembly.clock.mono_ns() - int(ago_s * 1e9)
        self.assembly.lanes[station].station.take(CardSeen(card, seen_ns))
        return self.shown[-1].signal if len(self.shown) > before else "-"

    def view(self, station: str = "quay-1") -> CounterView:
        return self.counter.view(station)

    def run(self) -> None:
        """Let the lanes take what is put by hand."""
        for lane in self.assembly.lanes:
            thread = threading.Thread(target=lane.run, daemon=True)
            thread.start()
            self.threads.append(thread)

    def close(self) -> None:
        for lane in self.assembly.lanes:
            lane.end()
        for thread in self.threads:
            thread.join(10)
        self.assembly.close()
