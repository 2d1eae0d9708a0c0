"""The devices: which gateways there are, which of their keys a person accepted, what waits until one is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from hub.store.database import Database
from protocol.batch import Header
from protocol.errors import NeedsHands
from protocol.ranges import RangeSet
from protocol.signing import fingerprint

DeviceStanding = Literal["pending", "accepted", "retired"]

DEVICES_MAX: Final = 1_000
"""Devices that a person accepted, now or once."""
PENDING_DEVICES_MAX: Final = 200
"""Devices that came by themselves and wait for a person; one accepted before its first contact isn't among them."""
KEYS_MAX: Final = 8
"""Keys known of one device; each is a new installation, or somebody who pretends."""
PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Kept of one device until a person accepts it: about 90,000 taps."""
PENDING_TOTAL_BYTES_MAX: Final = 256 * 1024 * 1024
"""Kept of all such devices together: whoever reaches the broker can't fill the hub's disk."""
PENDING_BATCH_BYTES: Final = 2 * 1024
"""A batch kept counts as so many bytes at least, which bounds their number too."""


FINGERPRINT: Final = re.compile(r"[0-9a-f]{20}")


class DeviceRefused(NeedsHands):
    """A device or key can't be taken as asked."""

    code = "device-refused"
    hint = "Compare the fingerprints: k12edge hub devices list."


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """One key of a device: public signing and box keys, its standing, what the gateway sealed to us.

    `hk0`: its own card key; `raw0`: the secret of the box key that it sealed raw card values to before it knew us.
    """

    key: str
    box: str
    standing: DeviceStanding
    hk0: str | None
    raw0: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device: standing, the fingerprint of the key that is to be bound ('' for any), its configuration's version."""

    device: str
    standing: DeviceStanding
    expects: str | None
    config_version: int
    keys: tuple[DeviceKey, ...]

    def accepted_key(self) -> DeviceKey | None:
        """The key whose records count."""
        return next((key for key in self.keys if key.standing == "accepted"), None)


def named_fingerprint(text: str) -> str:
    """A fingerprint as a person writes it - case, dashes and spaces as they like - in its one form.

    Raises DeviceRefused for what can't be one: no key would ever match it.
    """
    digits = re.sub(r"[\s-]", "", text).lower()
    if not FINGERPRINT.fullmatch(digits):
        raise DeviceRefused(f"{text[:80]!r} is no fingerprint: that is 20 hex digits, 68fb-fc55-1ffd-980e-d9e8")
    return "-".join(digits[i : i + 4] for i in range(0, 20, 4))


class Devices:
    """See the room. Every change runs within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state; what is read often is remembered until the next change."""
        self._database = database
        self._known: dict[str, Device] = {}
        self._kept_bytes: dict[str, int] = dict(
            database.connection.execute(
                "SELECT device, sum(max(length(payload), ?)) FROM pending_batches GROUP BY device",
                (PENDING_BATCH_BYTES,),
            )
        )
        self._ranges: dict[str, dict[str, tuple[RangeSet, dict[int, str]]]] = {}

    def find(self, device: str) -> Device | None:
        """One device with its keys."""
        if device in self._known:
            return self._known[device]
        run = self._database.connection.execute
        row = run("SELECT state, expects, config_version FROM devices WHERE device = ?", (device,)).fetchone()
        if row is None:
            return None
        keys = run(
            "SELECT key, box, state, hk0, raw0 FROM device_keys WHERE device = ? ORDER BY first_seen_ms, key", (device,)
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
            self._ranges.pop(device, None)

        forget()
        self._database.on_rollback(forget)

    def met(self, device: str, key: str, box: str, hk0: str | None, raw0: str | None, now_ms: int) -> Device:
        """A device showed a key that it can sign with. Raises DeviceRefused at the bounds.

        `hk0` and `raw0` were found to open; the first ones of a key are kept (sealed anew each time, they never equal).
        """
        found = self.find(device)
        known = None if found is None else next((k for k in found.keys if k.key == key), None)
        run = self._database.connection.execute
        if known is not None:
            assert found is not None
            if (known.hk0 or not hk0) and (known.raw0 or not raw0):
                return found
            run(
                "UPDATE device_keys SET hk0 = coalesce(hk0, ?), raw0 = coalesce(raw0, ?) WHERE device = ? AND key = ?",
                (hk0, raw0, device, key),
            )
            self._changed(device)
        else:
            if found is None:
                self._make_room(device)
                self._add(device, "pending", None, now_ms)
            elif len(found.keys) >= KEYS_MAX and not self._drop_idle_key(found) and found.expects != fingerprint(key):
                # The key that a person named always gets in; nothing that is kept goes for it.
                raise DeviceRefused(
                    f"device {device} shows more than {KEYS_MAX} keys",
                    hint="Name the true one: k12edge hub devices accept ID --fingerprint F.",
                )
            run(
                "INSERT INTO device_keys (device, key, box, state, hk0, raw0, first_seen_ms)"
                " SELECT ?, ?, ?, 'pending', ?, ?, max(?, coalesce(max(first_seen_ms) + 1, 0)) FROM device_keys"
                " WHERE device = ?",
                (device, key, box, hk0, raw0, now_ms, device),
            )
            self._changed(device)
            self._bind_expected(device, key)
        met = self.find(device)
        assert met is not None
        return met

    def _make_room(self, device: str) -> None:
        run = self._database.connection.execute
        if run("SELECT count(*) FROM devices WHERE state = 'pending'").fetchone()[0] >= PENDING_DEVICES_MAX:
            raise DeviceRefused(
                f"{PENDING_DEVICES_MAX} devices wait for acceptance already; {device} is not taken down",
                hint="Accept it by its name: k12edge hub devices accept ID --fingerprint F.",
            )

    def _drop_idle_key(self, found: Device) -> bool:
        """Forget the key seen longest ago that nobody accepted and under which nothing is kept; False without one."""
        dropped = self._database.connection.execute(
            "DELETE FROM device_keys WHERE (device, key) IN (SELECT device, key FROM device_keys AS k"
            " WHERE device = ? AND state = 'pending' AND NOT EXISTS (SELECT 1 FROM pending_batches AS p"
            " WHERE p.device = k.device AND p.key = k.key) ORDER BY first_seen_ms, key LIMIT 1)",
            (found.device,),
        ).rowcount
        return dropped > 0

    def _add(self, device: str, standing: DeviceStanding, expects: str | None, now_ms: int) -> None:
        self._database.connection.execute(
            "INSERT INTO devices (device, state, expects, first_seen_ms) VALUES (?, ?, ?, ?)",
            (device, standing, expects, now_ms),
        )
        self._changed(device)

    def _bind_expected(self, device: str, key: str) -> None:
        """A device of which a person named a key before it came: bind the key when it is the expected one."""
        found = self.find(device)
        if found is not None and found.expects is not None and found.expects in ("", fingerprint(key)):
            self._bind(device, key)

    def _bind(self, device: str, key: str) -> None:
        run = self._database.connection.execute
        run("UPDATE device_keys SET state = 'retired' WHERE device = ? AND state = 'accepted'", (device,))
        run("UPDATE device_keys SET state = 'accepted' WHERE device = ? AND key = ?", (device, key))
        run("UPDATE devices SET state = 'accepted', expects = NULL, retired_ms = NULL WHERE device = ?", (device,))
        self._changed(device)

    def accept(self, device: str, expected: str | None, now_ms: int) -> str:
        """Count a device's records; returns what was done, for people. Raises DeviceRefused.

        `expected` is a fingerprint; a key not met yet is remembered, and until it comes nothing else changes.
        Without one the first key met is bound, or the first one to come.
        """
        if expected is not None:
            expected = named_fingerprint(expected)
        found = self.find(device)
        if found is None:
            count = self._database.connection.execute(
                "SELECT count(*) FROM devices WHERE state <> 'pending'"
            ).fetchone()[0]
            if count >= DEVICES_MAX:
                raise DeviceRefused(f"device {device} is one more than {DEVICES_MAX}")
            self._add(device, "accepted", expected or "", now_ms)
            only = f", chỉ khóa / only key {expected}" if expected else ""
            return f"{device}: duyệt trước khi kết nối / accepted before its first contact{only}"
        mine = [key for key in found.keys if expected is None or fingerprint(key.key) == expected]
        current = found.accepted_key()
        if current is not None and found.standing == "accepted" and (expected is None or current in mine):
            if expected is not None and found.expects is not None:
                self._expect(device, found.standing, None)
            return f"{device}: đã duyệt từ trước / already accepted, {fingerprint(current.key)}"
        if not mine:
            self._expect(device, "accepted" if current is None else found.standing, expected or "")
            if not found.keys:
                return f"{device}: duyệt trước khi kết nối / accepted before its first contact"
            shown = ", ".join(fingerprint(key.key) for key in found.keys)
            return f"{device}: chờ khóa / waits for key {expected}; đã thấy / it has shown {shown}"
        chosen = mine[0] if current is None or expected is not None else current
        self._bind(device, chosen.key)
        return f"{device}: đã duyệt / accepted, {fingerprint(chosen.key)}"

    def _expect(self, device: str, standing: DeviceStanding, expects: str | None) -> None:
        self._database.connection.execute(
            "UPDATE devices SET state = ?, expects = ? WHERE device = ?", (standing, expects, device)
        )
        self._changed(device)

    def retire(self, device: str, now_ms: int) -> str:
        """Keep a device's later records apart. Raises DeviceRefused."""
        if self.find(device) is None:
            raise DeviceRefused(f"device {device} is unknown")
        self._database.connection.execute(
            "UPDATE devices SET state = 'retired', expects = NULL, retired_ms = coalesce(retired_ms, ?)"
            " WHERE device = ?",
            (now_ms, device),
        )
        self._changed(device)
        return f"{device}: đã ngừng, bản ghi sau này để riêng / retired, its later records are kept apart"

    def next_config_version(self, device: str, now_ms: int) -> int:
        """A version that grows, also over a restored backup: seconds of the clock where they are ahead."""
        found = self.find(device)
        assert found is not None
        version = max(found.config_version + 1, now_ms // 1000)
        self._database.connection.execute("UPDATE devices SET config_version = ? WHERE device = ?", (version, device))
        self._changed(device)
        return version

    def forget_sealed(self) -> None:
        """The hub takes another identity: what was sealed to the one before is of no use, and will be sealed anew."""
        run = self._database.connection.execute
        for (device,) in run("SELECT DISTINCT device FROM device_keys").fetchall():
            self._changed(device)
        run("UPDATE device_keys SET hk0 = NULL, raw0 = NULL")

    # --- what waits for acceptance ------------------------------------------------------------------------------------

    def keep_pending(self, device: str, key: str, header: Header, payload: bytes, now_ms: int) -> bool:
        """Keep a verified batch apart; False when the device's share, or that of all, is full."""
        run = self._database.connection.execute
        values = (device, key, header.journal, header.first, header.last, header.head)
        if run(
            "SELECT 1 FROM pending_batches WHERE device = ? AND key = ? AND journal = ? AND first = ? AND last = ?"
            " AND head = ?",
            values,
        ).fetchone():
            return True
        size = max(len(payload), PENDING_BATCH_BYTES)
        if (
            self._kept_bytes.get(device, 0) + size > PENDING_BYTES_MAX
            or sum(self._kept_bytes.values()) + size > PENDING_TOTAL_BYTES_MAX
        ):
            return False
        run(
            "INSERT INTO pending_batches (device, key, journal, first, last, head, payload, received_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, payload, now_ms),
        )
        self._count(device, size)
        return True

    def _count(self, device: str, size: int) -> None:
        before = self._kept_bytes.get(device, 0)
        self._kept_bytes[device] = before + size
        self._ranges.pop(device, None)

        def undo() -> None:
            self._kept_bytes[device] = before
            self._ranges.pop(device, None)

        self._database.on_rollback(undo)

    def pending_ranges(self, device: str) -> dict[str, tuple[RangeSet, dict[int, str]]]:
        """What is kept apart of a device and may be receipted: journal -> its records, the digest at each batch's end.

        Only what its accepted key signed or, as long as none is accepted, its only key. Where two keys claim one
        device, what one of them sent must not settle what the other one holds.
        """
        known = self.find(device)
        if known is None:
            return {}
        if device in self._ranges:
            return self._ranges[device]
        speaks = known.accepted_key() or (known.keys[0] if len(known.keys) == 1 else None)
        found: dict[str, tuple[RangeSet, dict[int, str]]] = {}
        if speaks is None or not self._kept_bytes.get(device):
            return found
        for journal, first, last, head in self._database.connection.execute(
            "SELECT journal, first, last, head FROM pending_batches WHERE device = ? AND key = ? ORDER BY number",
            (device, speaks.key),
        ):
            ranges, heads = found.setdefault(journal, (RangeSet(), {}))
            ranges.add(first, last)
            heads[last] = head
        self._ranges[device] = found
        return found

    def kept_of_accepted(self) -> list[str]:
        """Accepted devices of which batches are still kept apart under their accepted key."""
        rows = self._database.connection.execute(
            "SELECT DISTINCT p.device FROM pending_batches AS p JOIN device_keys AS k USING (device, key)"
            " JOIN devices AS d USING (device) WHERE k.state = 'accepted' AND d.state = 'accepted'"
        ).fetchall()
        return [device for (device,) in rows]

    def take_pending(self, device: str, key: str, limit: int) -> list[tuple[int, bytes]]:
        """The oldest batches kept apart under a key, in order: number and payload."""
        return self._database.connection.execute(
            "SELECT number, payload FROM pending_batches WHERE device = ? AND key = ? ORDER BY number LIMIT ?",
            (device, key, limit),
        ).fetchall()

    def drop_pending(self, device: str, number: int, size: int) -> None:
        """A batch of `size` bytes went into the ledger."""
        self._database.connection.execute("DELETE FROM pending_batches WHERE number = ?", (number,))
        self._count(device, -max(size, PENDING_BATCH_BYTES))
