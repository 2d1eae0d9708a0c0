"""What a running gateway tells of its readers: a driver that hangs, and what each reader did."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import serial

from edge.readers.tty import give_back
from sim.emulators.lines import Printer
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

HANGING = """
import sys, time
from edge.readers import opening

class Hangs:
    pause_s, moments, partials, unread = 0.0, False, (), 0
    def open(self): time.sleep(3600)
    def close(self): pass

opening.SCHEMES["hangs"] = lambda path, options: Hangs()
from k12edge.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A gateway with one driver more, which doesn't return."""


def test_a_driver_that_hangs_is_told_and_its_neighbour_reads_on(tmp_path: Path) -> None:
    (tmp_path / "the.txt").write_text("9000 a:DEADBEEF 50\n", encoding="ascii")
    road = Road(tmp_path, with_city=False)
    part = road.add_gateway("g", {"treo": ("gate", "hangs:x"), "cong": ("gate", f"replay:{tmp_path / 'the.txt'}")})
    part.program = (sys.executable, "-c", HANGING)
    road.hub.start()
    road.accept()
    part.start()
    try:
        signals = road.signals_of("g")
        until(lambda: signals.exists() and '"reader-stuck"' in signals.read_text(encoding="utf-8"), "an alarm", 15)
        told = until(lambda: [data_of(event) for event in events(tmp_path / "g") if event.name == "device.alarm"], "it")
        assert any(alarm["code"] == "reader-stuck" and "station treo" in alarm["detail"] for alarm in told)
        until(lambda: _device(road)["readers"] == {"treo": "reader-stuck", "cong": "ready"}, "the hub knows", 15)
        until(lambda: "reader-stuck" in _device(road)["alarms"], "and that it is an alarm", 15)
        until(lambda: any(event.name == "attendance.tap" for event in events(tmp_path / "g")), "its neighbour", 15)
        part.check()
    finally:
        road.stop()


def _device(road: Road) -> Any:
    state = road.status()
    return next((device for device in state["devices"] if device["device"] == "g"), None) if state else None


def _counters(road: Road) -> Any:
    return (_device(road) or {"counters": {}})["counters"]


def test_what_readers_did_is_seen_at_the_hub(tmp_path: Path) -> None:
    printer = Printer(tmp_path / "module")
    road = Road(tmp_path, with_city=False)
    stations = {"phu": ("gate", f"lines://{printer.link}?format=8h10d"), "xa": ("gate", "pn532:///dev/khong-co")}
    part = road.add_gateway("g", stations)
    road.hub.start()
    road.accept()
    part.start()
    try:
        printer.await_listener()
        time.sleep(0.1)  # What comes at once may be the end of a number that nobody heard begin.
        for words in ("0169552957", "no number", "0169552958"):
            printer.say(f"{words}\r\n")
        until(lambda: _counters(road).get("phu", {}).get("sightings") == 2, "two cards at the hub", 60)
        phu, xa = _counters(road)["phu"], _counters(road)["xa"]
        assert phu["unread"] == 1 and phu["opens"] == 1 and phu["losses"] == 0 and phu["looks"] > 0
        assert xa["opens"] == 0 and xa["losses"] == 1 and xa["sightings"] == 0
    finally:
        road.stop()
        printer.unplug()


def test_a_line_whose_closing_fails_is_closed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printer = Printer(tmp_path / "module")
    before = set(os.listdir("/proc/self/fd"))
    line = serial.Serial(str(printer.link), 9600, timeout=0)
    number, real = line.fileno(), os.close
    closed: list[int] = []

    def failing(descriptor: int) -> None:
        # As Linux does: the number is free, whatever is told.
        closed.append(descriptor)
        real(descriptor)
        if descriptor == number:
            raise OSError(5, "EIO")

    monkeypatch.setattr(os, "close", failing)
    give_back(line)
    others = [socket.socket() for _ in range(6)]
    give_back(line)
    line.__del__()
    monkeypatch.undo()
    assert closed.count(number) == 1 and len(closed) == 5
    for other in others:
        other.getsockname()
        other.close()
    assert set(os.listdir("/proc/self/fd")) <= before
    printer.unplug()
