"""`k12edge gateway init`, as a technician runs it: emulated readers, answers typed, and what comes of it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config import load_config
from edge.readers.opening import make_reader
from edge.readers.plugged import Plugged
from k12edge import setup
from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.pn532 import FieldCard
from sim.emulators.usb import UsbBus
from sim.emulators.usbreaders import Acr122


def init(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k12edge", "gateway", "init", "--config", str(folder / "gateway.toml"), *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=100)


@contextmanager
def touching(printer: Printer, text: str) -> Iterator[None]:
    """The card is held to the reader again and again."""
    stop = threading.Event()

    def touch() -> None:
        while not stop.is_set():
            printer.say(text)
            time.sleep(0.2)

    thread = threading.Thread(target=touch)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_two_readers_are_found_and_what_the_second_prints_is_told_by_the_first(tmp_path: Path) -> None:
    printer = Printer(tmp_path / "wiegand")
    with Bench() as bench, touching(printer, "BEADDE\r\n"):
        bench.add(tmp_path / "chip").place(FieldCard(bytes.fromhex("DEADBEEF")))
        done = init(
            tmp_path,
            *("--port", str(tmp_path / "wiegand"), "--port", str(tmp_path / "chip"), "--seconds", "5"),
            typed="79000701\nCổng A\ncong-a\nmqtt://\nmqtt://10.0.0.2\n\ncua\ngate\nin\nbep\ncantine\ncanteen\n",
        )
    printer.unplug()
    assert done.returncode == 0, done.stderr
    assert "'Cổng A'" in done.stderr and "'cantine'" in done.stderr, "an answer that can't be is asked for again"
    config = load_config(tmp_path / "gateway.toml")
    assert (config.school, config.gateway_id, config.uplink_url) == ("79000701", "cong-a", "mqtt://10.0.0.2")
    assert [(plan.name, plan.kind, plan.direction) for plan in config.stations] == [
        ("tram-1", "gate", "in"),
        ("bep", "canteen", None),
    ]
    assert config.readers[0] == f"pn532://{tmp_path / 'chip'}"
    assert config.readers[1].startswith(f"lines://{tmp_path / 'wiegand'}?format=")
    assert "format=w26&order=reversed" in (tmp_path / "gateway.toml").read_text(encoding="utf-8")


def test_everything_may_be_given_as_options(tmp_path: Path) -> None:
    printer = Printer(tmp_path / "dec")
    with touching(printer, "0169552957\r\n"):
        done = init(
            tmp_path,
            *(
                "--school",
                "79000701",
                "--id",
                "g-1",
                "--broker",
                "",
                "--card",
                "a:0A1B2C3D",
                "--port",
                str(printer.link),
            ),
            typed="cong\ngate\nout\n",
        )
    printer.unplug()
    assert done.returncode == 0, done.stderr
    document = tomllib.loads((tmp_path / "gateway.toml").read_text(encoding="utf-8"))
    assert document["station"] == [
        {"name": "cong", "kind": "gate", "direction": "out", "reader": f"lines://{printer.link}?format=dec&bytes=4"}
    ]
    assert "uplink" in document and "url" not in document["uplink"]


def test_a_configuration_in_use_is_never_replaced_and_the_installed_template_is_kept_beside(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    words = ("--school", "79000701", "--id", "g-1", "--broker", "", "--port", str(tmp_path / "nothing"))
    file.write_text('[gateway]\nid = "g-0"\nschool = "1"\n', encoding="utf-8")
    done = init(tmp_path, *words)
    assert done.returncode == 2 and "exists already" in done.stderr
    file.write_text('[gateway]\nid = "CHANGE-ME"\n', encoding="utf-8")
    done = init(tmp_path, *words, typed="\n")
    assert done.returncode == 1 and "no-reader" in done.stderr, "without a reader there is nothing to set up"
    assert "CHANGE-ME" in file.read_text(encoding="utf-8"), "and all stays as it was"
    file.chmod(0o604)
    with Bench() as bench:
        bench.add(tmp_path / "chip")
        bench.add(tmp_path / "other")
        more = ("--port", str(tmp_path / "chip"), "--port", str(tmp_path / "other"), "--seconds", "0.2")
        done = init(tmp_path, *words[:6], *more, typed="cong\n\n\ncong\ncong-2\n\n\n")
    assert done.returncode == 0 and "is taken" in done.stderr, done.stderr
    assert [plan.name for plan in load_config(file).stations] == ["cong", "cong-2"]
    assert {entry.name for entry in tmp_path.glob("gateway*")} == {"gateway.toml", "gateway.toml.old"}
    assert "CHANGE-ME" in file.with_name("gateway.toml.old").read_text(encoding="utf-8")


def test_where_nobody_answers_nothing_is_written(tmp_path: Path) -> None:
    done = init(tmp_path, "--school", "79000701", "--port", str(tmp_path / "nothing"))
    assert done.returncode == 1 and "no-answer" in done.stderr
    assert not (tmp_path / "gateway.toml").exists()
    wrong = init(tmp_path, "--school", "Trường 1", "--port", str(tmp_path / "nothing"))
    assert wrong.returncode == 2 and "a-z" in wrong.stderr


def test_usb_readers_that_open_are_stations_and_keyboards_are_only_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = UsbBus()
    bus.plug(Acr122())
    monkeypatch.setattr("usb1.USBContext", bus.context)
    there = (
        Plugged(
            "keyboard", "Sycreader", "/dev/input/by-id/x-event-kbd", ("keyboard:///dev/input/by-id/x-event-kbd?…",)
        ),
        Plugged("usb", "ACR122U", "072f:2200", ("nfcpy:usb:072f:ffff", "nfcpy:usb:072f:2200")),
        Plugged("usb", "PN533", "04cc:2533", ("nfcpy:usb:04cc:2533",)),
    )
    monkeypatch.setattr(setup, "plugged", lambda: there)
    answers = iter(["bep", "canteen"])
    setup.init(
        tmp_path / "gateway.toml",
        school="79000701",
        gateway="g",
        broker="",
        card=None,
        ports=(),
        seconds=1,
        ask=lambda *_: next(answers),
    )
    config = load_config(tmp_path / "gateway.toml")
    assert config.readers == ("nfcpy:usb:072f:2200",) and config.stations[0].kind == "canteen"
    told = capsys.readouterr().err
    assert "Sycreader" in told and "04cc:2533 không mở được" in told


def test_what_cannot_be_written_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    for place, said in (("folder.toml", "no file of its own"), ("missing/gateway.toml", "no folder")):
        command = [sys.executable, "-m", "k12edge", "gateway", "init", "--config", str(tmp_path / place)]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_port_with_an_odd_name_is_written_so_that_it_is_read(tmp_path: Path) -> None:
    odd = tmp_path / 'cổng "1" 100%?'
    with Bench() as bench:
        bench.add(odd)
        words = ("--school", "79000701", "--id", "g", "--broker", "", "--port", str(odd))
        done = init(tmp_path, *words, typed="\n\n\n")
        assert done.returncode == 0, done.stderr
        reader = make_reader(load_config(tmp_path / "gateway.toml").readers[0])
        reader.open()
        reader.close()
