"""The journal's file taken away under its gateway: what the open file holds comes back, and somebody is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.app import Gateway
from edge.config import load_config
from edge.journalfile import FILE_NAME
from edge.rescue import Rescue
from edge.salvage import open_journal, salvage
from protocol.envelope import decode_event
from protocol.errors import JournalFailed
from tests.edge.room import begin, data_of, events, parts, records, tap
from tests.edge.running import GatewayProcess, card, until


def _delete_file(data: Path) -> None:
    (data / FILE_NAME).unlink()


def _delete_log(data: Path) -> None:
    (data / f"{FILE_NAME}-wal").unlink()


def _delete_both(data: Path) -> None:
    for path in data.glob(f"{FILE_NAME}*"):
        path.unlink()


def _delete_folder(data: Path) -> None:
    shutil.rmtree(data)


def _replace_file(data: Path) -> None:
    shutil.copyfile(data / FILE_NAME, data / "copy")
    os.replace(data / "copy", data / FILE_NAME)


WAYS = [_delete_file, _delete_log, _delete_both, _delete_folder, _replace_file]


def _reopened(data: Path) -> dict[str, bytes]:
    journal, _ = open_journal(data, **parts(data))
    salvage(data, journal)
    journal.close()
    return {decode_event(raw).id: raw for raw in records(data / FILE_NAME)}


@pytest.mark.parametrize("take_away", WAYS)
@pytest.mark.parametrize("looked", [True, False], ids=["at a look", "at the end"])
def test_every_record_comes_back(tmp_path: Path, take_away: Callable[[Path], None], looked: bool) -> None:
    data = tmp_path / "data"
    journal = begin(data)
    keys = (data / "keys.json").read_bytes()
    told: list[str] = []
    rescue = Rescue(journal, told.append, lambda: told.append("again"))
    for _ in range(20):
        tap(journal)
    assert not rescue.look() and told == []
    truth = {decode_event(raw).id: raw for raw in records(data)}
    take_away(data)
    assert tap(journal) == 22, "SQLite sees nothing of it"
    if looked:
        assert rescue.look() and told[1:] == ["again"]
        with pytest.raises(JournalFailed):
            tap(journal)
        assert not rescue.look(), "once"
    rescue.close()
    held = _reopened(data)
    assert truth.items() <= held.items()
    assert f"{journal.journal}.22" in held
    assert (data / "keys.json").read_bytes() == keys, "it is the same gateway"


def test_storage_that_had_to_be_opened_anew_is_no_other_file(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal._failed = JournalFailed("as after a failed sync")
    tap(journal)
    assert journal._failed is None and not journal.gone()
    journal.checkpoint(truncate=True)
    assert not journal.gone()
    opener, journal._failed = journal._opener, JournalFailed("again")

    def failing(_: Path) -> sqlite3.Connection:
        raise JournalFailed("it can't be opened yet")

    journal._opener = failing
    with pytest.raises(JournalFailed, match="yet"):
        tap(journal)
    assert not journal.gone(), "closing it took the log away, nobody else"
    journal._opener = opener
    assert tap(journal) == 3 and not journal.gone()
    journal._failed = JournalFailed("again")
    _delete_both(tmp_path)
    with pytest.raises(JournalFailed, match="is gone"):
        tap(journal)
    Rescue(journal, lambda _: None, lambda: None).close()
    assert f"{journal.journal}.3" in _reopened(tmp_path)


def test_a_folder_that_takes_no_copy_is_tried_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    journal = begin(data)
    again: list[str] = []
    rescue = Rescue(journal, again.append, lambda: None)
    _delete_folder(data)
    data.write_bytes(b"in the way")
    with pytest.raises(JournalFailed):
        rescue.look()
    assert tap(journal) == 2, "until then all goes on"
    data.unlink()
    assert rescue.look()
    rescue.close()
    assert f"{journal.journal}.2" in _reopened(data)


class Poked:
    """An end that nobody asks for."""

    asked = False

    def poke(self) -> None: ...

    def wait(self, timeout_s: float | None = None) -> None: ...


def test_a_file_that_went_before_the_delivery_opened_it_is_rescued_as_well(tmp_path: Path) -> None:
    """Then the upkeep, which needs a reader of the file, would never come to look."""
    folder = GatewayProcess(tmp_path)
    folder.play()
    gateway = Gateway(load_config(folder.config), Poked())
    tap(gateway.assembly.journal)
    _delete_folder(folder.data)
    delivery = threading.Thread(target=gateway.delivery.run)
    delivery.start()
    until(lambda: gateway.again, "it begins anew")
    gateway.delivery.stop()
    delivery.join()
    gateway._parts.close()
    assert f"{gateway.assembly.journal.journal}.2" in _reopened(folder.data)


@pytest.mark.parametrize("take_away", WAYS)
def test_a_running_gateway_begins_anew_with_everything(tmp_path: Path, take_away: Callable[[Path], None]) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.play(*((50, card(number)) for number in range(400)))
    gateway.start()
    gateway.await_signal("accepted", count=10)
    pid = gateway.pid
    take_away(gateway.data)
    until(lambda: "journal-gone" in {shown.get("code") for shown in gateway.shown()}, "it is told")
    until(lambda: list(gateway.data.glob("salvaged-*.db")), "the records are brought back")
    count = len([word for word in gateway.words() if word == "accepted"])
    gateway.await_signal("accepted", count=count + 3)
    assert gateway.pid == pid, "it began anew without a new process"
    assert gateway.end() == 0
    assert gateway.promised() <= gateway.names()
    alarms = [data_of(event)["code"] for event in events(gateway.data / FILE_NAME) if event.name == "device.alarm"]
    assert "journal-gone" in alarms, "the hub hears of it"
