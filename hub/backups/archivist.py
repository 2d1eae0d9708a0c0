"""The archivist: one thread that makes the daily backup, waits for its stick, and says how old the last one is."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hub.backups.copying import Pace, Stopped
from hub.backups.making import BackupWaits, Hub, make_backup
from hub.backups.plan import due, interval_s, late, standing
from hub.backups.seal import read_passphrase
from hub.store.notes import BackedUp
from protocol.envelope import rfc3339
from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from hub.config import HubConfig
    from hub.parts import Store
    from hub.store.ownjournal import OwnJournal

log = logging.getLogger("k12edge.archivist")

LOOK_S: Final = 20.0
"""How soon a stick that was plugged in is seen."""
START_PAUSE_MS: Final = 600_000
"""A backup that fell due while the hub was off waits so long after the start: gateways come first."""
AGAIN_MS: Final = 600_000
"""After one that failed."""
ALARM_MS: Final = 6 * 3_600_000
"""How often a late backup is told again."""


class Archivist:
    """See the room. `trouble` is the code of what keeps the next backup from being made; `progress` the pulse."""

    def __init__(self, config: HubConfig, store: Store, own: OwnJournal, version: str) -> None:
        """Nothing is made yet."""
        self._plan, self._store, self._own = config.backup, store, own
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._began_ms = store.clock.mono_ms()
        self._again_ms = 0
        self._alarmed_ms: int | None = None
        self._since_ms: int | None = None
        self.trouble: str | None = None
        self.progress = 0
        self._hub = Hub(
            config.school, config.hub_id, version, config.data_dir, store.path, self._keys, store.clock.now_ms
        )

    def _keys(self) -> bytes:
        with self._store.database.lock:
            return self._store.secrets.export(self._hub.school, self._store.devices)[1]

    def stop(self) -> None:
        """End `run` after the step under way; a backup half made is made anew."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Make backups until stopped."""
        while not self._stopping.is_set():
            self.turn()
            self._wake.wait(LOOK_S)
            self._wake.clear()

    def turn(self) -> None:
        """Look whether a backup is due, and make it."""
        self.progress += 1
        try:
            if self._due():
                self._make()
            self._tell_late()
        except Stopped:
            return
        except K12EdgeError as problem:
            self._failed(problem.code, str(problem))
        except Exception as problem:
            log.exception("the archivist failed")
            self._store.database.met(problem)
            self._failed("backup-failed", str(problem))

    def _failed(self, code: str, detail: str) -> None:
        if self.trouble != code:
            log.warning("%s: %s", code, detail)
        self.trouble = code
        if code != BackupWaits.code:
            self._again_ms = self._store.clock.mono_ms() + AGAIN_MS
            if not self._stopping.is_set():
                with self._store.database.transaction():
                    self._store.ledger.alarm("backup-failed", "-", f"{code}: {detail}", self._store.clock.now_ms())
        self._tell_late()

    def since_ms(self) -> int:
        """The last good backup; where there is none the hub's first record."""
        if self._since_ms is None:
            with self._store.database.lock:
                note = self._store.notes.read(BackedUp)
                first = self._store.database.connection.execute(
                    "SELECT received_ms FROM events ORDER BY position LIMIT 1"
                ).fetchone()
            now_ms = self._store.clock.now_ms()
            self._since_ms = note.at_ms if note is not None else now_ms if first is None else int(first[0])
        return self._since_ms

    def interval_s(self) -> int:
        """What gateways are told as the time between backups."""
        return interval_s(self.since_ms(), self._store.clock.now_ms())

    def _due(self) -> bool:
        now_ms, mono_ms = self._store.clock.now_ms(), self._store.clock.mono_ms()
        if mono_ms < self._again_ms or not due(self._plan.at_minutes, self.since_ms(), now_ms):
            return False
        # What fell due while this hub runs is made at once.
        began_ms = now_ms - (mono_ms - self._began_ms)
        missed = due(self._plan.at_minutes, self.since_ms(), began_ms)
        return not missed or mono_ms - self._began_ms >= START_PAUSE_MS

    def _make(self) -> None:
        plan = self._plan
        place = ready_place(plan.place, self._hub.data_dir, named=plan.named, other_disk=plan.other_disk)
        passphrase = None if plan.passphrase_file is None else read_passphrase(plan.passphrase_file)
        with self._store.database.transaction():
            # So that the copy proves what it holds of this run.
            self._own.sign_head()
        made = make_backup(self._hub, place, passphrase, Pace(self._stopped))
        with self._store.database.transaction():
            self._store.notes.write(made.note)
        self._since_ms, self.trouble, self._alarmed_ms = made.note.at_ms, None, None
        log.info("backup %s: %d records", made.folder.name, made.manifest.counts["events"])

    def noted(self) -> None:
        """A person made a backup beside us."""
        self._since_ms, self.trouble, self._alarmed_ms = None, None, None

    def _stopped(self) -> bool:
        self.progress += 1
        return self._stopping.is_set()

    def _tell_late(self) -> None:
        now_ms, mono_ms = self._store.clock.now_ms(), self._store.clock.mono_ms()
        if not late(self._plan.at_minutes, self.since_ms(), now_ms):
            return
        if self._alarmed_ms is not None and mono_ms - self._alarmed_ms < ALARM_MS:
            return
        self._alarmed_ms = mono_ms
        why = "" if self.trouble is None else f" ({self.trouble})"
        detail = f"bản gần nhất / the last one: {rfc3339(self.since_ms())[:16]}{why}"
        with self._store.database.transaction():
            self._store.ledger.alarm("backup-late", "-", detail, now_ms)

    # --- what people see ----------------------------------------------------------------------------------------------

    def told(self) -> dict[str, Any]:
        """For status and page; whoever calls holds the database's lock."""
        store, plan = self._store, self._plan
        note = store.notes.read(BackedUp)
        now_ms = store.clock.now_ms()
        return {
            "at": None if note is None else rfc3339(note.at_ms),
            "age_s": None if note is None else max(0, (now_ms - note.at_ms) // 1000),
            "folder": None if note is None else Path(note.where).name,
            "sealed": None if note is None else note.sealed,
            "late": late(plan.at_minutes, self.since_ms(), now_ms),
            "same_disk": same_disk(plan.place, self._hub.data_dir),
            "trouble": self.trouble,
            "own": own_standing(store, note),
        }


def own_standing(store: Store, note: BackedUp | None) -> dict[str, int]:
    """How many of the hub's own records are safe where; whoever calls holds the database's lock."""
    total = {"records": 0, "at_city": 0, "in_backup": 0, "here_only": 0}
    for book in store.ledger.books.of_device(None):
        found = standing(book.held, book.city_held, 0 if note is None else note.own.get(book.journal, 0))
        for name in total:
            total[name] += getattr(found, name)
    return total


def ready_place(place: Path, data_dir: Path, *, named: bool, other_disk: bool) -> Path:
    """The folder where backups go, once it is there. Raises BackupWaits, OSError.

    What a person named is never made: under a stick that isn't plugged in it would fill the hub's own disk.
    """
    if not named:
        place.mkdir(mode=0o700, exist_ok=True)
    if not place.is_dir():
        raise BackupWaits(f"{place} is not there")
    if other_disk and same_disk(place, data_dir):
        raise BackupWaits(f"no other disk is mounted at {place}")
    return place


def same_disk(place: Path, data_dir: Path) -> bool:
    """Whether backups would die with the hub's own disk. Of a place that isn't there yet: whether it lies beside it."""
    try:
        return os.stat(place).st_dev == os.stat(data_dir).st_dev
    except OSError:
        return place.parent == data_dir
