"""What is said in a device's or the hub's name counts only with its signature, and only for whom it was meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from hub.papers import wrapped
from hub.road.announcer import REMIND_LOOKS, Announcer
from protocol.signing import Identity, sign_message, verify
from protocol.status import HubState, hub_text
from protocol.taps import STATION_KINDS
from protocol.topics import device_topic
from tests.hub.handmade import SCHOOL, Gateway
from tests.hub.room import HubRoom

STRANGER = Identity(b"\x04" * 32, b"\x05" * 32)


class Told:
    """A link that keeps what is published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        self.sent.append((topic, payload))
        return True


def announcer(room: HubRoom) -> tuple[Announcer, Told]:
    made, told = Announcer(room.config, "e1", room.store.secrets.identity(), room.store, room.fleet), Told()
    made.use(told)  # type: ignore[arg-type]  # Only `publish` is asked of it.
    return made, told


def test_a_state_that_another_key_signed_is_parked_and_meets_nobody(room: HubRoom) -> None:
    gateway = Gateway()
    gateway.run(1)
    true = gateway.state()
    body = true.partition(b"\n")[2].partition(b"\n")[2]
    forged = sign_message(STRANGER, gateway.topic("state"), body)
    room.state(gateway, forged)
    assert room.store.devices.find(gateway.device) is None
    assert [one["reason"] for one in room.parked()] == ["signature-refused"]
    room.state(gateway, true)
    assert room.store.devices.find(gateway.device) is not None


def test_only_a_device_itself_says_that_it_is_lost(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    gateway.run(1)
    room.state(gateway)
    found = room.fleet.find(gateway.device)
    assert found is not None and found.connected
    room.state(gateway, replace(gateway, identity=STRANGER).lost())
    found = room.fleet.find(gateway.device)
    assert found is not None and found.connected
    room.state(gateway, gateway.lost())
    found = room.fleet.find(gateway.device)
    assert found is not None and not found.connected


def test_the_hub_signs_what_it_says_of_itself(room: HubRoom) -> None:
    made, _ = announcer(room)
    topic, body = made.state("ready")
    state = msgspec.json.decode(body, type=HubState)
    assert topic.endswith("hub/state") and state.sig is not None
    verify(room.store.secrets.identity().key, hub_text(state), state.sig)


def test_a_gateway_that_names_another_roster_is_sent_them_again_by_and_by(room: HubRoom) -> None:
    made, told = announcer(room)
    text = "pupil_key,display_name,class,card_uid\nst-1,An,6A,04A1B2C3D4E580\n"
    room.store.carry_out("roster-import", {"file": "r.csv", "paper": wrapped(text.encode())})
    gateway = room.known(Gateway())
    gateway.run(1)
    made.turn(anew=True)
    first = [topic for topic, _ in told.sent if "/roster/" in topic]
    assert len(first) == len(STATION_KINDS)
    told.sent.clear()
    room.state(gateway)
    for _ in range(REMIND_LOOKS):
        made.turn(anew=False)
    assert [topic for topic, _ in told.sent if "/roster/" in topic] == first
    assert len([topic for topic, _ in told.sent if topic.endswith("hub/state")]) == REMIND_LOOKS


def test_card_keys_go_to_accepted_devices_only(room: HubRoom, tmp_path: Path) -> None:
    made, told = announcer(room)
    waiting, gone = Gateway("cho"), room.known(Gateway("nghi"))
    room.state(waiting)
    room.store.desk.carry_out("devices-retire", {"device": gone.device})
    for device in (waiting.device, gone.device, "nobody"):
        made.configuration(device)
    assert told.sent == []
    known = room.known(Gateway("cong"))
    made.configuration(known.device)
    assert [topic for topic, _ in told.sent] == [device_topic(SCHOOL, known.device, "cfg")]
