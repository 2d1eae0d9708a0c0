"""What lies underneath the simulated parts: signatures that were made here are opened without reckoning, no others."""

from __future__ import annotations

from pathlib import Path
from random import Random

import nacl.bindings
import pytest

from protocol.signing import Identity, SignatureRefused, verify
from sim.world import underneath
from sim.world.underneath import Genuine, Underneath


def test_only_what_a_key_signed_is_opened_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reckoned: list[bytes] = []
    real = nacl.bindings.crypto_sign_open

    def opened(signed: bytes, key: bytes) -> bytes:
        reckoned.append(signed)
        return real(signed, key)

    monkeypatch.setattr(nacl.bindings, "crypto_sign_open", opened)
    mine, other = Identity(b"\x01" * 32, b"\x02" * 32), Identity(b"\x03" * 32, b"\x04" * 32)
    with Underneath(tmp_path, Random(1)).entered():
        signature = mine.sign(b"a tap")
        verify(mine.key, b"a tap", signature)
        assert reckoned == []
        for key, message, by in (
            (other.key, b"a tap", signature),
            (mine.key, b"another", signature),
            (mine.key, b"a tap", other.sign(b"a tap")),
        ):
            with pytest.raises(SignatureRefused):
                verify(key, message, by)
        assert len(reckoned) == 3
    verify(mine.key, b"a tap", signature)
    assert len(reckoned) == 4, "outside nothing is remembered"


def test_what_was_forgotten_is_reckoned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underneath, "SIGNED_KEPT", 2)
    public, secret = nacl.bindings.crypto_sign_seed_keypair(b"\x01" * 32)
    genuine = Genuine()
    signed = [genuine.sign(bytes([number]), secret) for number in range(3)]
    assert [genuine.open(one, public) for one in signed] == [b"\x00", b"\x01", b"\x02"]
    assert len(genuine._made) == 2
