"""A hub's store at work, to be recorded: takes messages from a file, and writes each receipt after its commit."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from random import Random

from hub.forwarding.owing import BATCH_MAX, Forwarding, PerEvent, Result
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom


def main(data_dir: Path, messages: Path, receipts: Path) -> None:
    """Take `messages` (JSON: leaf, hex of the payload); each line of `receipts` is one write(2) after a commit."""
    room = HubRoom(data_dir)
    gateway = Gateway()
    sender = Forwarding(Random(1))
    room.accept(gateway)
    output = os.open(receipts, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, (leaf, payload) in enumerate(json.loads(messages.read_text(encoding="ascii"))):
        follow = (room.state if leaf == "state" else room.batch)(gateway, bytes.fromhex(payload))
        if number % 4 == 3:
            with room.store.database.transaction():
                now_ms = room.store.clock.now_ms()
                window = room.store.forward.window(now_ms, BATCH_MAX)
                answers = {(owed.source, owed.event_id): Result("stored") for owed in window.owed}
                changes = sender.apply(0, window.owed, PerEvent(answers)).changes
                room.store.forward.write(window, window.owed, changes, now_ms)
        told = {
            journal: [marks.hub.through, marks.hub.missing, marks.city.through if marks.city else 0]
            for journal, marks in room.marks(gateway, follow).items()
        }
        if told:
            os.write(output, json.dumps(told).encode("ascii") + b"\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
