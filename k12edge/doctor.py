"""The doctor: looks whether this machine and a configuration can do the job, and says what to do where not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from host.machine import kernel_error_ms
from host.tomlfile import read_toml
from protocol.errors import ConfigError, K12EdgeError

if TYPE_CHECKING:
    from edge.ports import Reader
    from hub.config import HubConfig

FORGETFUL = ("tmpfs", "ramfs", "rootfs")
"""File systems that lose what was synced when the power goes."""
SPACE_BYTES = 512 * 1024 * 1024
CONNECT_S = 2.0

Finding = tuple[bool, str]


def examine(path: Path) -> int:
    """Print one line a finding; 0 when nothing stands in the way, 1 otherwise. Raises ConfigError."""
    document = read_toml(path)
    findings = list(_hub(path) if "hub" in document else _gateway(path))
    for good, text in findings:
        print(f"{'ok  ' if good else 'LOOK'} {text}")
    return 0 if all(good for good, _ in findings) else 1


def _machine(data_dir: Path) -> Iterator[Finding]:
    yield sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} (3.11 or newer is needed)"
    yield True, f"SQLite {sqlite3.sqlite_version}"
    folder = data_dir
    while not folder.exists():
        folder = folder.parent
    yield os.access(folder, os.W_OK), f"data_dir {data_dir} can be written"
    free_bytes = shutil.disk_usage(folder).free
    yield free_bytes >= SPACE_BYTES, f"{free_bytes // 1024**2} MiB free at {folder} (512 MiB or more are wanted)"
    kind = file_system_of(folder)
    lasts = kind not in FORGETFUL
    # A read-only root has its changes in memory, a container on a disk; from here both look the same.
    doubt = ": make sure that it lies on a disk" if kind == "overlay" else ""
    yield (
        lasts,
        f"{folder} is on {kind or 'an unknown file system'}{doubt if lasts else ', which forgets with the power'}",
    )
    error_ms = kernel_error_ms()
    known = "no NTP vouches for it; see [time] source" if error_ms is None else f"within {error_ms} ms by NTP"
    yield True, f"clock: {known}"


def file_system_of(folder: Path) -> str | None:
    """The type of the file system that a folder lies on (proc(5), mountinfo); None where the kernel doesn't tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, best, found = folder.resolve(), -1, None
    for line in lines:
        words, _, rest = line.partition(" - ")
        mounted = Path(words.split()[4].replace("\\040", " "))
        # Of two mounts on one folder the later one is seen.
        if place.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, found = len(mounted.parts), rest.split()[0]
    return found


def _reachable(what: str, url: str, port: int) -> Finding:
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or port)
    try:
        socket.create_connection(address, CONNECT_S).close()
    except OSError as problem:
        return False, f"{what} {url}: {problem}"
    return True, f"{what} {url} answers"


def _opens(what: str, driver: Reader) -> Finding:
    """A reader that isn't taken for oneself can be asked while the gateway runs."""
    try:
        driver.open()
    except K12EdgeError as problem:
        return False, f"{what}: {problem}"
    finally:
        driver.close()
    return True, f"{what} is there"


def _gateway(path: Path) -> Iterator[Finding]:
    from edge.config import load_config
    from edge.readers.opening import make_reader
    from edge.rosterstore import RosterStore

    config = load_config(path)
    yield True, f"gateway {config.gateway_id} of school {config.school}, {len(config.stations)} stations"
    yield from _machine(config.data_dir)
    yield bool(config.stations), f"{len(config.stations)} stations are configured"
    for plan, reader in zip(config.stations, config.readers, strict=True):
        driver = make_reader(reader)
        if reader.startswith(("pcsc:", "nfcpy:")):
            yield _opens(f"station {plan.name}: {reader}", driver)
            continue
        if reader.startswith("simulated:"):
            yield True, f"station {plan.name}: {reader} is for trials; k12edge readers tap holds a card to it"
            continue
        if reader.startswith("osdp:"):
            yield from _key_file(plan.name, reader)
        place = Path(reader.partition(":")[2].partition("?")[0].removeprefix("//"))
        seen = place.exists() and os.access(place, os.R_OK)
        yield seen, f"station {plan.name}: {reader} {'is there' if seen else 'is not there, or may not be read'}"
    if any(sink.startswith("gpio:") for sink in config.sinks):
        yield _pins()
    if config.uplink_url is None:
        yield False, "[uplink] url is not set: taps are recorded and stay here"
    else:
        yield _reachable("broker", config.uplink_url, 1883)
    if config.data_dir.exists():
        releases = RosterStore(config.data_dir, config.school).names()
        yield (
            bool(releases),
            f"rosters: {', '.join(sorted(releases.values())) or 'none yet; cards are accepted unjudged'}",
        )


def _key_file(station: str, reader: str) -> Iterator[Finding]:
    """Whether an OSDP reader's key can be used; nothing where it can."""
    from edge.readers.osdp import read_key
    from protocol.errors import ReaderRefused

    path = dict(parse_qsl(urlsplit(reader).query)).get("key-file", "")
    try:
        read_key(path)
    except ReaderRefused as problem:
        yield False, f"station {station}: {problem}"


def _pins(devices: Path = Path("/dev")) -> Finding:
    """Whether lamps on pins can be switched; none is, since a running gateway holds them."""
    if importlib.util.find_spec("gpiozero") is None:
        return False, "lamps: gpiozero is missing; pip install 'k12edge[gpio]'"
    chips = sorted(devices.glob("gpiochip*"))
    if any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        return True, "lamps: gpiozero and the pins are there"
    return (
        False,
        f"lamps: {'no pins may be used; is this user in group gpio?' if chips else 'this machine has no pins'}",
    )


def _hub(path: Path) -> Iterator[Finding]:
    from hub.broker import BrokerFailed, server_path
    from hub.cards.sunkeys import read_sun_keys
    from hub.config import load_hub_config

    config = load_hub_config(path)
    yield True, f"hub {config.hub_id} of school {config.school}"
    yield from _machine(config.data_dir)
    if config.broker_url is None:
        try:
            yield True, f"embedded broker: {server_path()}"
        except BrokerFailed as problem:
            yield False, f"embedded broker: {problem}; {problem.hint}"
    else:
        yield _reachable("broker", config.broker_url, 1883)
    if config.city.url is not None:
        yield _reachable("city", config.city.url, 443 if config.city.url.startswith("https") else 80)
    elif config.city.files_dir is not None:
        yield _files(config.city.files_dir)
    else:
        yield True, "no city is configured: nothing is forwarded, nothing is pruned"
    yield from _backups(config)
    try:
        checked = read_sun_keys(config.sun) is not None
        yield True, f"cards' proofs are {'checked' if checked else 'not checked: [sun] names no keys'}"
    except ConfigError as problem:
        yield False, f"{problem}; {problem.hint}"


def _files(place: Path) -> Finding:
    """Whether files for the city can be laid; the folder is made with the first of them."""
    folder, told = place, f"city: files are laid in {place} and sent by people"
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return False, f"{told}, but {folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return False, f"{told}, but {folder} can't be written"
    return True, told if folder == place else f"{told}; it is made with the first"


def _backups(config: HubConfig) -> Iterator[Finding]:
    """Where backups go, whether others could read them there, and how old the last one is."""
    from hub.backups.archivist import ready_place, same_disk
    from hub.backups.making import BackupWaits
    from hub.backups.seal import read_passphrase

    plan = config.backup
    if plan.at_minutes is None:
        yield False, "backups: none is made by itself ([backup] at); k12edge hub backup DIR makes one"
    try:
        if plan.named:
            ready_place(plan.place, config.data_dir, named=True, other_disk=plan.other_disk)
        sealed = plan.passphrase_file is not None and bool(read_passphrase(plan.passphrase_file))
    except BackupWaits as problem:
        yield False, f"backups: {problem}; {problem.hint}"
        return
    except (ConfigError, OSError) as problem:
        yield False, f"backups: {problem}"
        return
    mine = config.data_dir.exists() and same_disk(plan.place, config.data_dir)
    if not plan.named or mine:
        yield (
            True,
            f"backups go to {plan.place}, on the hub's own disk: they don't save from a dead disk ([backup] dir)",
        )
    else:
        yield (
            sealed,
            f"backups go to {plan.place}, {'sealed' if sealed else 'open: whoever has it reads names and keys'}",
        )
    yield from _last_backup(config)


def _last_backup(config: HubConfig) -> Iterator[Finding]:
    from contextlib import closing

    from hub.backups.plan import late
    from hub.clock import HubClock
    from hub.parts import FILE_NAME
    from hub.store.database import open_for_reading
    from hub.store.notes import BackedUp, decoded

    path = config.data_dir / FILE_NAME
    if not path.exists():
        return
    try:
        with closing(open_for_reading(path)) as reader:
            row = reader.execute("SELECT value FROM settings WHERE name = 'backup'").fetchone()
            first = reader.execute("SELECT received_ms FROM events ORDER BY position LIMIT 1").fetchone()
    except sqlite3.Error as problem:
        yield False, f"backups: the ledger can't be asked: {problem}"
        return
    note = None if row is None else decoded(bytes(row[0]), BackedUp)
    now_ms = HubClock(config.time_source, config.declared_error_ms).now_ms()
    since_ms = note.at_ms if note is not None else now_ms if first is None else int(first[0])
    fresh = not late(config.backup.at_minutes, since_ms, now_ms)
    if note is None:
        yield fresh, "backups: none was made yet"
    else:
        yield fresh, f"backups: the last one is {max(0, now_ms - since_ms) // 3_600_000} h old, {note.where}"
