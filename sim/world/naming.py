"""The naming: what the hub lacks of a connected gateway's records it must know by name within a minute.

A record older than a minute, of a gateway and a hub that were connected for as long with nothing failing, is held by
the hub, stands as a hole in its books, or was named to it by the gateway's last word.
"""

from __future__ import annotations

from typing import Final

from sim.world.checks import rows_of
from sim.world.gateway import GatewayBox
from sim.world.loop import MINUTE
from sim.world.school import School

LOOK_NS: Final = MINUTE
_Held = tuple[str, int, int]
"""A journal, the first and the last sequence that its file holds."""


class Named:
    """Looks once a minute; what stood in a file at the look before must be known at this one."""

    def __init__(self, school: School) -> None:
        """Nothing was seen yet."""
        self._school = school
        self._seen: dict[str, tuple[object, int, list[_Held]]] = {}
        self.looked = 0

    def look(self, *, calm: bool) -> None:
        """`calm`: nothing has failed since the look before."""
        school = self._school
        still_ns = max([school.hub.stalled_until_ns, *(box.stalled_until_ns for box in school.gateways)])
        calm = calm and school.loop.now_ns - still_ns > LOOK_NS
        if not calm or school.hub.assembly is None or not school.hub.line.connected:
            self._seen.clear()
            return
        for box in school.gateways:
            if not box.up or not box.line.connected:
                self._seen.pop(box.name, None)
                continue
            life = box.starts, box.line.connection, box.assembly, school.hub.assembly, school.hub.line.connection
            before, written, rows = self._seen.get(box.name, (None, -1, []))
            if before == life:
                self._check(box, rows)
            if before != life or written != box.storage.statements:
                written, rows = box.storage.statements, _known(box)
            self._seen[box.name] = life, written, rows

    def _check(self, box: GatewayBox, rows: list[_Held]) -> None:
        hub = self._school.hub.assembly
        assert hub is not None and box.assembly is not None
        device = hub.store.devices.find(box.config.gateway_id)
        accepted = None if device is None else device.accepted_key()
        if accepted is None or accepted.key != box.assembly.keys.identity.key:
            # It waits for a person to accept its key; what it brought is held apart.
            return
        heard = hub.fleet.find(box.config.gateway_id)
        told = {} if heard is None else {name: held.last for name, held in heard.state.journals.items()}
        self.looked += 1
        for journal, first, last in rows:
            book = hub.store.ledger.books.find(journal)
            known = max(told.get(journal, 0), 0 if book is None else book.durable().last)
            if last >= first and known < last:
                detail = f"{box.name}: the hub knows of {journal} through {known}, its file has {last}"
                self._school.truth.broken("a hole is named within a minute", detail)


def _known(box: GatewayBox) -> list[_Held]:
    """Its file's journals; what a failed sync left behind the running one's end is nobody's until the next write."""
    assert box.assembly is not None
    running = box.assembly.journal
    return [
        (journal, first, min(last, running.last) if journal == running.journal else last)
        for journal, first, last in rows_of(box.storage.folder)
    ]
