"""Memory cards and whole machines: cloned, restored, replaced."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from protocol.signing import fingerprint
from sim.world.checks import LEDGER, gather, records_of, rows_of
from sim.world.faults.kind import Kind
from sim.world.loop import MINUTE, SECOND
from sim.world.machine import SimMachine

if TYPE_CHECKING:
    from sim.world.gateway import GatewayBox
    from sim.world.school import School

COPIES_MAX: Final = 2


def _cloned(school: School, rng: Random) -> None:
    """A copy of a gateway's card runs in a second box: one identity, two devices."""
    original = rng.choice(school.gateways)
    copies = len(school.gateways) - len(school.originals)
    if copies >= COPIES_MAX or not original.up or original.config.gateway_id in school.renewed:
        return
    name = f"{original.name}-copy{len(school.gateways)}"
    machine = SimMachine(school.loop, school.draw(f"clock of {name}"))
    box = school.make_gateway(name, original.config.gateway_id, machine)
    box.storage.replace(original.storage.folder)
    box.on_crash = original.on_crash
    if rng.random() < 0.5:
        machine.synchronise()
    school.truth.count("card cloned")
    school.copied.add(original.config.gateway_id)
    school.gateways.append(box)
    box.start()


def _restored(school: School, rng: Random) -> None:
    """A gateway gets back a copy of its card made some minutes ago; the newer one is gone."""
    box = rng.choice(school.gateways)
    if not box.up:
        return
    kept = box.storage.keep("kept")

    def restore() -> None:
        _lose(school, box)
        if rows_of(box.storage.folder) != rows_of(kept):
            # What was written since the copy is there twice over: at the hub, and no longer here.
            school.copied.add(box.config.gateway_id)
        box.storage.replace(kept)
        box.machine.reboot(battery=False)
        school.truth.count("card restored")
        school.restart_later(box.start, rng)

    school.loop.after(rng.randrange(MINUTE, 30 * MINUTE), restore)


def _lose(school: School, box: GatewayBox) -> None:
    """The disk is taken out: what only it held can't be promised, and is known to us alone."""
    box.kill()
    held = gather(school)
    others = [records_of(other.storage.folder) for other in school.gateways if other is not box]
    school.truth.lost |= records_of(box.storage.folder).difference(held.hub, held.city, *others)
    for name, of in school.truth.signals.items():
        if of.box == box.name and name not in held.hub:
            school.truth.lost_with_a_card.add(name)
            school.truth.count("tap lost with its card")


def _replaced(school: School, rng: Random) -> None:
    """A gateway gets a new, empty card; a person accepts its new key.

    Not where a copy of the old one runs: with another key accepted, what a copy records is a stranger's.
    """
    box = rng.choice(school.gateways)
    if not box.up or sum(one.config.gateway_id == box.config.gateway_id for one in school.gateways) > 1:
        return
    _lose(school, box)
    box.storage.replace(None)
    box.machine.reboot(battery=False)
    school.truth.count("card replaced")
    school.renewed.add(box.config.gateway_id)

    def accept() -> None:
        if box.assembly is None or not school.hub.up:
            school.loop.after(10 * SECOND, accept)
            return
        school.accept(box.config.gateway_id, fingerprint(box.assembly.keys.identity.key))

    school.restart_later(box.start, rng)
    school.loop.after(rng.randrange(MINUTE, 20 * MINUTE), accept)


def _lose_hub(school: School) -> None:
    """The hub's disk is taken out. Of what the city refused or hadn't got nobody else holds the hub's own records, nor
    those of a gateway whose card was lost before.
    """
    school.hub.kill()
    if (school.hub.storage.folder / LEDGER).exists():
        held = gather(school)
        school.truth.lost |= held.hub.keys() - held.city.keys() - held.journals.keys()


def _hub_restored(school: School, rng: Random) -> None:
    """The hub gets back its ledger as it was some minutes ago."""
    if not school.hub.up:
        return
    kept = school.hub.storage.keep("kept")

    def restore() -> None:
        school.truth.count("hub restored from a backup")
        school.hub_anew = True
        _lose_hub(school)
        school.hub.storage.replace(kept)
        school.restart_later(school.hub.start, rng)
        school.look_after_gateways()

    school.loop.after(rng.randrange(MINUTE, 30 * MINUTE), restore)


def _hub_replaced(school: School, rng: Random) -> None:
    """Another machine becomes the hub: empty, but for the keys from the safe and the roster."""
    if school.keys is None:
        return
    school.truth.count("hub replaced")
    school.hub_anew = True
    _lose_hub(school)
    school.hub.storage.replace(None)
    school.hub.machine.reboot(battery=True)
    school.hub.machine.synchronise()
    school.new_hub()


KINDS: Final = (
    Kind("card-cloned", "a copy of a gateway's card runs in a second box", _cloned, effects=("card cloned",)),
    Kind("card-restored", "a gateway gets an older copy of its card", _restored, effects=("card restored",)),
    Kind("card-replaced", "a gateway gets a new card", _replaced, effects=("card replaced",)),
    Kind("hub-restored", "the hub is restored from an older backup", _hub_restored, effects=("hub restored",)),
    Kind("hub-replaced", "the hub is replaced by an empty one with its keys", _hub_replaced, effects=("hub replaced",)),
)
