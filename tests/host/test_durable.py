"""A file system that gave up under a sync: what it called synced is asked for once more before it is believed."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.journalfile import FILE_NAME
from host.durable import prove_synced, sync_folder, write_durably
from hub.store.database import Database, LedgerFailed
from protocol.errors import JournalFailed
from tests.edge.room import begin, chain_holds, records, tap

WRITE_AND_WAIT = 1 | 2 | 4
"""SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE, _WAIT_AFTER of <fcntl.h>: the data goes to the disk, no journal is asked."""


class GivesUp:
    """Answers for file systems: those of `paths` take nothing more."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, path: str | Path, _attribute: str) -> None:
        self.asked.append(os.fspath(path))
        gave_up = os.fspath(path) in self.paths
        raise OSError(errno.EROFS if gave_up else errno.ENODATA, "given up" if gave_up else "no data")


@pytest.fixture
def gives_up(monkeypatch: pytest.MonkeyPatch) -> GivesUp:
    answers = GivesUp()
    monkeypatch.setattr(os, "removexattr", answers)
    return answers


def _ran(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """An ext4 of its own, and what makes it meet an error."""
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    made = _ran("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image))
    if not made or not _ran("mount", "-o", "loop,errors=remount-ro", str(image), str(place)):
        pytest.skip("only root mounts an ext4 of its own")
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        device = Path(next(line.split()[0] for line in mounts if line.split()[1] == str(place))).name
        trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
        if not os.access(trigger, os.W_OK):
            pytest.skip("this kernel lets no error be triggered in an ext4")
        yield place, trigger
    finally:
        _ran("umount", "-l", str(place))


def test_a_sync_behind_the_end_of_a_file_systems_journal_is_not_believed(ext4: tuple[Path, Path]) -> None:
    place, trigger = ext4
    path = place / "file"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        os.fsync(descriptor)
        prove_synced(path)
        os.pwrite(descriptor, b"promised" * 512, 0)
        # As where the error comes between a write and its sync.
        ctypes.CDLL(None, use_errno=True).sync_file_range(
            descriptor, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(WRITE_AND_WAIT)
        )
        trigger.write_text("1\n", encoding="ascii")
        # Linux 6.18 says that this was synced; other versions refuse it.
        with suppress(OSError):
            os.fdatasync(descriptor)
        with pytest.raises(OSError, match=r"Read-only|Input/output"):
            prove_synced(path)
    finally:
        os.close(descriptor)


def test_the_question_changes_nothing_and_needs_no_file_system_that_knows_attributes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"as it is")
    before = path.stat()
    prove_synced(path)
    prove_synced("/proc/self/status")
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    assert os.listxattr(path) == []


def test_a_record_in_a_file_system_that_gave_up_is_not_acknowledged(tmp_path: Path, gives_up: GivesUp) -> None:
    journal = begin(tmp_path)
    first = tap(journal)
    gives_up.paths = {str(tmp_path / FILE_NAME)}
    with pytest.raises(JournalFailed, match="gave up"):
        tap(journal)
    assert journal.failing
    stored = len(records(tmp_path))
    # Opened anew, the same is asked before anything is built upon it.
    with pytest.raises(JournalFailed, match="gave up"):
        tap(journal)
    assert len(records(tmp_path)) == stored, "it was built upon"
    gives_up.paths = set()
    assert tap(journal) > first and not journal.failing
    journal.close()
    assert chain_holds(records(tmp_path))


def test_maintenance_in_a_file_system_that_gave_up_is_no_success(tmp_path: Path, gives_up: GivesUp) -> None:
    journal = begin(tmp_path)
    tap(journal)
    gives_up.paths = {str(tmp_path / FILE_NAME)}
    with pytest.raises(JournalFailed, match="maintenance"):
        journal.maintain(lambda _: None)
    assert journal.failing
    gives_up.paths = set()
    tap(journal)
    journal.close()


def test_a_log_that_was_moved_in_a_file_system_that_gave_up_is_not_written_over(
    tmp_path: Path, gives_up: GivesUp
) -> None:
    journal = begin(tmp_path)
    tap(journal)
    gives_up.paths = {str(tmp_path / FILE_NAME)}
    assert not journal.checkpoint() and journal.failing
    with pytest.raises(JournalFailed):
        tap(journal)
    gives_up.paths = set()
    tap(journal)
    journal.close()


def test_a_ledger_in_a_file_system_that_gave_up_has_stored_nothing(tmp_path: Path, gives_up: GivesUp) -> None:
    database = Database(tmp_path / "ledger.db")
    told, undone = list[str](), list[str]()
    database.on_damage = lambda: told.append("damage")
    gives_up.paths = {str(tmp_path / "ledger.db")}
    with pytest.raises(LedgerFailed, match="gave up"), database.transaction():
        database.on_rollback(lambda: undone.append("undone"))
    assert told == ["damage"] and undone == ["undone"]
    database.close()
    gives_up.paths = set()
    again = Database(tmp_path / "ledger.db")
    assert again.move_log()
    gives_up.paths = {str(tmp_path / "ledger.db")}
    with pytest.raises(LedgerFailed, match="gave up"):
        again.move_log()
    with pytest.raises(LedgerFailed, match="opened anew"), again.transaction():
        pytest.fail("a transaction began")
    again.close()


def test_a_file_beside_is_durable_only_where_the_file_system_goes_on(tmp_path: Path, gives_up: GivesUp) -> None:
    write_durably(tmp_path / "keys.json", b"{}")
    sync_folder(tmp_path)
    gives_up.paths = {str(tmp_path)}
    with pytest.raises(OSError, match="given up"):
        write_durably(tmp_path / "keys.json", b"[]")
    with pytest.raises(OSError, match="given up"):
        sync_folder(tmp_path)
