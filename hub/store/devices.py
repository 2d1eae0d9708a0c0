"""The devices: which gateways there are, which of their keys a person accepted, what waits until one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hub.store.database import Database
from protocol.batch import Header
from protocol.errors import NeedsHands
from protocol.ranges import RangeSet
from protocol.signing import fingerprint

DeviceStanding = Literal["pending", "accepted", "retired"]

DEVICES_MAX: Final = 1_000
KEYS_MAX: Final = 8
"""Keys known of one device; each is a new installation, or somebody who pretends."""
PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Kept of one device until a person accepts it: about 90,000 taps."""


class DeviceRefused(NeedsHands):
    """A device or key can't be taken as asked."""

    code = "device-refused"
    hint = "Compare the fingerprints: k12edge hub devices list."


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """One key of a device: public signing and box keys, its standing, the gateway's own card key sealed to us."""

    key: str
    box: str
    standing: DeviceStanding
    hk0: str | None


@dataclass(frozen=True, slots=True)
class Device:
    """A device: standing, the fingerprint expected of its first key ('' for any), version of its configuration."""

    device: str
    standing: DeviceStanding
    expects: str | None
    config_version: int
    keys: tuple[DeviceKey, ...]

    def accepted_key(self) -> DeviceKey | None:
        """The key whose records count."""
        return next((key for key in self.keys if key.standing == "accepted"), None)


class Devices:
    """See the room. Every change runs within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state; what is read often is remembered until the next change."""
        self._database = database
        self._known: dict[str, Device] = {}

    def find(self, device: str) -> Device | None:
        """One device with its keys."""
        if device in self._known:
            return self._known[device]
        run = self._database.connection.execute
        row = run("SELECT state, expects, config_version FROM devices WHERE device = ?", (device,)).fetchone()
        if row is None:
            return None
        keys = run(
            "SELECT key, box, state, hk0 FROM device_keys WHERE device = ? ORDER BY first_seen_ms, key", (device,)
        ).fetchall()
        found = Device(device, row[0], row[1], row[2], tuple(DeviceKey(*key) for key in keys))
        self._known[device] = found
        return found

    def all(self) -> list[Device]:
        """Every device, by name."""
        names = self._database.connection.execute("SELECT device FROM devices ORDER BY device").fetchall()
        return [found for (name,) in names if (found := self.find(name)) is not None]

    def _changed(self, device: str) -> None:
        def forget() -> None:
            self._known.pop(device, None)

        forget()
        self._database.on_rollback(forget)

    def met(self, device: str, key: str, box: str, hk0: str | None, now_ms: int) -> Device:
        """A device showed a key that it can sign with. Raises DeviceRefused at the bounds."""
        found = self.find(device)
        known = None if found is None else next((k for k in found.keys if k.key == key), None)
        if known is not None and known.hk0 is not None:
            assert found is not None
            return found
        run = self._database.connection.execute
        self._changed(device)
        if known is not None:
            run("UPDATE device_keys SET hk0 = ? WHERE device = ? AND key = ?", (hk0, device, key))
        else:
            if found is None:
                if run("SELECT count(*) FROM devices").fetchone()[0] >= DEVICES_MAX:
                    raise DeviceRefused(f"device {device} is one more than {DEVICES_MAX}")
                self._add(device, "pending", None, now_ms)
            elif len(found.keys) >= KEYS_MAX:
                raise DeviceRefused(f"device {device} shows more than {KEYS_MAX} keys")
            run(
                "INSERT INTO device_keys (device, key, box, state, hk0, first_seen_ms)"
                " VALUES (?, ?, ?, 'pending', ?, ?)",
                (device, key, box, hk0, now_ms),
            )
            self._bind_expected(device, key)
        met = self.find(device)
        assert met is not None
        return met

    def _add(self, device: str, standing: DeviceStanding, expects: str | None, now_ms: int) -> None:
        self._database.connection.execute(
            "INSERT INTO devices (device, state, expects, first_seen_ms) VALUES (?, ?, ?, ?)",
            (device, standing, expects, now_ms),
        )
        self._changed(device)

    def _bind_expected(self, device: str, key: str) -> None:
        """A device accepted before its first contact: bind the key when it is the expected one."""
        found = self.find(device)
        self._known.pop(device, None)
        if found is not None and found.expects is not None and found.expects in ("", fingerprint(key)):
            self._bind(device, key)

    def _bind(self, device: str, key: str) -> None:
        run = self._database.connection.execute
        run("UPDATE device_keys SET state = 'retired' WHERE device = ? AND state = 'accepted'", (device,))
        run("UPDATE device_keys SET state = 'accepted' WHERE device = ? AND key = ?", (device, key))
        run("UPDATE devices SET state = 'accepted', expects = NULL WHERE device = ?", (device,))
        self._changed(device)

    def accept(self, device: str, expected: str | None, now_ms: int) -> str:
        """Count a device's records; returns what was done, for people. Raises DeviceRefused.

        `expected` is a fingerprint. Without one the first key met is bound; a device not met yet is remembered.
        """
        found = self.find(device)
        if found is None:
            self._add(device, "accepted", expected or "", now_ms)
            return f"{device}: accepted before its first contact" + (f", key {expected} only" if expected else "")
        mine = [key for key in found.keys if expected is None or fingerprint(key.key) == expected]
        current = found.accepted_key()
        if current is not None and found.standing == "accepted" and (expected is None or current in mine):
            return f"{device}: already accepted, key {fingerprint(current.key)}"
        if not mine:
            if expected is not None and found.keys:
                shown = ", ".join(fingerprint(key.key) for key in found.keys)
                raise DeviceRefused(f"{device} has no key {expected}; it has shown {shown}")
            self._database.connection.execute(
                "UPDATE devices SET state = 'accepted', expects = ? WHERE device = ?", (expected or "", device)
            )
            self._changed(device)
            return f"{device}: accepted before its first contact"
        chosen = mine[0] if current is None or expected is not None else current
        self._bind(device, chosen.key)
        return f"{device}: accepted, key {fingerprint(chosen.key)}"

    def retire(self, device: str) -> str:
        """Keep a device's later records apart. Raises DeviceRefused."""
        if self.find(device) is None:
            raise DeviceRefused(f"device {device} is unknown")
        self._database.connection.execute("UPDATE devices SET state = 'retired' WHERE device = ?", (device,))
        self._changed(device)
        return f"{device}: retired; its later records are kept apart"

    def next_config_version(self, device: str, now_ms: int) -> int:
        """A version that grows, also over a restored backup: seconds of the clock where they are ahead."""
        found = self.find(device)
        assert found is not None
        version = max(found.config_version + 1, now_ms // 1000)
        self._database.connection.execute("UPDATE devices SET config_version = ? WHERE device = ?", (version, device))
        self._changed(device)
        return version

    # --- what waits for acceptance ------------------------------------------------------------------------------------

    def keep_pending(self, device: str, key: str, header: Header, payload: bytes, now_ms: int) -> bool:
        """Keep a verified batch apart; False when the device's share is full."""
        run = self._database.connection.execute
        held = run(
            "SELECT coalesce(sum(length(payload)), 0) FROM pending_batches WHERE device = ?", (device,)
        ).fetchone()[0]
        if held + len(payload) > PENDING_BYTES_MAX:
            return False
        run(
            "INSERT OR IGNORE INTO pending_batches (device, key, journal, first, last, head, payload, received_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (device, key, header.journal, header.first, header.last, header.head, payload, now_ms),
        )
        return True

    def pending_ranges(self, device: str) -> dict[str, tuple[RangeSet, dict[int, str]]]:
        """What is kept apart of a device: journal -> its records, and the head's digest at each batch's end."""
        found: dict[str, tuple[RangeSet, dict[int, str]]] = {}
        for journal, first, last, head in self._database.connection.execute(
            "SELECT journal, first, last, head FROM pending_batches WHERE device = ? ORDER BY number", (device,)
        ):
            ranges, heads = found.setdefault(journal, (RangeSet(), {}))
            ranges.add(first, last)
            heads[last] = head
        return found

    def take_pending(self, device: str, key: str) -> list[tuple[int, bytes]]:
        """The batches kept apart under a key, in order: number and payload."""
        return self._database.connection.execute(
            "SELECT number, payload FROM pending_batches WHERE device = ? AND key = ? ORDER BY number", (device, key)
        ).fetchall()

    def drop_pending(self, number: int) -> None:
        """A batch went into the ledger."""
        self._database.connection.execute("DELETE FROM pending_batches WHERE number = ?", (number,))

    def pending_count(self) -> int:
        """How many batches are kept apart."""
        return int(self._database.connection.execute("SELECT count(*) FROM pending_batches").fetchone()[0])
