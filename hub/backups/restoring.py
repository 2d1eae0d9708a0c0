"""The restoring of a hub: a backup checked whole, laid ready beside the ledger, and put in its place in one stroke.

What it replaces is moved aside and never deleted. A kill between two steps leaves the hub as it was, or a plan that
the next restore, or the next start of the hub, carries out to its end.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from host.durable import sync_folder, write_durably, write_new
from hub.backups import seal
from hub.backups.copying import BackupFailed, check_copy, open_copy, schema_known
from hub.backups.making import OWN_MAX
from hub.backups.manifest import (
    AUTHORITY_NAME,
    KEYS_NAME,
    LEDGER_NAME,
    Authority,
    BackupRefused,
    Manifest,
    backups_in,
    check_files,
    pieces_of,
    read_manifest,
)
from hub.config import HubConfig
from hub.parts import COPY_NAME, FILE_NAME
from hub.store.database import SUSPECT_NAME
from hub.store.notes import NAMES, BackedUp, CalendarBack, DietsBack, Regain, encoded
from hub.store.secrets import Export, read_export
from hub.tls import CA_KEY_NAME, CA_NAME, FOLDER
from protocol.envelope import text_of
from protocol.errors import K12EdgeError, NeedsHands

log = logging.getLogger("k12edge.restore")

READY_NAME: Final = "ledger-restoring.db"
KEYS_READY_NAME: Final = "keys-restoring.json"
TLS_READY_NAME: Final = "tls-restoring"
TLS_USELESS_NAME: Final = "tls-restoring-useless"
PLAN_NAME: Final = "restoring.json"
"""While it lies there, what is named above is whole, and are to be put in place."""


class RestoreRefused(NeedsHands):
    """A backup is not restored here as asked."""

    code = "restore-refused"
    hint = "Nothing was changed."


class PlacePlan(msgspec.Struct, frozen=True):
    """What is to be done: the label of what is moved aside."""

    label: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A backup that was checked, and what was passed over on the way to it."""

    folder: Path
    manifest: Manifest
    passed: tuple[str, ...]


# --- choosing and checking --------------------------------------------------------------------------------------------


def choose(place: Path, school: str, hub: str) -> Chosen:
    """The backup that a folder is, or the newest sound one in it. Raises BackupRefused, RestoreRefused."""
    if (place / "manifest.json").exists():
        manifest = read_manifest(place)
        _check(place, manifest, school, hub)
        return Chosen(place, manifest, ())
    found = backups_in(place, school, hub)
    passed = []
    for _, folder in found:
        try:
            manifest = read_manifest(folder)
            _check(folder, manifest, school, hub)
        except (BackupRefused, RestoreRefused) as problem:
            passed.append(f"{folder.name}: {problem}")
            continue
        return Chosen(folder, manifest, tuple(passed))
    reasons = "".join(f"\n  {one}" for one in passed)
    raise RestoreRefused(
        f"{place} holds no backup of hub {hub} of school {school} that can be used{reasons}",
        hint="Name the folder where backups were made, or one of them. Nothing was changed.",
    )


def _check(folder: Path, manifest: Manifest, school: str, hub: str) -> None:
    if (manifest.school, manifest.hub) != (school, hub):
        raise RestoreRefused(
            f"{folder} is a backup of hub {manifest.hub} of school {manifest.school}, this is {hub} of {school}"
        )
    if manifest.schema > schema_known():
        raise RestoreRefused(
            f"{folder} was made by newer software (schema {manifest.schema}; this one knows {schema_known()})",
            hint="Install the newer version first. Nothing was changed.",
        )
    check_files(folder, manifest)


def held_here(data_dir: Path) -> int:
    """How many records a hub's data directory holds; those of a ledger that can't be read count as one."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
            return int(reader.execute("SELECT count(*) FROM events").fetchone()[0])
    except sqlite3.Error:
        return 1


# --- laying ready -----------------------------------------------------------------------------------------------------


def lay_ready(config: HubConfig, chosen: Chosen, passphrase: bytes | None, now_ms: int) -> None:
    """Bring a backup's files into data_dir under other names, whole and synced. The instance lock is the caller's.

    Raises SealBroken, BackupFailed, RestoreRefused, OSError.
    """
    data_dir, manifest = config.data_dir, chosen.manifest
    key = None
    if manifest.seal is not None:
        if passphrase is None:
            raise RestoreRefused(f"{chosen.folder} is sealed", hint="Give its passphrase: --passphrase-file FILE.")
        key = seal.key_of(passphrase, manifest.seal)
    _write(data_dir / KEYS_READY_NAME, _content(chosen, KEYS_NAME, key))
    read_export(KEYS_NAME, (data_dir / KEYS_READY_NAME).read_bytes())
    _lay_authority(chosen, data_dir, key)
    ready = data_dir / READY_NAME
    digest = _write(ready, _content(chosen, LEDGER_NAME, key))
    open_file = manifest.files.get(LEDGER_NAME)
    if open_file is not None and digest != open_file.sha256:
        raise BackupRefused(f"{chosen.folder / LEDGER_NAME} changed while it was read")
    schema = check_copy(ready)
    _check_journals(ready, manifest)
    if schema != manifest.schema:
        raise BackupRefused(f"{chosen.folder} holds schema {schema}, its manifest says {manifest.schema}")
    _note(ready, chosen, now_ms)


def _lay_authority(chosen: Chosen, data_dir: Path, key: bytes | None) -> None:
    """The folder `tls` with the hub's own certificate authority; its server's certificate is made anew at a start."""
    if not any(name.startswith(AUTHORITY_NAME) for name in chosen.manifest.files):
        return
    try:
        found = msgspec.json.decode(b"".join(_content(chosen, AUTHORITY_NAME, key)), type=Authority)
    except msgspec.DecodeError as problem:
        raise BackupRefused(f"{chosen.folder}: its {AUTHORITY_NAME} is none: {problem}") from problem
    folder = data_dir / TLS_READY_NAME
    folder.mkdir(mode=0o700)
    for name, text in ((CA_NAME, found.certificate), (CA_KEY_NAME, found.key)):
        write_new(folder / name, text.encode("ascii"))
    sync_folder(folder)


def _content(chosen: Chosen, name: str, key: bytes | None) -> Iterator[bytes]:
    path = chosen.folder / chosen.manifest.file_of(name)
    if key is None:
        yield from pieces_of(path)
        return
    with path.open("rb") as file:
        yield from seal.opened_pieces(file, key, name)


def _write(path: Path, pieces: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)
            found.update(piece)
        file.flush()
        os.fsync(descriptor)
    return found.hexdigest()


def _check_journals(ready: Path, manifest: Manifest) -> None:
    """Hold every journal's last record to the manifest. Raises BackupRefused."""
    with closing(open_copy(ready)) as reader:
        numbers = dict(reader.execute("SELECT journal, number FROM journals").fetchall())
        for journal, told in manifest.journals.items():
            row = reader.execute(
                "SELECT digest FROM events WHERE journal = ? AND sequence = ?", (numbers.get(journal), told.last)
            ).fetchone()
            if row is None or text_of(bytes(row[0])) != told.head:
                raise BackupRefused(f"record {journal}.{told.last} is not the one that the manifest names")


def _note(ready: Path, chosen: Chosen, now_ms: int) -> None:
    """Have the restored hub know of this backup, and regain from the city what was entered after it.

    Calendar and timetable are the backup's, and so is what children must not eat: a person is to look at them.
    Nobody is logged in any more, and no link opens: what was ended or used after the backup must not come back.
    """
    with closing(open_copy(ready)) as reader:
        own = {
            journal: chosen.manifest.journals[journal].last
            for (journal,) in reader.execute("SELECT journal FROM journals WHERE device IS NULL ORDER BY number")
            if journal in chosen.manifest.journals
        }
    manifest = chosen.manifest
    note = BackedUp(
        manifest.made_ms,
        manifest.number,
        str(chosen.folder),
        manifest.seal is not None,
        dict(list(own.items())[-OWN_MAX:]),
    )
    with closing(sqlite3.connect(ready, isolation_level=None)) as writer:
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("BEGIN IMMEDIATE")
        for one in (note, Regain(now_ms), *(kind(now_ms, manifest.made_ms) for kind in (CalendarBack, DietsBack))):
            writer.execute(
                "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (NAMES[type(one)], encoded(one))
            )
        tables = {name for (name,) in writer.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()}
        for table in tables & {"sessions", "login_links"}:
            writer.execute(f"DELETE FROM {table}")
        writer.execute("COMMIT")
    # Closed by its last connection, its log is in the file; a name that is left would go along with it.
    for suffix in ("-wal", "-shm"):
        ready.with_name(f"{ready.name}{suffix}").unlink(missing_ok=True)
    with ready.open("rb") as file:
        os.fsync(file.fileno())


# --- putting in place -------------------------------------------------------------------------------------------------


def put_in_place(data_dir: Path) -> str | None:
    """Decide for what lies ready, and carry it out; the label of what was moved aside, None where there was nothing."""
    label = f"replaced-{secrets.token_hex(4)}"
    sync_folder(data_dir)
    write_durably(data_dir / PLAN_NAME, msgspec.json.encode(PlacePlan(label)))
    return finish_restore(data_dir)


def finish_restore(data_dir: Path) -> str | None:
    """Carry out a restore that was decided, from wherever it was broken off. The instance lock is the caller's."""
    path = data_dir / PLAN_NAME
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=PlacePlan)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, ValueError) as problem:
        raise RestoreRefused(f"{path} can't be read: {problem}", hint="Remove it, and restore again.") from problem
    log.warning("a backup is put in place; what was here is kept as *%s*", plan.label)
    aside = _move_ledger(data_dir, plan.label)
    aside = _move_keys(data_dir, plan.label) or aside
    aside = _move_authority(data_dir, plan.label) or aside
    sync_folder(data_dir)
    path.unlink()
    sync_folder(data_dir)
    return plan.label if aside else None


def _move_ledger(data_dir: Path, label: str) -> bool:
    ready, ledger = data_dir / READY_NAME, data_dir / FILE_NAME
    if not ready.exists():
        return (data_dir / f"ledger-{label}.db").exists()
    for suffix in ("-wal", ""):
        source, target = data_dir / f"{FILE_NAME}{suffix}", data_dir / f"ledger-{label}.db{suffix}"
        # The one that is there already was moved before the kill; nothing writes a ledger meanwhile.
        if source.exists() and not target.exists():
            os.rename(source, target)
    # What was said of the ledger that lay here is not said of this one.
    for name in (f"{FILE_NAME}-shm", SUSPECT_NAME):
        (data_dir / name).unlink(missing_ok=True)
    sync_folder(data_dir)
    os.rename(ready, ledger)
    sync_folder(data_dir)
    return (data_dir / f"ledger-{label}.db").exists()


def _move_keys(data_dir: Path, label: str) -> bool:
    """The key paper beside the ledger: of the same hub it is newer than the backup's, and stays."""
    ready, copy = data_dir / KEYS_READY_NAME, data_dir / COPY_NAME
    if not ready.exists():
        return False
    moved = False
    if copy.exists():
        if _same_hub(copy, ready):
            ready.unlink()
            return False
        os.rename(copy, data_dir / f"keys-{label}.json")
        moved = True
    os.rename(ready, copy)
    return moved


def _move_authority(data_dir: Path, label: str) -> bool:
    """The authority that phones trust; another one that was made here since makes way."""
    ready, folder, target = data_dir / TLS_READY_NAME, data_dir / FOLDER, data_dir / f"{FOLDER}-{label}"
    if not ready.exists():
        return target.exists()
    if folder.exists() and not target.exists():
        with suppress(OSError):
            if (folder / CA_KEY_NAME).read_bytes() == (ready / CA_KEY_NAME).read_bytes():
                # By another name first: half deleted it would be taken for another authority after a kill.
                os.rename(ready, data_dir / TLS_USELESS_NAME)
                shutil.rmtree(data_dir / TLS_USELESS_NAME)
                return False
        os.rename(folder, target)
    os.rename(ready, folder)
    return target.exists()


def _same_hub(one: Path, other: Path) -> bool:
    def identity(path: Path) -> tuple[str, str]:
        found: Export = read_export(path.name, path.read_bytes())
        return found.sign_seed, found.box_seed

    try:
        return identity(one) == identity(other)
    except (OSError, K12EdgeError):
        return False


def clear(data_dir: Path) -> None:
    """Remove what an earlier restore laid ready and didn't decide for."""
    for name in (TLS_READY_NAME, TLS_USELESS_NAME):
        shutil.rmtree(data_dir / name, ignore_errors=True)
    for name in (READY_NAME, f"{READY_NAME}-wal", f"{READY_NAME}-shm", KEYS_READY_NAME, f"{PLAN_NAME}.new"):
        with suppress(FileNotFoundError):
            (data_dir / name).unlink()


def restore(
    config: HubConfig, place: Path, passphrase: bytes | None, *, over: bool, now_ms: int, say: Callable[[str], None]
) -> None:
    """Restore the newest sound backup of a place. The instance lock is the caller's.

    Raises RestoreRefused, BackupRefused, BackupFailed, SealBroken, OSError; then the hub is as it was.
    """
    data_dir = config.data_dir
    if finish_restore(data_dir) is not None:
        say("bản khôi phục trước đã được hoàn tất / the restore begun before is finished")
    clear(data_dir)
    chosen = choose(place, config.school, config.hub_id)
    for text in chosen.passed:
        say(f"bỏ qua / passed over: {text}")
    manifest = chosen.manifest
    say(f"{chosen.folder}\n  {manifest.made}, {manifest.counts.get('events', 0)} bản ghi / records")
    held = held_here(data_dir)
    if held and not over:
        raise RestoreRefused(
            f"{data_dir} holds {held} records of a hub",
            hint="Give another data_dir, or --over: then the ledger that is here is moved aside, and kept."
            " Nothing was changed.",
        )
    try:
        lay_ready(config, chosen, passphrase, now_ms)
    except BaseException as problem:
        clear(data_dir)
        if isinstance(problem, BackupFailed):
            raise BackupRefused(str(problem)) from problem
        raise
    label = put_in_place(data_dir)
    if label is not None:
        say(f"sổ cũ được giữ lại / what was here is kept: {data_dir}/*{label}*")
