"""What a hub says again: configurations at each connection, rosters to gateways that are behind."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from pathlib import Path

from hub.road.announcer import REMIND_LOOKS, REMIND_LOOKS_MAX, Reminder
from hub.road.fleet import Fleet
from protocol.signing import fingerprint, open_message
from protocol.status import DeviceConfig, DeviceState, decode_body
from sim.parts import free_ports
from tests.hub.handmade import Gateway
from tests.hub.running import HubProcess, Wire, mosquitto, until


def test_who_is_behind_is_helped_soon_and_then_ever_more_rarely() -> None:
    reminder = Reminder()
    assert not any(reminder.due(False) for _ in range(100))
    due = [look for look in range(1, 3000) if reminder.due(True)]
    assert due[0] == REMIND_LOOKS
    pauses = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert pauses == sorted(pauses) and pauses[0] == 2 * REMIND_LOOKS and pauses[-1] == REMIND_LOOKS_MAX
    reminder.due(False)
    assert [reminder.due(True) for _ in range(REMIND_LOOKS)][-1], "who fell behind anew doesn't wait for the old pause"


def _told(gateway: Gateway, **changes: object) -> DeviceState:
    return decode_body(
        open_message(gateway.identity.key, gateway.topic("state"), gateway.state(**changes)), DeviceState
    )


def test_behind_is_who_is_connected_and_names_another_release() -> None:
    fleet, gateway = Fleet(), Gateway("cong")
    assert not fleet.behind("r-2")
    fleet.heard("cong", _told(gateway, rosters={"gate": "r-2"}), 1)
    assert not fleet.behind("r-2")
    for rosters in ({}, {"gate": "r-1"}, {"gate": "r-2", "canteen": "r-1"}):
        fleet.heard("cong", _told(gateway, rosters=rosters), 2)
        assert fleet.behind("r-2"), rosters
    fleet.lost("cong", 3)
    assert not fleet.behind("r-2")


def test_who_is_connected_is_not_known_from_what_a_broker_kept(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    hub = HubProcess(tmp_path, broker_url=f"mqtt://127.0.0.1:{port}").start()
    hub.broker_url = f"mqtt://127.0.0.1:{port}"

    def link() -> str:
        return str(hub.status()["devices"][0]["link"])

    try:
        with mosquitto(tmp_path, port):
            gateway = Gateway()
            assert hub.ask("devices", "accept", "cong").returncode == 0
            wire = Wire(gateway, hub.broker_url)
            wire.state()
            until(lambda: link() == "connected", "it is heard")
            wire.close()
            # Its last word stays with the broker, and a hub that comes now reads it.
            hub.kill()
            hub.start()
            until(lambda: link() != "unheard", "the kept word is read")
            assert link() == "lost"
            wire = Wire(gateway, hub.broker_url)
            wire.state(connection=2)
            until(lambda: link() == "connected", "it is heard again")
        until(lambda: link() == "lost", "the broker is gone, and with it what was known")
        wire.close()
    finally:
        hub.end()


def test_a_gateway_gets_its_configuration_at_each_connection(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    try:
        gateway = Gateway()
        assert hub.ask("devices", "accept", "cong", "--fingerprint", fingerprint(gateway.identity.key)).returncode == 0
        wire = Wire(gateway, hub.broker_url)
        versions = []
        for connection in (1, 2):
            wire.state(connection=connection)
            versions.append(decode_body(wire.configs.get(timeout=10), DeviceConfig).version)
        assert versions[0] == versions[1]
        wire.state(connection=2)
        wire.state(connection=3)
        wire.configs.get(timeout=10)
        assert wire.configs.empty(), "a state of the same connection brings nothing new"
        wire.close()
    finally:
        hub.end()


def test_a_port_that_another_program_holds_is_named_and_taken_when_it_is_free(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = hub.config.read_text(encoding="utf-8")
        hub.config.write_text(
            text.replace('[broker]\nlisten = "127.0.0.1:0"', f'[broker]\nlisten = "127.0.0.1:{port}"')
        )
        with hub.log.open("ab") as log:
            hub.process = subprocess.Popen(
                [sys.executable, "-m", "k12edge", "hub", "--config", str(hub.config)], stdout=log, stderr=log
            )
        try:
            named = f"[broker]: listen = 127.0.0.1:{port} can't be taken"
            until(lambda: named in hub.log.read_text(encoding="utf-8"), "the port is named")
            other.close()
            until(lambda: "listening http" in hub.log.read_text(encoding="utf-8"), "the hub listens")
            assert hub.log.read_text(encoding="utf-8").count(named) == 1, "said once"
            assert hub.stop()[0] == 0
        finally:
            hub.end()
