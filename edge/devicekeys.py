"""The gateway's own secrets on disk: its identity, its own card key, the school's card keys, the hub it knows."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from host.durable import out_of_the_way, write_durably
from protocol.cards import KEY_BYTES, CardKey
from protocol.envelope import digest, octets_of, text_of
from protocol.errors import BadMessage
from protocol.signing import SEED_BYTES, Identity, SealRefused, SignatureRefused, seal, verify
from protocol.status import DeviceConfig, HubState, hub_text

log = logging.getLogger("k12edge.keys")


class _Saved(msgspec.Struct, omit_defaults=True):
    """keys.json and its copy: secrets as base64url. The files are readable by their owner only."""

    sign_seed: str
    box_seed: str
    hk0: str
    raw0: str = ""
    hub_key: str | None = None
    hub_box: str | None = None
    config_version: int = 0
    card_keys: list[tuple[int, str]] = []


FILE_NAME: Final = "keys.json"
SPARE_NAME: Final = "keys-copy.json"
"""The same again: where one is damaged, the gateway stays who it is."""
_CHECK: Final = b'{"check":"'
_CHECK_TEXT: Final = 43


def _checked(body: bytes) -> bytes:
    """A JSON object with a digest of its other bytes as its first member: a changed bit must not become a key."""
    return _CHECK + digest(body[1:]).encode("ascii") + b'",' + body[1:]


def _opened(octets: bytes) -> _Saved:
    """What a file says; an earlier version wrote no digest. Raises BadMessage, ValueError, msgspec.DecodeError."""
    if octets.startswith(_CHECK):
        at = len(_CHECK) + _CHECK_TEXT
        if octets[at : at + 2] != b'",' or digest(octets[at + 2 :]).encode("ascii") != octets[len(_CHECK) : at]:
            raise BadMessage("its bytes are not those that were written")
    return msgspec.json.decode(octets, type=_Saved)


def identity_in(data_dir: Path) -> tuple[Identity, str | None] | None:
    """The identity that a data directory keeps, and the hub's key that it knows; None where neither file says it.

    Nothing is made or written. Raises OSError.
    """
    for name in (FILE_NAME, SPARE_NAME):
        try:
            saved = _opened((data_dir / name).read_bytes())
            seeds = octets_of(saved.sign_seed, SEED_BYTES), octets_of(saved.box_seed, SEED_BYTES)
        except (FileNotFoundError, IsADirectoryError, msgspec.DecodeError, ValueError, RecursionError, BadMessage):
            continue
        return Identity(*seeds), saved.hub_key
    return None


class DeviceKeys:
    """See the room. Every change is written durably before it counts."""

    def __init__(self, data_dir: Path, configured_hub_key: str | None) -> None:
        """Read keys.json, or its copy, or mint them; unreadable ones are kept aside and named in `damaged`.

        Raises OSError.
        """
        self._path = data_dir / FILE_NAME
        self._spare = data_dir / SPARE_NAME
        self._configured_hub_key = configured_hub_key
        self._school: CardKey | None = None
        self._handed: tuple[str, tuple[str, str]] | None = None
        self.damaged: list[str] = []
        self._unsaved = False
        for path in (self._path, self._spare):
            if self._load(path):
                self._open_raw_box()
                if self._saved.hub_box is not None and not _sealable(self._saved.hub_box):
                    # A tap must never fail for it; the hub says its box again.
                    self._saved.hub_box = None
                if self.damaged or not self._same():
                    self._save(self._saved)
                return
        # Without both the gate must go on all the same: a new identity, which a person accepts at the hub.
        self._take(
            _Saved(
                text_of(secrets.token_bytes(SEED_BYTES)),
                text_of(secrets.token_bytes(SEED_BYTES)),
                text_of(secrets.token_bytes(KEY_BYTES)),
            )
        )
        self._open_raw_box()

    def _load(self, path: Path) -> bool:
        """Take over what a file says; False where it says nothing. A failing card may have cut or changed it."""
        if not path.exists():
            return False
        try:
            self._take(_opened(path.read_bytes()))
        except (msgspec.DecodeError, ValueError, RecursionError, BadMessage, IsADirectoryError) as problem:
            aside = path.with_name(f"{path.stem}-damaged-{secrets.token_hex(4)}.json")
            os.rename(path, aside)
            self.damaged.append(f"{aside.name}: {problem}")
            return False
        return True

    def _take(self, saved: _Saved) -> None:
        identity = Identity(octets_of(saved.sign_seed, SEED_BYTES), octets_of(saved.box_seed, SEED_BYTES))
        provisional = CardKey(0, octets_of(saved.hk0, KEY_BYTES))
        keys = [CardKey(number, octets_of(secret, KEY_BYTES)) for number, secret in saved.card_keys]
        if saved.raw0:
            octets_of(saved.raw0, SEED_BYTES)
        self._saved, self.identity, self._provisional = saved, identity, provisional
        self._school = max(keys, key=lambda key: key.number, default=None)

    def _same(self) -> bool:
        """Whether the copy is what it shall be."""
        try:
            return self._spare.read_bytes() == self._path.read_bytes()
        except OSError:
            return False

    def _open_raw_box(self) -> None:
        """The provisional box for raw numbers; minted where an earlier version left none."""
        if not self._saved.raw0:
            self._saved.raw0 = text_of(secrets.token_bytes(SEED_BYTES))
            self._save(self._saved)
        self._raw_box = Identity(self.identity.sign_seed, octets_of(self._saved.raw0, SEED_BYTES)).box

    def _save(self, saved: _Saved) -> None:
        """Both files; it counts once it is durable, so that what couldn't be written is taken when it comes again."""
        octets = _checked(msgspec.json.encode(saved))
        for path in (self._path, self._spare):
            out_of_the_way(path)
            write_durably(path, octets)
        self._saved, self._unsaved = saved, False

    def card_key(self) -> CardKey:
        """The newest school key, or the gateway's own (number 0) until it has one."""
        return self._school or self._provisional

    def card_key_for(self, numbers: list[int]) -> CardKey:
        """The newest of our keys among `numbers` (those that a release was keyed with), else `card_key`."""
        held = {number: secret for number, secret in self._saved.card_keys}
        both = [number for number in numbers if number in held]
        return CardKey(max(both), octets_of(held[max(both)], KEY_BYTES)) if both else self.card_key()

    def fits(self, numbers: list[int]) -> bool:
        """Whether we have one of the card keys that a release was keyed with: cards can be looked up in it."""
        return self.card_key_for(numbers).number in numbers

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
        if self._saved.hub_key != state.key or box not in (None, known) or self._unsaved:
            met = replace(self._saved, hub_key=state.key, hub_box=box or known)
            try:
                self._save(met)
            except OSError as problem:
                # It counts all the same, until the next start: a full disk is emptied by what this hub takes.
                log.warning("the hub that was met could not be written down: %s", problem)
                self._saved, self._unsaved = met, True
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
        saved = replace(self._saved, config_version=config.version, card_keys=opened)
        self._save(saved)
        self._take(saved)
        log.info("card keys received")
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
