"""The hub's secrets in the ledger's file: its identity, the school's card keys; written to and read from an export."""

from __future__ import annotations

import secrets
from typing import Final

import msgspec
from msgspec.structs import replace

from hub.store.database import Database
from hub.store.devices import DeviceKey, Devices
from hub.store.notes import CalendarBack, DietsBack, Notes, Regain
from protocol.cards import KEY_BYTES, CardKey
from protocol.envelope import digest, octets_of, text_of
from protocol.errors import BadMessage, NeedsHands
from protocol.signing import SEED_BYTES, Identity, SealRefused, fingerprint, is_public_key
from protocol.taps import SLUG


class KeysRefused(NeedsHands):
    """A key file can't be written or taken over."""

    code = "keys-refused"
    hint = "Give a file that `k12edge hub keys export` wrote, to a hub of the same school."


class _ExportedDevice(msgspec.Struct, omit_defaults=True):
    """An accepted device: its public keys, and what it sealed to the exported hub."""

    device: str
    key: str
    box: str
    hk0: str | None = None
    raw0: str | None = None


class Export(msgspec.Struct):
    """The exported file: JSON, secret. `check` is the digest of all the rest: one changed bit would be another hub."""

    format: str
    school: str
    sign_seed: str
    box_seed: str
    card_keys: list[tuple[int, str]]
    devices: list[_ExportedDevice]
    check: str = ""


FORMAT = "k12edge-hub-keys-1"
NUMBER_MAX: Final = (1 << 31) - 1
"""Numbers of card keys; a key a day takes six million years."""


class Secrets:
    """See the room. Minted at the first start."""

    def __init__(self, database: Database) -> None:
        """Read them or mint them."""
        self._database = database
        with database.transaction() as run:
            for name, size in (("sign_seed", SEED_BYTES), ("box_seed", SEED_BYTES)):
                run.execute(
                    "INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", (name, secrets.token_bytes(size))
                )
            if run.execute("SELECT count(*) FROM card_keys").fetchone()[0] == 0:
                run.execute("INSERT INTO card_keys (number, secret) VALUES (1, ?)", (secrets.token_bytes(KEY_BYTES),))

    def identity(self) -> Identity:
        """The hub's keys."""
        rows = dict(self._database.connection.execute("SELECT name, value FROM settings").fetchall())
        return Identity(bytes(rows["sign_seed"]), bytes(rows["box_seed"]))

    def opened(self, sealed: str | None) -> bytes | None:
        """The 32-byte secret that a gateway sealed to this hub; None for anything else."""
        if sealed is None:
            return None
        try:
            secret = self.identity().open(sealed)
        except SealRefused:
            return None
        return secret if len(secret) == KEY_BYTES else None

    def open_raw(self, raw: str, key: DeviceKey | None) -> bytes:
        """The raw card value of a record: sealed to this hub, or by the gateway of `key` before it knew us.

        Raises SealRefused where neither opens it.
        """
        identity = self.identity()
        provisional = None if key is None else self.opened(key.raw0)
        if provisional is None:
            return identity.open(raw)
        try:
            return identity.open(raw)
        except SealRefused:
            return Identity(identity.sign_seed, provisional).open(raw)

    def card_keys(self) -> list[CardKey]:
        """The school's card keys, oldest first."""
        rows = self._database.connection.execute("SELECT number, secret FROM card_keys ORDER BY number").fetchall()
        return [CardKey(number, bytes(secret)) for number, secret in rows]

    def show(self) -> str:
        """Public key and fingerprint, for people."""
        key = self.identity().key
        numbers = ", ".join(str(card_key.number) for card_key in self.card_keys())
        return f'hub_key = "{key}"\ndấu khóa / fingerprint {fingerprint(key)}\nkhóa thẻ / card keys {numbers}'

    def export(self, school: str, devices: Devices) -> tuple[str, bytes]:
        """All of it: what to say, and the file's content, which is secret."""
        identity = self.identity()
        body = Export(
            FORMAT,
            school,
            text_of(identity.sign_seed),
            text_of(identity.box_seed),
            [(key.number, text_of(key.secret)) for key in self.card_keys()],
            [
                _ExportedDevice(device.device, key.key, key.box, key.hk0, key.raw0)
                for device in devices.all()
                if device.standing == "accepted" and (key := device.accepted_key()) is not None
            ],
        )
        text = (
            f"{len(body.card_keys)} khóa thẻ / card keys, {len(body.devices)} thiết bị / gateways."
            " Giữ bí mật / Keep it secret."
        )
        body.check = export_digest(body)
        return text, msgspec.json.format(msgspec.json.encode(body), indent=1) + b"\n"

    def restore(self, name: str, octets: bytes, school: str, devices: Devices, now_ms: int) -> str:
        """Take an export over, by its file's name and content; within a transaction.

        Raises KeysRefused, and then nothing was changed.
        """
        saved = read_export(name, octets)
        seeds = octets_of(saved.sign_seed, SEED_BYTES), octets_of(saved.box_seed, SEED_BYTES)
        keys = [(number, octets_of(secret, KEY_BYTES)) for number, secret in saved.card_keys]
        if saved.format != FORMAT or saved.school != school:
            raise KeysRefused(f"{name} is a {saved.format} of school {saved.school}, this hub is of {school}")
        run = self._database.connection.execute
        for setting, seed in zip(("sign_seed", "box_seed"), seeds, strict=True):
            run("UPDATE settings SET value = ? WHERE name = ?", (seed, setting))
        run("DELETE FROM card_keys")
        for number, secret in keys:
            run("INSERT INTO card_keys (number, secret) VALUES (?, ?)", (number, secret))
        # A hub that becomes who another one was lacks what that one entered.
        Notes(self._database).write(Regain(now_ms))
        for kind in (CalendarBack, DietsBack):
            Notes(self._database).doubt(kind, now_ms)
        devices.forget_sealed()
        for one in saved.devices:
            expected = fingerprint(one.key)
            # Accepted before it is met, so that no bound on strangers stands in its way.
            devices.accept(one.device, expected, now_ms)
            devices.met(one.device, one.key, one.box, one.hk0, one.raw0, now_ms)
        return (
            f"{name}: đã nhận / taken over: {len(keys)} khóa thẻ / card keys, {len(saved.devices)} thiết bị / gateways"
        )


def read_export(name: str, octets: bytes) -> Export:
    """An export's content, sound as a whole. Raises KeysRefused."""
    try:
        saved = msgspec.json.decode(octets, type=Export)
        octets_of(saved.sign_seed, SEED_BYTES), octets_of(saved.box_seed, SEED_BYTES)
        for _, secret in saved.card_keys:
            octets_of(secret, KEY_BYTES)
        _check(saved)
    except (msgspec.DecodeError, BadMessage, RecursionError, ValueError) as problem:
        raise KeysRefused(f"{name} is not a key file: {problem}") from problem
    return saved


def export_digest(saved: Export) -> str:
    """What `check` is to say."""
    return digest(msgspec.json.encode(replace(saved, check="")))


def _check(saved: Export) -> None:
    if saved.check != export_digest(saved):
        raise BadMessage("it was changed since it was written")
    if not saved.card_keys or any(not 1 <= number <= NUMBER_MAX for number, _ in saved.card_keys):
        raise BadMessage("it holds no card key, or one with a wrong number")
    if len({number for number, _ in saved.card_keys}) != len(saved.card_keys):
        raise BadMessage("two card keys have one number")
    for one in saved.devices:
        if not SLUG.fullmatch(one.device) or not is_public_key(one.key) or not is_public_key(one.box):
            raise BadMessage(f"device {one.device[:70]!r} has no sound name or keys")
