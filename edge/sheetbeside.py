"""The sheet beside a journal: the counters' sheet that a data directory keeps, opened with the keys that lie there.

Nothing is written, made or renamed: what is looked at may be evidence, or a copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.devicekeys import identity_in
from protocol.countersheet import CounterSheet, SealedSheet, unpack_sheet
from protocol.errors import BadMessage
from protocol.signing import open_message, split_message
from protocol.status import decode_body
from protocol.topics import parse_device_topic

FILE_NAME: Final = "countersheet.sealed"
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Twice what a broker takes as one message; more is no sheet."""


def sheet_beside(path: Path) -> tuple[CounterSheet | None, str]:
    """The sheet that lies beside a journal file or in a data directory, and why it can't be opened; both may be empty.

    Where the gateway knows its hub's key, the hub must have signed it.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / FILE_NAME
    if not file.is_file():
        return None, ""
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise BadMessage(f"{file} is larger than {FILE_BYTES_MAX} bytes")
        found = identity_in(folder)
        if found is None:
            return None, f"{folder}: no keys"
        identity, hub_key = found
        payload = file.read_bytes()
        topic = payload.partition(b"\n")[2].partition(b"\n")[0].decode("ascii", "replace")
        place = parse_device_topic(topic)
        if place is None or place.leaf != "sheet":
            raise BadMessage(f"{file} is no counters' sheet")
        body = open_message(hub_key, topic, payload) if hub_key is not None else split_message(topic, payload)[2]
        return unpack_sheet(identity.open(decode_body(body, SealedSheet).sealed)), ""
    except (BadMessage, OSError) as problem:
        return None, f"{folder}: {problem}"
