"""The gateway's end of the road on real brokers and a real hub: link, delivery on a full disk, hub as witness."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from edge.journalfile import FILE_NAME, PAGE_BYTES
from edge.mqtt import IN_FLIGHT_MAX, MqttLink
from edge.verify import BAD, VALID
from edge.witness import WITNESS_PATH
from k12edge.cli import main
from protocol.rawread import RawRead, decode_raw
from protocol.signing import Identity
from sim.parts import get_json
from tests.edge.room import DEVICE, data_of, events
from tests.edge.running import GatewayProcess, card, until
from tests.edge.test_process import TICK, small_disk  # noqa: F401 - a fixture
from tests.hub.running import HubProcess, mosquitto
from tests.patience import within


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as (url, _):
        yield url


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    (tmp_path / "hub").mkdir()
    made = HubProcess(tmp_path / "hub").start()
    assert made.ask("devices", "accept", DEVICE).returncode == 0
    yield made
    made.end()


class Ends:
    """What a link tells: messages, and whether it stands."""

    def __init__(self, link: MqttLink) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.up = threading.Event()
        self.downs = 0
        link.start(lambda *message: self.messages.append(message), self._state)

    def _state(self, connected: bool) -> None:
        if connected:
            self.up.set()
        else:
            self.downs += 1
            self.up.clear()


def test_a_link_takes_what_fits_its_window_refuses_the_rest_and_never_stands_still(broker: str) -> None:
    link = MqttLink(broker, "t", Random(1), ["t/echo"])
    ends = Ends(link)
    assert ends.up.wait(10)
    room = threading.Event()
    link.on_room = room.set
    sent, refused = 0, 0
    deadline = time.monotonic() + 30
    while sent < 3_000:
        if link.publish("t/echo", b"%06d" % sent + bytes(2_000)):
            sent += 1
        else:
            refused += 1
            assert time.monotonic() < deadline, f"the link stood still after {sent}"
            room.wait(0.5)
            room.clear()
        assert len(link._in_flight) <= IN_FLIGHT_MAX
    assert refused > 0
    until(lambda: len(ends.messages) == sent, "all come back")
    assert [int(payload[:6]) for _, payload, _ in ends.messages] == list(range(sent))
    began_s = time.monotonic()
    link.stop()
    assert time.monotonic() - began_s < within(1.5)


def test_a_link_comes_back_by_itself_subscribes_anew_and_sends_no_old_copies(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (url, process):
        link = MqttLink(url, "t", Random(1), ["t/echo"])
        ends = Ends(link)
        assert ends.up.wait(10)
        process.kill()
        process.wait(5)
        for number in range(5):
            link.publish("t/echo", b"old %d" % number)
        until(lambda: not ends.up.is_set(), "the loss is noticed")
        assert not link.publish("t/echo", b"refused")
    with mosquitto(tmp_path, int(url.rpartition(":")[2])):
        assert ends.up.wait(15)
        assert link.publish("t/echo", b"new")
        until(lambda: ends.messages, "it listens again")
        assert [payload for _, payload, _ in ends.messages] == [b"new"]
        link.stop()


def _told(hub: HubProcess) -> dict[str, object]:
    found = get_json(hub.url + WITNESS_PATH)
    return dict(found["journals"]) if found else {}


def test_taps_reach_the_hub_and_the_hub_is_a_witness(
    hub: HubProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = GatewayProcess(tmp_path, uplink=hub.broker_url)
    gateway.play(*TICK[:20])
    gateway.start()
    gateway.await_signal("accepted", count=20)
    until(lambda: {name for name, _ in hub.events()} >= gateway.promised(), "all of it arrives")
    shutil.copytree(gateway.data, tmp_path / "earlier")
    assert gateway.end() == 0
    gateway.start()
    gateway.await_signal("accepted", "repeated", count=25)
    until(lambda: {name for name, _ in hub.events()} >= gateway.names(), "all of it arrives")
    assert gateway.end() == 0
    capsys.readouterr()

    # The head that a clean end signs is read by the hub after the next start.
    assert main(["verify", str(gateway.data), "--witness", hub.url]) == VALID
    assert "the witness holds it through" in capsys.readouterr().out
    saved = tmp_path / "told.json"
    saved.write_text(json.dumps({"journals": _told(hub)}), encoding="utf-8")
    runs = list(dict.fromkeys(event.tap.journal for event in events(gateway.data)))

    cut = tmp_path / "cut"
    shutil.copytree(gateway.data, cut)
    database = sqlite3.connect(cut / FILE_NAME)
    with database:
        database.execute("DELETE FROM event WHERE position > ?", (2 << 40 | 4,))
    database.close()
    for witness in (hub.url, str(saved)):
        assert main(["verify", str(cut), "--json", "--witness", witness]) == BAD
        assert json.loads(capsys.readouterr().out)["first_bad"] == f"{runs[1]}.5"
        assert main(["verify", str(tmp_path / "earlier"), "--json", "--witness", witness]) == BAD
        first_bad = json.loads(capsys.readouterr().out)["first_bad"]
        assert first_bad in (f"{runs[1]}.1", f"{runs[0]}.{_last(tmp_path / 'earlier') + 1}")
    assert main(["verify", str(cut)]) == VALID
    assert "later records can't be excluded" in capsys.readouterr().out


def _last(data: Path) -> int:
    return events(data)[-1].tap.sequence


def test_numbers_sealed_before_the_first_contact_are_opened_by_the_hub(hub: HubProcess, tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.play((0, "w24:ADBEEF"))
    gateway.start()
    gateway.await_signal("accepted")
    assert gateway.end() == 0
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text + f'[uplink]\nurl = "{hub.broker_url}"\n', encoding="utf-8")
    gateway.replays[0].write_text("", encoding="ascii")
    gateway.start()
    until(lambda: {name for name, _ in hub.events()} >= gateway.promised(), "the tap arrives")
    raw = next(data_of(event)["raw"] for event in events(gateway.data) if "raw" in data_of(event))

    def handed_over() -> tuple[bytes, bytes, str] | None:
        ledger = sqlite3.connect(f"{next(hub.data_dir.glob('*.db')).as_uri()}?mode=ro", uri=True)
        try:
            seeds = dict(ledger.execute("SELECT name, value FROM settings").fetchall())
            row = ledger.execute("SELECT raw0 FROM device_keys WHERE device = ?", (DEVICE,)).fetchone()
        finally:
            ledger.close()
        return (seeds["sign_seed"], seeds["box_seed"], row[0]) if row and row[0] else None

    sign_seed, box_seed, raw0 = until(handed_over, "the box's secret is handed over")
    early = Identity(bytes(32), Identity(sign_seed, box_seed).open(raw0))
    assert decode_raw(early.open(raw)) == RawRead("w24:ADBEEF")
    assert gateway.end() == 0


def test_on_a_full_disk_what_is_owed_is_still_delivered_and_receipted(
    hub: HubProcess,
    tmp_path: Path,
    small_disk: Path,  # noqa: F811 - the fixture
) -> None:
    if not small_disk.exists():
        pytest.skip("only root mounts a small disk")
    gateway = GatewayProcess(tmp_path, data=small_disk / "data")
    gateway.play(*((10, card(number)) for number in range(60)))
    gateway.start()
    gateway.await_signal("accepted", count=60)
    gateway.end(9)
    owed = gateway.names()
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text + f'[uplink]\nurl = "{hub.broker_url}"\n', encoding="utf-8")
    gateway.play((200, card(999)), *((300, card(1_000 + number)) for number in range(200)))
    gateway.start()
    gateway.await_signal("accepted", count=61)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                os.write(file.fileno(), bytes(512))
        except OSError:
            pass
    gateway.await_signal("alarm", count=2)
    until(lambda: {name for name, _ in hub.events()} >= owed, "the backlog goes out all the same")
    until(lambda: _owed(hub) == 0, "and its receipts are heard")
    filler.unlink()
    alarms = len(gateway.shown())
    until(lambda: "accepted" in gateway.words()[alarms:], "recording resumes")
    until(lambda: {name for name, _ in hub.events()} >= gateway.promised(), "everything arrives")
    assert gateway.end() == 0


def test_a_page_that_broke_meanwhile_is_met_while_delivering_and_all_else_arrives(
    hub: HubProcess, tmp_path: Path
) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.play(*((10, card(number)) for number in range(60)))
    gateway.start()
    gateway.await_signal("accepted", count=60)
    assert gateway.end() == 0
    owed = gateway.names()
    path = gateway.data / FILE_NAME
    octets = bytearray(path.read_bytes())
    leaves = [
        at
        for at in range(PAGE_BYTES, len(octets), PAGE_BYTES)
        if octets[at] == 0x0D and b'"id"' in octets[at : at + PAGE_BYTES]
    ]
    broken = leaves[len(leaves) // 2]
    octets[broken : broken + 8] = b"\xff" * 8
    path.write_bytes(octets)
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text + f'[uplink]\nurl = "{hub.broker_url}"\n', encoding="utf-8")
    gateway.play(*((100, card(1_000 + number)) for number in range(300)))
    gateway.start()
    until(lambda: "journal-damaged" in {shown.get("code") for shown in gateway.shown()}, "the damage is told")
    until(lambda: len({name for name, _ in hub.events()} & owed) >= len(owed) - 6, "what can be read arrives")
    pid = gateway.pid
    count = len(gateway.shown())
    gateway.await_signal("accepted", count=count + 3)
    assert gateway.pid == pid, "it began anew without a new process"
    until(lambda: list(gateway.data.glob("salvaged-*.db")), "the damaged file is kept")
    assert gateway.end() == 0
    held = {event.id for event in events(gateway.data)}
    lost = owed - held
    assert 0 < len(lost) <= 6
    gaps = [data_of(event) for event in events(gateway.data) if event.name == "log.gap"]
    assert {int(name.partition(".")[2]) for name in lost} <= {
        sequence for gap in gaps for sequence in range(gap["first"], gap["last"] + 1)
    }


def test_a_record_whose_bytes_are_no_line_is_a_hole_with_a_name_and_all_else_arrives(
    hub: HubProcess, tmp_path: Path
) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.play(*((10, card(number)) for number in range(20)))
    gateway.start()
    gateway.await_signal("accepted", count=20)
    assert gateway.end() == 0
    owed = events(gateway.data)
    lost = owed[6]
    database = sqlite3.connect(gateway.data / FILE_NAME)
    database.execute(
        "UPDATE event SET raw = CAST(replace(CAST(raw AS TEXT), ':', char(10)) AS BLOB)"
        f" WHERE position & 0xFFFFFF = {lost.tap.sequence}"
    )
    database.commit()
    database.close()
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text + f'[uplink]\nurl = "{hub.broker_url}"\n', encoding="utf-8")
    gateway.replays[0].write_text("", encoding="ascii")
    gateway.start()
    others = {event.id for event in owed} - {lost.id}
    until(lambda: {name for name, _ in hub.events()} >= others, "what is before and behind it arrives")
    until(lambda: "journal-damaged" in {shown.get("code") for shown in gateway.shown()}, "the damage is told")
    journal, sequence = lost.tap.journal, lost.tap.sequence

    def holes() -> list[tuple[str, int, int]]:
        found = next(entry["holes"] for entry in hub.status()["devices"] if entry["device"] == DEVICE)
        return [(hole["journal"], hole["first"], hole["last"]) for hole in found]

    # What is new goes first, so the running journal has a hole for a moment as well.
    until(lambda: holes() == [(journal, sequence, sequence)], "the record that is lost is named, and no other")
    assert gateway.end() == 0
    assert f"record {lost.id} is damaged" in gateway.log.read_text(encoding="utf-8")


def _owed(hub: HubProcess) -> int | None:
    for device in hub.status()["devices"]:
        if device["device"] == DEVICE:
            return int(device["owed"])
    return None
