"""Card numbers explained, readers watched and identified: the commands as a technician runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge.readers.plugged import plugged
from sim.emulators.keyboard import ENTER, TypingReader, press
from sim.emulators.lines import Printer
from sim.emulators.osdppd import OsdpPd


def run(*words: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k12edge", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


@pytest.mark.parametrize(
    ("number", "cards"),
    [
        ("a:04A1B2C3D4E580", ["a:04A1B2C3D4E580"]),
        ("DEADBEEF", ["a:DEADBEEF", "a:EFBEADDE"]),
        (
            "0169552957",
            ["em:0169552957", "em:5729556901", "a:0A1B2C3D", "a:3D2C1B0A", "em:000A1B2C3D", "em:3D2C1B0A00"],
        ),
        ("173,48879", ["w24:ADBEEF"]),
        ("0A00B6ED7726", ["em:0A00B6ED77", "em:77EDB6000A"]),
        ("1110111101010110110111110111011110", ["a:DEADBEEF", "a:EFBEADDE"]),
    ],
)
def test_a_number_is_explained_as_every_card_that_it_may_be(number: str, cards: list[str]) -> None:
    done = run("card", "explain", number, "--json")
    assert done.returncode == 0, done.stderr
    assert [found["card"] for found in json.loads(done.stdout)] == cards


def test_every_form_of_a_card_is_printed_for_people() -> None:
    done = run("card", "explain", "a:DEADBEEF")
    lines = [line.split() for line in done.stdout.splitlines()]
    for text, plan in (
        ("EFBEADDE", "format=hex&order=reversed"),
        ("3735928559", "format=dec&bytes=4"),
        ("4022250974", "format=8h10d&order=reversed"),
        ("173,48879", "format=3d5d"),
        ("BEADDE", "format=w26&order=reversed"),
        ("1110111101010110110111110111011110", "format=w34"),
    ):
        assert any(line[:2] == [text, plan] for line in lines), (text, plan)


@pytest.mark.parametrize(
    ("number", "told"), [("a:08A1B2C3", "random"), ("em:0000000000", "no card"), ("a:8804A1B2", "half")]
)
def test_a_number_that_names_no_card_is_explained_with_a_warning(number: str, told: str) -> None:
    assert told in run("card", "explain", number).stdout


def test_what_is_no_number_is_refused_with_what_one_looks_like() -> None:
    done = run("card", "explain", "xyz")
    assert done.returncode == 1 and "in no form" in done.stderr


def _say_until(printer: Printer, text: str, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            printer.say(text)
        except OSError:
            return
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("text", "card", "address"),
    [
        ("0169552957\r\n", "a:0A1B2C3D", "format=dec&bytes=4"),
        ("190,44510\r\n", "a:DEADBEEF", "format=3d5d&order=reversed"),
        ("\x020A00B6ED7726\x03", "em:0A00B6ED77", "format=rdm6300"),
        ("C3B2A104\r", "a:04A1B2C3D4E580", "format=hex&order=reversed&bytes=4&part=first"),
    ],
)
def test_one_known_card_tells_what_a_reader_prints(tmp_path: Path, text: str, card: str, address: str) -> None:
    printer, stop = Printer(tmp_path / "tty"), threading.Event()
    thread = threading.Thread(target=_say_until, args=(printer, text, stop))
    thread.start()
    done = run("readers", "identify", printer.link, "--card", card, "--baud", "9600")
    stop.set()
    thread.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"lines://{printer.link}?{address}"
    printer.unplug()


@pytest.mark.preloaded_input
def test_one_known_card_tells_what_a_reader_types(tmp_path: Path) -> None:
    reader, done = TypingReader(tmp_path / "wedge-event-kbd"), threading.Event()

    def type_until() -> None:
        while not done.is_set():
            if reader.held:
                reader.send(*press(ENTER))
                reader.type("4022250974")
            time.sleep(0.05)

    thread = threading.Thread(target=type_until)
    thread.start()
    found = run("readers", "identify", f"keyboard://{reader.link}", "--card", "a:DEADBEEF", "--seconds", "20")
    done.set()
    thread.join()
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[0] == f"keyboard://{reader.link}?format=dec&order=reversed&bytes=4"
    assert "rdm6300" not in found.stdout
    reader.unplug()


@pytest.mark.parametrize(
    ("sent", "card", "more"),
    [
        ("DEADBEEF", "a:DEADBEEF", ""),
        ("EFBEADDE", "a:DEADBEEF", "&order=reversed"),
        ("04A1B2C3", "a:04A1B2C3D4E580", "&part=first"),
        ("C3B2A104", "a:04A1B2C3D4E580", "&order=reversed&part=first"),
        ("80E5D4C3", "a:04A1B2C3D4E580", "&order=reversed&part=last"),
    ],
)
def test_one_known_card_tells_what_an_osdp_reader_sends(tmp_path: Path, sent: str, card: str, more: str) -> None:
    key_file = tmp_path / "gate.key"
    key_file.write_text("00112233445566778899AABBCCDDEEFF\n", encoding="ascii")
    key_file.chmod(0o600)
    with OsdpPd(tmp_path / "tty", bytes.fromhex(key_file.read_text(encoding="ascii"))) as pd:
        url = f"osdp://{pd.link}?address=0&key-file={key_file}&baud=115200"
        pd.show(4 * len(sent), bytes.fromhex(sent))
        found = run("readers", "identify", url, "--card", card, "--seconds", "20")
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[0] == url + more


def test_what_is_to_be_found_out_is_not_declared(tmp_path: Path) -> None:
    for declared in ("osdp:///dev/x?address=0&key-file=/k&order=reversed", "lines:///dev/x?format=hex"):
        done = run("readers", "identify", declared, "--card", "a:DEADBEEF")
        assert done.returncode == 1 and "to be found out" in done.stderr


def test_reads_that_are_no_number_are_not_taken_for_silence(tmp_path: Path) -> None:
    key_file = tmp_path / "gate.key"
    key_file.write_text("00112233445566778899AABBCCDDEEFF\n", encoding="ascii")
    key_file.chmod(0o600)
    with OsdpPd(tmp_path / "tty", bytes.fromhex(key_file.read_text(encoding="ascii"))) as pd:
        pd.show(37, bytes.fromhex("DEADBEEF12"))
        url = f"osdp://{pd.link}?address=0&key-file={key_file}&baud=115200"
        done = run("readers", "identify", url, "--card", "a:DEADBEEF", "--seconds", "3")
    assert done.returncode == 1 and "1 reads came, and none names" in done.stderr


def test_a_reader_that_tells_whole_numbers_needs_no_finding_out() -> None:
    done = run("readers", "identify", "pn532:///dev/ttyUSB0", "--card", "a:DEADBEEF")
    assert done.returncode == 1 and "whole number" in done.stderr and "readers watch" in done.stderr


def test_another_card_than_was_said_and_a_silent_reader_are_told_apart(tmp_path: Path) -> None:
    printer, stop = Printer(tmp_path / "tty"), threading.Event()
    silent = run("readers", "identify", printer.link, "--card", "a:DEADBEEF", "--baud", "9600", "--seconds", "0.3")
    assert silent.returncode == 1 and "said nothing" in silent.stderr
    thread = threading.Thread(target=_say_until, args=(printer, "0169552957\r\n", stop))
    thread.start()
    other = run("readers", "identify", printer.link, "--card", "a:DEADBEEF", "--baud", "9600", "--seconds", "1")
    stop.set()
    thread.join()
    assert other.returncode == 1 and "none names" in other.stderr
    printer.unplug()


def test_a_reader_is_watched(tmp_path: Path) -> None:
    printer, stop = Printer(tmp_path / "tty"), threading.Event()
    thread = threading.Thread(target=_say_until, args=(printer, "DEADBEEF\r\n", stop))
    thread.start()
    address = f"lines://{printer.link}?format=hex"
    done = run("readers", "watch", address, "--count", "1", "--seconds", "20", "--json")
    shown = run("readers", "watch", address, "--count", "1", "--seconds", "20")
    stop.set()
    thread.join()
    found = json.loads(done.stdout)
    assert (found["card"], found["text"]) == ("a:DEADBEEF", "DEADBEEF")
    assert shown.stdout.startswith("a:DEADBEEF") and "3735928559" in shown.stdout
    printer.unplug()
    (tmp_path / "cards.txt").write_text("no card\n", encoding="ascii")
    refused = run("readers", "watch", f"replay:{tmp_path / 'cards.txt'}", "--seconds", "0.5")
    assert refused.returncode == 1 and "configuration" in refused.stderr and "cable" not in refused.stderr
    gone = run("readers", "watch", address, "--seconds", "0.5")
    assert gone.returncode == 1 and "reader-lost" in gone.stderr


def test_what_is_plugged_in_is_listed_under_the_name_that_lasts(tmp_path: Path) -> None:
    dev, sys_ = tmp_path / "dev", tmp_path / "sys"
    for folder in (
        dev / "serial/by-id",
        dev / "serial/by-path",
        dev / "input/by-id",
        sys_ / "class/tty",
        sys_ / "devices/usb1/1-1/1-1:1.0/ttyUSB0",
        sys_ / "bus/usb/devices/1-2",
    ):
        folder.mkdir(parents=True)
    for name in ("ttyUSB0", "ttyS0", "ttyS1", "tty1", "event3"):
        (dev / name).write_bytes(b"")
        (sys_ / "class/tty" / name).mkdir()
    (sys_ / "devices/usb1/1-1/idVendor").write_text("1a86\n")
    (sys_ / "class/tty/ttyUSB0/device").symlink_to(sys_ / "devices/usb1/1-1/1-1:1.0/ttyUSB0")
    (sys_ / "class/tty/ttyS0/type").write_text("4\n")
    (sys_ / "class/tty/ttyS1/type").write_text("0\n")
    (dev / "serial/by-id/usb-1a86").symlink_to(dev / "ttyUSB0")
    (dev / "serial/by-path/usb-1.1").symlink_to(dev / "ttyUSB0")
    (dev / "input/by-id/usb-Sycreader-event-kbd").symlink_to(dev / "event3")
    (sys_ / "bus/usb/devices/1-2/idVendor").write_text("072f\n")
    (sys_ / "bus/usb/devices/1-2/idProduct").write_text("2200\n")
    found = [(at.kind, at.what, at.path) for at in plugged(dev, sys_)]
    assert found == [
        ("serial", "UART", str(dev / "ttyS0")),
        ("serial", "CH340/CH343", str(dev / "serial/by-path/usb-1.1")),
        ("keyboard", "Sycreader", str(dev / "input/by-id/usb-Sycreader-event-kbd")),
        ("usb", "ACR122U", "072f:2200"),
    ]
    done = run("readers", "list", "--json")
    assert done.returncode == 0 and isinstance(json.loads(done.stdout), list)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("readers", "watch", "simulated:x", "--seconds", "inf"), 2, "at most 86400"),
        (("readers", "watch", "simulated:x", "--seconds", "-1"), 2, "more than 0"),
        (("readers", "watch", "simulated:x", "--seconds", "nan"), 2, "more than 0"),
        (("readers", "watch", "simulated:x", "--count", "0"), 2, "less than 1"),
    ],
)
def test_a_time_or_count_that_cannot_be_is_a_wrong_word(words: tuple[str, ...], code: int, said: str) -> None:
    done = run(*words)
    assert done.returncode == code and said in done.stderr, done.stderr


def test_a_full_output_is_told_and_no_traceback() -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        command = [sys.executable, "-m", "k12edge", "card", "explain", "a:DEADBEEF"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and "can't be written" in done.stderr and "Traceback" not in done.stderr
