"""The simulated reader: cards held to it by a command, at a running gateway; what others may not do."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.readers.opening import make_reader
from edge.readers.simulated import SimulatedReader, hold, socket_path
from protocol.cards import parse_card
from protocol.errors import ReaderLost, ReaderRefused
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

CARD = parse_card("a:04A1B2C3D4E580")


@pytest.fixture
def name() -> str:
    return f"t-{secrets.token_hex(6)}"


def tap(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k12edge", "readers", "tap", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_card_typed_at_a_terminal_is_a_tap_of_a_running_gateway(tmp_path: Path, name: str) -> None:
    road = Road(tmp_path, with_city=False)
    part = road.add_gateway("g", {"cong": ("gate", f"simulated:{name}")})
    missing = tap(name, "a:04A1B2C3D4E580")
    assert missing.returncode == 1 and "reader-lost" in missing.stderr
    part.start()
    try:
        until(socket_path(name).exists, "the gateway listens")
        done = tap(name, "a:04A1B2C3D4E580")
        assert done.returncode == 0, done.stderr
        until(lambda: any(event.name == "attendance.tap" for event in events(tmp_path / "g")), "the tap is recorded")
        found = [data_of(event) for event in events(tmp_path / "g") if event.name == "attendance.tap"]
        assert [(data["point"], data["decision"]) for data in found] == [("cong", "accepted")]
    finally:
        part.stop()
    assert not socket_path(name).exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [(("x", "a:DEAD"), 1), (("Cổng", "a:DEADBEEF"), 1), (("x", "a:DEADBEEF", "--hold-ms", "0"), 2)],
)
def test_what_cannot_be_held_is_refused(words: tuple[str, ...], code: int) -> None:
    done = tap(*words)
    assert done.returncode == code and ("k12edge: " if code == 1 else "--hold-ms: '0' is not 1 to") in done.stderr


def test_a_name_is_one_readers_and_is_free_when_its_process_was_killed(name: str) -> None:
    one, other = make_reader(f"simulated:{name}"), make_reader(f"simulated:{name}")
    one.open()
    with pytest.raises(ReaderLost, match="another process"):
        other.open()
    # Killed: the socket's name stays behind and nobody listens.
    path = socket_path(name)
    assert isinstance(one, SimulatedReader) and one._socket is not None
    one._socket.close()
    assert path.exists()
    other.open()
    hold(name, CARD)
    assert [read.card for read in other.poll()] == [CARD]
    other.close()


def test_noise_at_the_socket_is_no_card(name: str) -> None:

    reader = make_reader(f"simulated:{name}")
    reader.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        for words in (b"", b"x", b"a:DEADBEEF 0", b"a:DEADBEEF x", b"\xff" * 100, b"a:DEADBEEF " + b"9" * 90):
            line.sendto(words, str(socket_path(name)))
    assert reader.poll() == ()
    hold(name, CARD)
    assert [read.card for read in reader.poll()] == [CARD]
    reader.close()


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"k12edge-{os.getuid()}").mkdir(mode=0o700)
    (tmp_path / f"k12edge-{os.getuid()}").chmod(0o777)
    with pytest.raises(ReaderRefused, match="open to others"):
        make_reader(f"simulated:{name}")
