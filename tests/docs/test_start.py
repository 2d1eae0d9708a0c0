"""The newcomer's page, done as it says: its files written, its commands run, what it shows compared with what comes."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.broker import free_port
from protocol.signing import split_message, verify
from sim.parts import get_json, until
from tests.protocol.schemas import FOLDER, problems

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "start.md").read_text(encoding="utf-8")
FIRST = PAGE.partition("## A first beep, touch by touch")[2].partition("## By hand")[0]
BY_HAND = PAGE.partition("## By hand")[2].partition("## A real reader")[0]
FILE = re.compile(r"`(?P<name>[\w.]+\.(?:toml|csv|txt))`[^\n]*:\n\n```\w+\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
SERVICES = ("city", "hub", "gateway")
PORTS = ("8700", "8600", "1883")


class Hands:
    """Who follows the page: a folder, other ports than the page's where those may be taken, the services started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))

    def here(self, text: str) -> str:
        for shown, mine in self.ports.items():
            text = text.replace(f":{shown}", f":{mine}")
        return text

    def start(self, words: list[str]) -> None:
        log = (self.folder / f"{words[1]}.log").open("wb")
        with log:
            self.running[words[1]] = subprocess.Popen(self.program(words), cwd=self.folder, stdout=log, stderr=log)

    def run(self, words: list[str]) -> str:
        done = subprocess.run(self.program(words), cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    @staticmethod
    def program(words: list[str]) -> list[str]:
        assert words[0] == "k12edge"
        return [sys.executable, "-m", *words]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def end(self) -> dict[str, int]:
        for process in reversed(self.running.values()):
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(10) for name, process in self.running.items()}


def free_ports(count: int) -> list[str]:
    held: list[socket.socket] = []
    for _ in range(count):
        listener = socket.socket()
        listener.bind(("127.0.0.1", free_port("127.0.0.1")))
        held.append(listener)
    ports = [str(listener.getsockname()[1]) for listener in held]
    for listener in held:
        listener.close()
    return ports


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    found = Hands(tmp_path)
    yield found
    for process in found.running.values():
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)


def lines_of_commands(part: str = BY_HAND) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith(("k12edge", "curl", "sleep"))]


def signals(log: str) -> list[str]:
    return [line for line in log.splitlines() if line.startswith("cong-a: ")]


def test_the_first_beep_touch_by_touch(hands: Hands) -> None:
    files = {found["name"]: found["text"] for found in FILE.finditer(FIRST)}
    assert set(files) == {"first.toml"}
    (hands.folder / "first.toml").write_text(files["first.toml"], encoding="utf-8")
    lines = lines_of_commands(FIRST)
    hands.start(shlex.split(lines[0]))
    until(lambda: "k12edge.gateway: gateway thu" in hands.log("gateway"), "the gateway runs")
    shown = FIRST.partition("```text\n")[2].partition("```")[0].splitlines()
    seen: dict[str, str] = {}
    for line in lines[1:]:
        words = shlex.split(line)
        if words[0] == "sleep":
            # The card is away for so long, as the page says.
            subprocess.run(words, check=True)
        elif words[1:3] == ["readers", "tap"]:
            before = len(signals(hands.log("gateway")))
            tap(hands, words)
            until(lambda before=before: len(signals(hands.log("gateway"))) > before, line)  # type: ignore[misc]
        else:
            seen[" ".join(words[1:3])] = hands.run(words)
    assert signals(hands.log("gateway")) == shown
    assert seen["journal first"].count("attendance.tap") == 3
    assert seen["card explain"].startswith("a:0A1B2C3D")
    assert hands.end() == {"gateway": 0}


def tap(hands: Hands, words: list[str]) -> None:
    """As soon as the reader is there, which it is in a moment after the gateway says that it runs."""

    def held() -> bool:
        done = subprocess.run(hands.program(words), cwd=hands.folder, capture_output=True, text=True, timeout=60)
        return done.returncode == 0

    until(held, " ".join(words))


def test_the_page_by_hand(hands: Hands) -> None:
    files = {found["name"]: found["text"] for found in FILE.finditer(BY_HAND)}
    assert set(files) == {"hub.toml", "roster.csv", "cards.txt", "gateway.toml"}
    for name, text in files.items():
        (hands.folder / name).write_text(hands.here(text), encoding="utf-8")
    seen: dict[str, str] = {}
    for line in lines_of_commands():
        words = shlex.split(hands.here(line))
        if words[0] == "curl":
            with urllib.request.urlopen(words[1], timeout=10) as answer:
                seen["curl"] = answer.read().decode("utf-8")
        elif words[1] in SERVICES and words[2].startswith("--"):
            hands.start(words)
            ready(hands, words[1])
        else:
            seen[" ".join(words[1:3])] = hands.run(words)
    shown = BY_HAND.partition("```text\ncong-a:")[2].partition("```")[0]
    told = [line for line in hands.log("gateway").splitlines() if line.startswith("cong-a: ")]
    assert told == f"cong-a:{shown}".strip().splitlines()
    assert re.search(r": 2\b.*pupils, 2\b.*cards", seen["hub roster"])
    assert re.search(r"^cong\t.*accepted", seen["hub devices"], re.MULTILINE)
    assert seen["journal gateway"].count("attendance.tap") == 3
    assert len(json.loads(seen["curl"])["items"]) >= 5
    assert "valid through" in seen["verify gateway"]
    fits("audit.page", seen["curl"])
    for line in (hands.folder / "signals.jsonl").read_text(encoding="utf-8").splitlines():
        fits("signal", line)
    what_is_kept_at_the_broker_fits(hands)
    assert hands.end() == {"city": 0, "hub": 0, "gateway": 0}
    written = [json.loads(line) for line in hands.run(["k12edge", "journal", "gateway", "--json"]).splitlines()]
    for record in written:
        fits(record["type"].removeprefix("vn.k12edge.").removesuffix(".v1"), json.dumps(record["data"]))
    assert {record["type"] for record in written} >= {
        f"vn.k12edge.{name}.v1" for name in ("journal.opened", "boot.anchored", "attendance.tap", "journal.head")
    }


def fits(name: str, text: str | bytes) -> None:
    """What real processes said fits what is published of it."""
    schema = json.loads((FOLDER / f"{name}.v1.json").read_text(encoding="utf-8"))
    assert problems(schema, json.loads(text), schema) == [], name


def what_is_kept_at_the_broker_fits(hands: Hands) -> None:
    kept: dict[str, bytes] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, "onlooker", protocol=paho.MQTTv311)
    client.on_message = lambda _client, _data, message: kept.update({message.topic: bytes(message.payload)})
    client.on_connect = lambda *_: client.subscribe("k12/1/truong-mau/#", 1)
    client.connect("127.0.0.1", int(hands.ports["1883"]))
    client.loop_start()
    device = "k12/1/truong-mau/dev/cong/"
    bodies = {
        device + "state": "device.state",
        device + "receipt": "receipt",
        device + "cfg": "device.config",
        "k12/1/truong-mau/roster/gate": "roster",
        "k12/1/truong-mau/hub/state": "hub.state",
    }
    try:
        until(lambda: set(kept) >= set(bodies), f"not all of {list(bodies)} is kept")
    finally:
        client.disconnect()
        client.loop_stop()
    hub = json.loads(kept["k12/1/truong-mau/hub/state"])
    for topic, name in bodies.items():
        if name == "hub.state":
            fits(name, kept[topic])
            continue
        signature, signed, body = split_message(topic, kept[topic])
        verify(json.loads(body)["key"] if name == "device.state" else hub["key"], signed, signature)
        fits(name, gzip.decompress(body) if name == "roster" else body)


def ready(hands: Hands, service: str) -> None:
    """What a person waits for before the next step; in the end, until the city has it all."""
    if service != "gateway":
        until(lambda: "listening http" in hands.log(service), f"{service} does not listen")
        return
    signals = hands.folder / "signals.jsonl"
    until(lambda: signals.exists() and signals.read_text().count("\n") == 4, "not every card was signalled")
    port = hands.ports["8700"]

    def refused_arrived() -> bool:
        page = get_json(f"http://127.0.0.1:{port}/k12edge/v1/events?limit=100") or {"items": []}
        return any(item["event"]["type"] == "vn.k12edge.card.refused.v1" for item in page["items"])

    until(refused_arrived, "the last tap is not at the city")
