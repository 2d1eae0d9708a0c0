"""A device's state message held to its bounds: what it lists is answered, shown and kept in memory. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol.envelope import is_digest, is_journal_id
from protocol.errors import BadMessage
from protocol.signing import is_public_key
from protocol.status import DeviceState, HeldJournal, decode_body
from protocol.taps import SEQUENCE_MAX

STATE_BYTES_MAX: Final = 256 * 1024
JOURNALS_MAX: Final = 1_024
"""Journals listed; a gateway that starts ten times a day without a hub takes months to get there."""
ENTRIES_MAX: Final = 64
"""Readers, rosters and alarms listed: as many as a gateway may have stations."""
TEXT_CHARACTERS_MAX: Final = 200
NUMBER_MAX: Final = 1 << 53
"""Greatest whole number that every JSON reader takes exactly."""


def checked_state(body: bytes) -> DeviceState:
    """Read a state's body; raises BadMessage. Whether it was signed by its `key` is the caller's to verify."""
    if len(body) > STATE_BYTES_MAX:
        raise BadMessage(f"a state of {len(body)} bytes, at most {STATE_BYTES_MAX} are allowed")
    state = decode_body(body, DeviceState)
    if not is_public_key(state.key) or not is_public_key(state.box):
        raise BadMessage("the state names no public keys")
    if len(state.journals) > JOURNALS_MAX:
        raise BadMessage(f"the state lists {len(state.journals)} journals, at most {JOURNALS_MAX} are allowed")
    for journal, held in state.journals.items():
        if not is_journal_id(journal) or not _sound(held):
            raise BadMessage(f"the state says of journal {journal[:40]!r} what can't be")
    if max(map(len, (state.rosters, state.alarms, state.readers, state.counters, state.partials))) > ENTRIES_MAX:
        raise BadMessage(f"the state lists more than {ENTRIES_MAX} readers, rosters, alarms or parts")
    texts = [
        state.state,
        state.boot,
        state.wall,
        state.sync,
        state.version,
        state.journal,
        *state.alarms,
        *state.partials,
        *state.counters,
    ]
    texts += [text for pair in (*state.rosters.items(), *state.readers.items()) for text in pair]
    if max(map(len, texts)) > TEXT_CHARACTERS_MAX:
        raise BadMessage(f"a text of the state is longer than {TEXT_CHARACTERS_MAX} characters")
    numbers = [state.connection, state.mono, state.owed, state.oldest_age_s, state.err, state.disk_free_bytes]
    numbers += [number for counted in state.counters.values() for number in msgspec.structs.astuple(counted)]
    if any(number is not None and not 0 <= number <= NUMBER_MAX for number in numbers):
        raise BadMessage("a number of the state is below 0 or too large")
    return state


def _sound(held: HeldJournal) -> bool:
    return (
        0 <= held.pruned_through < held.first_held <= SEQUENCE_MAX + 1
        and held.pruned_through <= held.last <= SEQUENCE_MAX
        and (held.head is None or is_digest(held.head))
    )
