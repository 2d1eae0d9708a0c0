"""From a gate to a parent, with a real hub, broker and receiver: one message, also through a kill of the hub."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import WEEKDAYS, Bell, Bells, Timetable, Week
from hub.config import load_hub_config
from hub.days.classbook import today_at
from hub.parts import Store
from hub.roster import RosterRow
from protocol.cards import parse_card
from protocol.signing import fingerprint
from protocol.taps import ClockData, TapData
from sim.receiver import Receiver
from tests.hub.handmade import T0_MS, Gateway
from tests.hub.running import HubProcess, Wire, until

SECRET = b"s" * 40
AN = "a:04A1B2C3D4E581"
ALL_DAY = Bell("00:00", "00:00", "23:58", "23:58", "23:59")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(SECRET)
    yield made
    made.close()


@pytest.fixture
def hub(tmp_path: Path, receiver: Receiver) -> Iterator[HubProcess]:
    made = HubProcess(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "secret").chmod(0o600)
    text = made.config.read_text(encoding="utf-8")
    told = f'[messages]\nsink = "webhook"\nurl = "{receiver.url}"\nsecret_file = "{tmp_path / "secret"}"\n'
    made.config.write_text(text + told, encoding="utf-8")
    yield made
    made.end()


def prepared(hub: HubProcess, gateway: Gateway) -> str:
    """A school that is open all day, a pupil whose parents may be told, a gate; the card as gateways name it."""
    hub.data_dir.mkdir()
    store = Store(load_hub_config(hub.config))
    today = today_at(now_ms())
    document = Timetable(
        name="cả ngày",
        first=today.replace(year=today.year - 1, day=1),
        last=today.replace(year=today.year + 1, day=1),
        bells=(Bells(am=ALL_DAY),),
        weeks=(Week(days={weekday: ("am",) for weekday in WEEKDAYS}),),
    )
    with closing(store.database):
        store.open_own_journal()
        store.office.take_roster("-", [RosterRow("st-an", "Nguyễn Văn An", "3/2", AN)])
        with store.database.transaction():
            store.timetables.put(today, document, today, now_ms(), "thay-minh")
            store.messages.set_consent("st-an", True, "me-an", now_ms())
        return store.secrets.card_keys()[-1].keyed(parse_card(AN))


def test_a_tap_at_a_gate_is_one_message_to_a_parent(hub: HubProcess, receiver: Receiver) -> None:
    while datetime.now(VIETNAM).strftime("%H:%M") >= "23:50":
        # The school's day ends: what is tapped now is of no use to anybody in a minute.
        time.sleep(1)
    gateway = Gateway()
    keyed = prepared(hub, gateway)
    receiver.moods = ["lost"]
    hub.start()
    done = hub.ask("devices", "accept", gateway.device, "--fingerprint", fingerprint(gateway.identity.key))
    assert done.returncode == 0, done.stderr
    with closing(Wire(gateway, hub.broker_url)) as wire:
        wire.state()
        run = gateway.run(mono_ms=now_ms() - T0_MS - 1_000)

        def data(at: ClockData) -> TapData:
            return TapData("gate", "cong-a", "in", keyed, "st-an", "accepted", None, "ok", "r-1", at)

        run.add("attendance.tap", data, mono_ms=now_ms() - T0_MS)
        wire.deliver(run)
        until(lambda: receiver.asked, "the message is posted", within_s=30)
        # Its answer was lost, and the hub dies before it can ask again.
        hub.kill()
    hub.start()
    until(lambda: len(receiver.asked) > 1, "the message is posted again", within_s=30)
    assert len(set(receiver.asked)) == 1, "under the same name"
    (body,) = receiver.taken.values()
    tap = f"{run.journal}.{len(run.lines)}"
    told = (body["kind"], body["given_name"], body["class"], body["place"], body["evidence"])
    assert told == ("arrived", "An", "3/2", "cổng cong-a", [tap])
    assert hub.stop()[0] == 0
