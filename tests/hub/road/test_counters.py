"""The counters' teller: who gets a sheet, when it is made anew, and what only its own gateway can read."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.road.counters import RECKON_MS, RENEW_MS, Counters
from hub.store.notes import DietsBack
from protocol.countersheet import CounterSheet, SealedSheet, unpack_sheet
from protocol.errors import K12EdgeError
from protocol.signing import SealRefused, open_message
from protocol.status import DeviceState, decode_body
from tests.hub.days.test_kitchen import MONDAY, clock, enrol
from tests.hub.days.test_mealbook import Canteen
from tests.hub.handmade import SCHOOL, Gateway
from tests.hub.running import HubProcess, Wire


class Told:
    """A link that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        self.said.append((topic, payload))
        return True

    def acknowledge(self, message: Any) -> None:
        raise AssertionError("nothing came")


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    yield made
    made.room.close()


@pytest.fixture
def counters(canteen: Canteen) -> Counters:
    enrol(canteen)
    clock(canteen, "09:00")
    canteen.serve("a:04A1B2C3D4E581", "10:31", student="st-an")
    canteen.deliver()
    room = canteen.room
    return Counters(SCHOOL, canteen.store.secrets.identity(), canteen.store, room.fleet)


def mono(canteen: Canteen, at_ms: int) -> None:
    canteen.store.clock.mono_ms = lambda: at_ms  # type: ignore[method-assign]


def opened(canteen: Canteen, gateway: Gateway, said: tuple[str, bytes]) -> CounterSheet:
    topic, payload = said
    assert topic == gateway.topic("sheet")
    body = msgspec.json.decode(open_message(canteen.store.secrets.identity().key, topic, payload), type=SealedSheet)
    sheet = unpack_sheet(gateway.identity.open(body.sealed))
    assert sheet.version == body.version
    return sheet


def test_a_counter_is_told_who_eats_at_each_change_and_nobody_else_can_read_it(
    canteen: Canteen, counters: Counters
) -> None:
    link, store, gate = Told(), canteen.store, canteen.gate
    counters.use(link)
    stranger = canteen.room.known(Gateway("cong-b"))
    mono(canteen, 1_000)
    canteen.read()
    counters.work()
    assert [topic for topic, _ in link.said] == [gate.topic("sheet")], "a gate has no counter, and gets no names"
    first = opened(canteen, gate, link.said[0])
    with pytest.raises(SealRefused):
        stranger.identity.open(
            msgspec.json.decode(open_message(store.secrets.identity().key, *link.said[0]), type=SealedSheet).sealed
        )
    assert [(one.student, one.meals, one.enrolled) for one in first.eaters] == [
        ("st-an", ["lunch"], True),
        ("st-be", ["lunch"], True),
        ("st-chi", ["lunch"], True),
    ]
    assert [(one.number, one.opens, one.classes) for one in first.meals[0].shifts] == [(1, "10:30", ["1A", "1B"])]
    assert (first.day, first.counters) == (MONDAY.isoformat(), {gate.device: gate.identity.key})
    # Nothing new: nothing is said. A diet that is changed is known at the next look.
    counters.work()
    assert len(link.said) == 1
    store.mealdesk.diet("y-ta", "st-an", ["đậu phộng"], confirmed=True)
    store.mealdesk.admit_staff("it", "co-hoa", "Cô Hoa", "408217", "a:04A1B2C3D4E5F0")
    store.mealoffice.cut("co-lan", "st-be", MONDAY, MONDAY)
    store.office.leave("co-lan", "st-chi", (MONDAY, "am"), (MONDAY, "am"))
    canteen.read()
    counters.work()
    second = opened(canteen, gate, link.said[-1])
    assert len(link.said) == 2 and second.version > first.version
    told = {one.student: one for one in second.eaters}
    assert (told["st-an"].alerts, told["st-an"].confirmed) == (["đậu phộng"], True)
    assert told["st-be"].meals == told["st-chi"].meals == [] and told["st-be"].enrolled
    assert list(second.pins) == ["co-hoa"] and list(second.cards.values()) == ["co-hoa"]
    assert all(card.startswith("hk") for card in second.cards)
    assert second.staff == {"co-hoa": "Cô Hoa"}


def test_after_a_loss_counters_keep_their_alerts_until_somebody_has_looked_at_the_diets(
    canteen: Canteen, counters: Counters
) -> None:
    link, store, gate = Told(), canteen.store, canteen.gate
    counters.use(link)
    mono(canteen, 1_000)
    canteen.read()
    counters.work()
    assert not opened(canteen, gate, link.said[-1]).keep_alerts and store.diets_in_doubt() is None
    with store.database.transaction():
        store.notes.write(DietsBack(store.clock.now_ms(), 1))
    counters.work()
    assert opened(canteen, gate, link.said[-1]).keep_alerts and len(link.said) == 2
    assert canteen.room.status.whole()["diets"] == {"asked_ms": store.clock.now_ms(), "backup_ms": 1}
    # What is entered meanwhile confirms nothing; nor does the hour.
    store.mealdesk.diet("y-ta", "st-an", ["đậu phộng"], confirmed=True)
    counters.work()
    assert opened(canteen, gate, link.said[-1]).keep_alerts and len(link.said) == 3
    mono(canteen, 1_000 + RENEW_MS)
    counters.work()
    assert opened(canteen, gate, link.said[-1]).keep_alerts and len(link.said) == 4
    with store.database.transaction():
        store.notes.confirm_diets(store.clock.now_ms(), "y-ta")
    counters.work()
    assert not opened(canteen, gate, link.said[-1]).keep_alerts and len(link.said) == 5
    assert canteen.room.status.whole()["diets"] is None


def test_it_is_said_again_to_who_connects_or_is_behind_and_its_age_stays_honest(
    canteen: Canteen, counters: Counters
) -> None:
    link, gate = Told(), canteen.gate
    counters.use(link)
    mono(canteen, 1_000)
    canteen.read()
    counters.work()
    counters.greet(gate.device)
    counters.work()
    counters.greet("cong-b")
    counters.work()
    assert len(link.said) == 2, "who connects gets it again, and nobody else"
    counters.now()
    counters.work()
    assert len(link.said) == 3
    state = open_message(gate.identity.key, gate.topic("state"), gate.state(sheet=0))
    canteen.room.fleet.heard(gate.device, decode_body(state, DeviceState), 1)
    looks = 0
    while len(link.said) == 3:
        counters.work()
        looks += 1
        assert looks < 10
    assert opened(canteen, gate, link.said[-1]).version == opened(canteen, gate, link.said[0]).version
    mono(canteen, 1_000 + RENEW_MS)
    counters.work()
    renewed, first = opened(canteen, gate, link.said[-1]), opened(canteen, gate, link.said[0])
    newest = renewed.version
    assert newest > first.version and renewed.eaters
    assert msgspec.structs.replace(renewed, version=first.version, made=first.made) == first
    # A hub that was restored from a backup made lower versions: a counter takes none of these.
    state = open_message(gate.identity.key, gate.topic("state"), gate.state(sheet=newest + 5_000_000))
    canteen.room.fleet.heard(gate.device, decode_body(state, DeviceState), 2)
    counters.work()
    outdone = opened(canteen, gate, link.said[-1])
    assert outdone.version > newest + 5_000_000
    # What no version tells of is in the sheet within the hour.
    with canteen.store.database.transaction() as connection:
        connection.execute("UPDATE pupils SET name = 'Ân' WHERE pupil_key = 'st-an'")
    names = []
    for at_ms in (2 * RENEW_MS, RECKON_MS):
        mono(canteen, 1_000 + at_ms)
        counters.work()
        names.append({one.student: one.name for one in opened(canteen, gate, link.said[-1]).eaters}["st-an"])
    assert names[0] != names[1] == "Ân"


def test_of_payment_there_is_no_word() -> None:
    fields = {name for kind in (CounterSheet, SealedSheet) for name in kind.__struct_fields__}
    assert fields.isdisjoint({"paid", "debt", "balance", "free", "subsidy", "price"}) and issubclass(
        SealRefused, K12EdgeError
    )


def test_a_running_hub_tells_a_counter_within_seconds_and_again_at_each_change(tmp_path: Path) -> None:
    def roster(*names: str) -> str:
        lines = [f"st-{number},{name},1A,\n" for number, name in enumerate(names)]
        file = tmp_path / "roster.csv"
        file.write_text("pupil_key,display_name,class,card_uid\n" + "".join(lines), encoding="utf-8")
        return str(file)

    hub = HubProcess(tmp_path).start()
    try:
        gateway = Gateway("quay")
        assert hub.ask("devices", "accept", "quay").returncode == 0
        assert hub.ask("roster", "import", roster("Nguyễn Văn An")).returncode == 0
        wire = Wire(gateway, hub.broker_url)
        heard: queue.Queue[CounterSheet] = queue.Queue()

        def take(body: bytes) -> None:
            sealed = msgspec.json.decode(body, type=SealedSheet).sealed
            heard.put(unpack_sheet(gateway.identity.open(sealed)))

        wire.listen(gateway.topic("sheet"), take)
        # It is told of by its own word alone: nobody was served here yet.
        wire.state(sheet=0)
        first = heard.get(timeout=30)
        assert [one.name for one in first.eaters] == ["Nguyễn Văn An"]
        assert first.counters == {"quay": gateway.identity.key}
        assert hub.ask("roster", "import", roster("Nguyễn Văn An", "Lê Thị Bé")).returncode == 0
        sheet = heard.get(timeout=30)
        while len(sheet.eaters) < 2:
            sheet = heard.get(timeout=30)
        assert sheet.version > first.version
        wire.close()
    finally:
        hub.end()


def test_a_hub_that_was_restored_is_heard_at_once_by_counters_that_keep_the_highest_version(canteen: Canteen) -> None:
    rows, now_ms = canteen.room.store.counters, canteen.room.store.clock.now_ms()
    with canteen.room.store.database.transaction():
        before = [rows.next_sheet(now_ms) for _ in range(3)]
        assert before == sorted(set(before)), "each one is another, also within a second"
        canteen.room.store.database.connection.execute("UPDATE counter_sheets SET version = 5")
        assert rows.next_sheet(now_ms + 10_000) > before[-1], "as last night's backup had it"
