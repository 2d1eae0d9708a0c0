"""Backups in a test: a hub's store with records of its own, and copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.backups import seal
from hub.backups.copying import Pace
from hub.backups.making import Hub, Made, make_backup
from hub.config import HubConfig
from hub.parts import VERSION, Store
from tests.hub.handmade import SCHOOL

PASSPHRASE = b"six words that never met before"


@contextmanager
def cheap_seal() -> Iterator[None]:
    """Keys that are made of a passphrase in no time."""
    true = seal.OPS, seal.MEMORY_BYTES
    seal.OPS, seal.MEMORY_BYTES = 1, 64 * 1024  # type: ignore[misc]
    try:
        yield
    finally:
        seal.OPS, seal.MEMORY_BYTES = true  # type: ignore[misc]


class Unpaced(Pace):
    """No rest; what is tested isn't the pace."""

    def rest(self) -> None:
        return


def correction(number: int, student: str | None = None) -> dict[str, object]:
    """What a person entered: a tap is another pupil's."""
    return {
        "tap": f"{number:016x}.1",
        "source": f"urn:k12edge:dev:{SCHOOL}-cong",
        "was": None,
        "student": student or f"st-{number}",
        "card": f"hk1:{number:011d}",
        "why": "rederived",
        "detail": "w26",
        "by": "lan",
    }


def enter(config: HubConfig, numbers: range, *, sign: bool = True, student: str | None = None) -> list[str]:
    """One run of a hub in which people entered so much; the names of what they entered."""
    config.data_dir.mkdir(exist_ok=True)
    store = Store(config)
    own = store.open_own_journal()
    names = []
    for number in numbers:
        with store.database.transaction():
            names.append(str(own.append("attendance.correction", correction(number, student))))
    if sign:
        with store.database.transaction():
            own.sign_head()
    store.database.close()
    return names


def hub_of(store: Store) -> Hub:
    """As the archivist sees it."""
    config = store.config

    def keys() -> bytes:
        with store.database.lock:
            return store.secrets.export(config.school, store.devices)[1]

    return Hub(config.school, config.hub_id, VERSION, config.data_dir, store.path, keys, store.clock.now_ms)


def backed_up(config: HubConfig, place: Path, passphrase: bytes | None = None) -> Made:
    """A backup of a hub that doesn't run."""
    place.mkdir(exist_ok=True)
    store = Store(config)
    try:
        with cheap_seal():
            return make_backup(hub_of(store), place, passphrase, Unpaced())
    finally:
        store.database.close()


def own_records(config: HubConfig) -> dict[str, bytes]:
    """The hub's own records by name."""
    store = Store(config)
    try:
        return {
            f"{journal}.{sequence}": bytes(raw)
            for journal, sequence, raw in store.database.connection.execute(
                "SELECT j.journal, sequence, raw FROM events JOIN journals AS j ON number = events.journal"
                " WHERE j.device IS NULL"
            )
        }
    finally:
        store.database.close()
