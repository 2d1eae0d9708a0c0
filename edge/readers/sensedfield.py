"""The field of a reader that nfcpy drives by the radio's single frames: one card of ISO 14443 A at each look."""

from __future__ import annotations

from typing import Any

from edge.ports import CardRead
from protocol.cards import CardUid
from protocol.errors import CardNumberError


class SensedField:
    """See the room. `device` is a device of nfcpy's, opened; such a card isn't asked for a proof."""

    def __init__(self, device: Any) -> None:
        """Nothing was seen yet."""
        from nfc.clf import RemoteTarget

        self._device = device
        self._target = RemoteTarget("106A")

    def look(self) -> tuple[CardRead, ...]:
        """The card in the field; raises whatever nfcpy raises."""
        # The field goes off between looks, so that a card that was selected answers again.
        self._device.mute()
        target = self._device.sense_tta(self._target)
        if target is None or not target.sdd_res or not target.sel_res:
            return ()
        try:
            card = CardUid.from_bytes("a", bytes(target.sdd_res))
        except CardNumberError:
            return ()
        return (CardRead(card, kind=f"sak={target.sel_res[0]:02x}"),)
