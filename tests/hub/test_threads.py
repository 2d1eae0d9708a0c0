"""What the hub's threads may do to each other: each test holds one of them where another would hurt it."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from hub import broker
from hub.control import ControlSocket, carry_out
from hub.mending import keep_keys, open_store
from hub.mqtt import HubLink
from hub.papers import wrapped
from hub.ports import Message
from hub.road import announcer as announcing
from hub.road.announcer import Announcer
from hub.road.reception import Followups
from hub.store.database import Database, LedgerFailed
from protocol.roster import Release
from tests.hub.handmade import SCHOOL, Gateway
from tests.hub.room import HubRoom, config_in

PATIENCE_S = 20.0


def test_a_ledger_that_is_closed_waits_for_the_statement_under_way(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.db")
    database.connection.execute("CREATE TABLE numbers (one INTEGER)")
    inside = threading.Event()
    stored: list[str] = []

    def rows() -> Iterator[tuple[int]]:
        for number in range(100_000):
            yield (number,)
            inside.set()

    def write() -> None:
        with database.transaction() as connection:
            connection.executemany("INSERT INTO numbers VALUES (?)", rows())
        stored.append("committed")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert inside.wait(PATIENCE_S)
    database.close()
    thread.join(PATIENCE_S)
    assert stored == ["committed"]
    with pytest.raises(sqlite3.ProgrammingError), database.transaction():
        pytest.fail("a transaction began")


def test_nothing_is_stored_after_the_storage_failed_until_the_file_is_opened_anew(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.db")
    told: list[str] = []
    database.on_damage = lambda: told.append("damage")
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    with pytest.raises(LedgerFailed), database.transaction():
        raise failure
    # The one that waited for the lock meanwhile comes next.
    with pytest.raises(LedgerFailed, match="opened anew"), database.transaction():
        pytest.fail("a transaction began")
    assert told == ["damage"]
    database.on_damage = None
    with pytest.raises(LedgerFailed, match="opened anew"), database.transaction():
        pytest.fail("a transaction began")
    database.close()
    again = Database(tmp_path / "ledger.db")
    with again.transaction():
        pass
    again.close()


class Voice:
    """A link that notes what is published."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        self.said.append((topic, payload))
        return True

    def acknowledge(self, message: Message) -> None:
        pass


@pytest.fixture
def room(tmp_path: Path) -> Iterator[HubRoom]:
    made = HubRoom(tmp_path / "hub")
    yield made
    made.close()


def _announcer(room: HubRoom) -> tuple[Announcer, Voice]:
    announcer = Announcer(room.config, "epoch", room.store.secrets.identity(), room.store, room.fleet)
    voice = Voice()
    announcer.use(voice)
    return announcer, voice


def test_a_link_that_comes_as_the_announcer_stops_waiting_is_announced_to(room: HubRoom) -> None:
    announcer, _ = _announcer(room)
    turns: list[bool] = []
    done = threading.Event()

    class Wake(threading.Event):
        """Where the wait has just timed out, and the link's thread comes before the announcer goes on."""

        late = True

        def wait(self, timeout: float | None = None) -> bool:
            if self.late:
                self.late = False
                announcer.now()
                return False
            return super().wait(timeout)

    def turn(*, anew: bool) -> None:
        turns.append(anew)
        if anew:
            done.set()

    object.__setattr__(announcer, "_wake", Wake())
    object.__setattr__(announcer, "turn", turn)
    thread = threading.Thread(target=announcer.run, daemon=True)
    thread.start()
    assert done.wait(PATIENCE_S)
    announcer.stop()
    thread.join(PATIENCE_S)
    assert turns[0], "seen by the very turn that was due"


def test_announcements_that_failed_are_made_at_the_next_turn(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    announcer, voice = _announcer(room)
    gateway = room.known(Gateway())
    rosters = announcer.rosters

    def failing() -> None:
        raise LedgerFailed("the disk")

    monkeypatch.setattr(announcer, "rosters", failing)
    announcer.turn(anew=True)
    monkeypatch.setattr(announcer, "rosters", rosters)
    said = len(voice.said)
    for _ in range(2):
        announcer.turn(anew=False)
    configured = [topic for topic, _ in voice.said[said:] if topic == gateway.topic("cfg")]
    assert len(configured) == 1


def test_a_farewell_is_the_last_word(room: HubRoom) -> None:
    announcer, voice = _announcer(room)
    announcer.turn(anew=False)
    announcer.stop()
    announcer.turn(anew=True)
    assert len(voice.said) == 1


def test_of_two_rosters_published_at_once_the_newer_is_kept(
    room: HubRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcer, voice = _announcer(room)
    paper = tmp_path / "roster.csv"
    reached, held, pack = threading.Event(), threading.Event(), announcing.pack_release

    def imported(student: str) -> None:
        paper.write_text(f"pupil_key,display_name,class,card_uid\n{student},An,1A,04A1B2C3D4E5F6\n", encoding="utf-8")
        words = {"file": paper.name, "paper": wrapped(paper.read_bytes()), "confirm": "cards-passed"}
        room.store.carry_out("roster-import", words)

    def packed(release: Release) -> bytes:
        """The older one is read, and isn't said yet."""
        if not reached.is_set():
            reached.set()
            assert held.wait(PATIENCE_S)
        return pack(release)

    monkeypatch.setattr("hub.road.announcer.pack_release", packed)
    imported("st-1")
    older = threading.Thread(target=announcer.rosters, daemon=True)
    older.start()
    assert reached.wait(PATIENCE_S)
    imported("st-2")
    newer = threading.Thread(target=announcer.rosters, daemon=True)
    newer.start()
    newer.join(0.5)
    held.set()
    for thread in (older, newer):
        thread.join(PATIENCE_S)
    retained = dict(voice.said)
    voice.said.clear()
    announcer.rosters()
    assert retained == dict(voice.said)


def test_commands_are_heard_again_after_no_descriptor_was_to_be_had(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    room.close()
    control = ControlSocket(room.config.data_dir, lambda action, _words: (f"done: {action}", None))
    line = cast("Any", control)._line

    class Short:
        """The listening socket of a process that has no descriptor left at the moment."""

        left = 2

        def accept(self) -> tuple[socket.socket, object]:
            if self.left:
                self.left -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return cast("tuple[socket.socket, object]", line.accept())

        def __getattr__(self, name: str) -> object:
            return getattr(line, name)

    object.__setattr__(control, "_line", Short())
    try:
        # The first is still accepted by the call that was waiting.
        for _ in range(3):
            assert carry_out(room.config, "devices-list", {}) == "done: devices-list"
    finally:
        control.close()


def test_a_broker_that_waits_for_its_disk_does_not_end_its_keeper() -> None:
    asked: list[str] = []

    class Stuck:
        """A process in uninterruptible sleep: it ends when the disk lets it."""

        def terminate(self) -> None:
            asked.append("terminate")

        def kill(self) -> None:
            asked.append("kill")

        def wait(self, timeout: float) -> int:
            raise subprocess.TimeoutExpired("nats-server", timeout)

    broker._end(cast("subprocess.Popen[bytes]", Stuck()))
    assert asked == ["terminate", "kill"]
    assert not broker._has_space(Path("/nowhere"))


class FakeBroker:
    """Takes connections one after the other; the first is broken off after two publications, unacknowledged."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.seen: list[tuple[int, bytes]] = []
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for life in (1, 2):
            line, _ = self.server.accept()
            for head, body in self._packets(line):
                if head >> 4 == 1:
                    line.sendall(b"\x20\x02\x00\x00")
                elif head >> 4 == 8:
                    line.sendall(b"\x90\x03" + body[:2] + b"\x01")
                elif head >> 4 == 3:
                    (size,) = struct.unpack("!H", body[:2])
                    self.seen.append((life, body[4 + size :]))
                    if self.seen[-1] == (2, b"lost"):
                        self.ended.set()
                    if life == 1 and len(self.seen) == 2:
                        line.close()
                        break

    @staticmethod
    def _packets(line: socket.socket) -> Iterator[tuple[int, bytes]]:
        held = b""
        while gained := line.recv(65536):
            held += gained
            while len(held) >= 2 and len(held) >= 2 + held[1]:
                yield held[0], held[2 : 2 + held[1]]
                held = held[2 + held[1] :]


def test_what_an_ended_connection_left_is_not_sent_after_newer_words() -> None:
    fake = FakeBroker()
    up, again, lives = threading.Event(), threading.Event(), []

    def on_state(connected: bool) -> None:
        if connected:
            lives.append(link.publish("receipt", b"through 30") if lives else True)
            (up if len(lives) == 1 else again).set()

    link = HubLink(
        *fake.server.getsockname(), "hub", Random(1), ["a"], ("will", b"lost"), lambda _message: None, on_state
    )
    link.start()
    assert up.wait(PATIENCE_S)
    link.publish("receipt", b"through 10")
    link.publish("receipt", b"through 20")
    assert again.wait(PATIENCE_S)
    link.stop(("will", b"lost"))
    assert fake.ended.wait(PATIENCE_S)
    fake.server.close()
    assert [payload for life, payload in fake.seen if life == 2][:2] == [b"through 30", b"lost"]


def test_nothing_is_acknowledged_while_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    link = HubLink("127.0.0.1", 9, "hub", Random(1), [], ("will", b""), lambda _message: None, lambda _connected: None)
    marks: list[int] = []
    monkeypatch.setattr(cast("Any", link)._client, "ack", lambda mark, _qos: marks.append(mark))
    message = Message("topic", b"", 7, 0, False)
    link.acknowledge(message)
    link.connected = True
    link.acknowledge(message)
    assert marks == [7]


def test_a_state_that_was_rolled_back_asks_for_its_configuration_again(room: HubRoom) -> None:
    gateway = Gateway()
    room.state(gateway)
    room.accept(gateway)
    follow = Followups()

    def taken_and_rolled_back() -> None:
        with room.store.database.transaction():
            room.reception.take_state(gateway.device, gateway.state(), follow)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        taken_and_rolled_back()
    assert follow.configs == {gateway.device}
    assert room.state(gateway).configs == {gateway.device}
    known = room.fleet.find(gateway.device)
    with pytest.raises(ZeroDivisionError):
        taken_and_rolled_back()
    assert known is not None and room.fleet.find(gateway.device) is known, "what stood before stands"


@pytest.mark.parametrize("action", ["keys-import", "devices-retire"])
def test_a_copy_of_the_keys_made_meanwhile_says_nothing_old(
    tmp_path: Path, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = open_store(config_in(_made(tmp_path / "other")))
    wanted = other.secrets.identity().key
    paper = other.secrets.export(SCHOOL, other.devices)[1]
    other.database.close()
    config = config_in(_made(tmp_path / "mine"))
    store, _ = open_store(config)
    gateway = Gateway()
    with store.database.transaction():
        store.devices.accept(gateway.device, None, 0)
        store.devices.met(gateway.device, gateway.identity.key, gateway.identity.box, None, None, 0)
    keep_keys(store, config)
    begun, looked = threading.Event(), threading.Event()
    desk = store.desk.carry_out

    def slow(action: str, words: dict[str, str | None]) -> object:
        begun.set()
        # The other thread reads what is in force still, and writes it whenever it may.
        looked.wait(0.3)
        return desk(action, words)

    monkeypatch.setattr(store.desk, "carry_out", slow)

    def look() -> None:
        assert begun.wait(PATIENCE_S)
        keep_keys(store, config)
        looked.set()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    words = {"file": "keys.json", "paper": wrapped(paper)} if action == "keys-import" else {"device": gateway.device}
    store.carry_out(action, words)
    thread.join(PATIENCE_S)
    # The power goes here, before anybody brought the copy up to date.
    store.database.close()
    store, _ = open_store(config)
    found = store.devices.find(gateway.device)
    if action == "keys-import":
        assert store.secrets.identity().key == wanted
    else:
        assert found is not None and found.standing == "retired"
    store.database.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
