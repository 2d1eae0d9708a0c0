"""The gateway's own secrets on disk: its identity, its own card key, the school's card keys, the hub it knows."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from edge.journalfile import write_durably
from protocol.cards import KEY_BYTES, CardKey
from protocol.envelope import octets_of, text_of
from protocol.errors import BadMessage
from protocol.signing import SEED_BYTES, Identity, SealRefused, SignatureRefused, seal, verify
from protocol.status import DeviceConfig, HubState, hub_text


class _Saved(msgspec.Struct, omit_defaults=True):
    """keys.json: secrets as base64url. The file is readable by its owner only."""

    sign_seed: str
    box_seed: str
    hk0: str
    raw0: str = ""
    hub_key: str | None = None
    hub_box: str | None = None
    config_version: int = 0
    card_keys: list[tuple[int, str]] = []


class DeviceKeys:
    """See the room. Every change is written durably before it counts."""

    def __init__(self, data_dir: Path, configured_hub_key: str | None) -> None:
        """Read keys.json or mint it; an unreadable one is kept aside and named in `damaged`."""
        self._path = data_dir / "keys.json"
        self._configured_hub_key = configured_hub_key
        self._school: CardKey | None = None
        self._handed: tuple[str, tuple[str, str]] | None = None
        self.damaged: str | None = None
        if self._path.exists():
            try:
                self._saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
                self.identity = Identity(octets_of(self._saved.sign_seed, 32), octets_of(self._saved.box_seed, 32))
                self._provisional = CardKey(0, octets_of(self._saved.hk0, KEY_BYTES))
                self._school = self._newest()
                self._open_raw_box()
                return
            except (msgspec.DecodeError, ValueError, BadMessage) as problem:
                # A key file that a failing card cut short must not stop the gate: keep it, begin a new identity,
                # which a person accepts at the hub.
                aside = self._path.with_name(f"keys-damaged-{secrets.token_hex(4)}.json")
                os.rename(self._path, aside)
                self.damaged = f"{aside.name}: {problem}"
        self._saved = _Saved(
            text_of(secrets.token_bytes(SEED_BYTES)),
            text_of(secrets.token_bytes(SEED_BYTES)),
            text_of(secrets.token_bytes(KEY_BYTES)),
        )
        self.identity = Identity(octets_of(self._saved.sign_seed, 32), octets_of(self._saved.box_seed, 32))
        self._provisional = CardKey(0, octets_of(self._saved.hk0, KEY_BYTES))
        self._school = None
        self._open_raw_box()

    def _open_raw_box(self) -> None:
        """The provisional box for raw numbers; minted where an earlier version left none."""
        if not self._saved.raw0:
            self._saved.raw0 = text_of(secrets.token_bytes(SEED_BYTES))
            self._save()
        self._raw_box = Identity(self.identity.sign_seed, octets_of(self._saved.raw0, SEED_BYTES)).box

    def _newest(self) -> CardKey | None:
        keys = [CardKey(number, octets_of(secret, KEY_BYTES)) for number, secret in self._saved.card_keys]
        return max(keys, key=lambda key: key.number, default=None)

    def _save(self) -> None:
        write_durably(self._path, msgspec.json.encode(self._saved))

    def card_key(self) -> CardKey:
        """The newest school key, or the gateway's own (number 0) until it has one."""
        return self._school or self._provisional

    def card_key_for(self, numbers: list[int]) -> CardKey:
        """The newest of our keys among `numbers` (those that a release was keyed with), else `card_key`."""
        held = {number: secret for number, secret in self._saved.card_keys}
        both = [number for number in numbers if number in held]
        return CardKey(max(both), octets_of(held[max(both)], KEY_BYTES)) if both else self.card_key()

    @property
    def hub_key(self) -> str | None:
        """The hub's public signing key: as configured, else the first one met."""
        return self._configured_hub_key or self._saved.hub_key

    def vouch(self, state: HubState) -> None:
        """Raise SignatureRefused for what our hub didn't say: a hub that signed once signs always."""
        if self._hub_box is not None and state.key == self.hub_key and not _signed(state):
            raise SignatureRefused("the hub didn't sign this state")

    def meet_hub(self, state: HubState) -> bool:
        """Pin the first hub (or accept the configured one); False when it is another hub than the one we know.

        Its box is taken only where the hub's key signed it: what is sealed to a stranger's box is lost to him.
        """
        if self.hub_key is not None and state.key != self.hub_key:
            return False
        box = state.box if _signed(state) and _sealable(state.box) else None
        known = self._saved.hub_box if self._saved.hub_key == state.key else None
        if self._saved.hub_key != state.key or box not in (None, known):
            self._saved.hub_key, self._saved.hub_box = state.key, box or known
            self._save()
        return True

    def raw_box(self) -> str:
        """The public key that raw card numbers are sealed to: the hub's, or our provisional one until it is known."""
        return self._hub_box or self._raw_box

    @property
    def _hub_box(self) -> str | None:
        """The box of the hub that we know; one pinned before another hub was configured doesn't count."""
        return self._saved.hub_box if self._saved.hub_key == self.hub_key else None

    def handover(self) -> tuple[str | None, str | None]:
        """The secrets of the time before we knew the hub, sealed to it: our own card key and the provisional box's."""
        box = self._hub_box
        if box is None:
            return None, None
        if self._handed is None or self._handed[0] != box:
            sealed = seal(box, self._provisional.secret), seal(box, octets_of(self._saved.raw0, SEED_BYTES))
            self._handed = box, sealed
        return self._handed[1]

    def configure(self, config: DeviceConfig) -> bool:
        """Take over a configuration signed by the hub; False when it isn't newer. Raises BadMessage, SealRefused."""
        if config.version <= self._saved.config_version:
            return False
        opened = []
        for number, sealed in config.keys:
            secret = self.identity.open(sealed)
            if len(secret) != KEY_BYTES or number < 1:
                raise SealRefused("the sealed card key has a wrong length or number")
            opened.append((number, text_of(secret)))
        self._saved.config_version = config.version
        self._saved.card_keys = opened
        self._save()
        self._school = self._newest()
        return True


def _signed(state: HubState) -> bool:
    try:
        verify(state.key, hub_text(state), state.sig or "")
    except SignatureRefused:
        return False
    return True


def _sealable(box: str) -> bool:
    """Whether boxes can be sealed to this key; a tap must never fail for it later."""
    try:
        seal(box, b"")
    except BadMessage:
        return False
    return True
