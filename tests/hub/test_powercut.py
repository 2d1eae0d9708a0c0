"""Power cuts of the hub: whatever a cut leaves of its file, what a receipt named is held, once, with its bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import pytest

from protocol.ranges import RangeSet
from sim.powercut.disk import CUTS, Disk, lay_out, mark_of
from sim.powercut.recording import Step, Write, read_recording, recording_words
from tests.hub.handmade import Gateway, Run
from tests.hub.room import HubRoom

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step], Run]:
    """A folder, the steps of a hub that worked in it, and the journal that it took."""
    folder = tmp_path_factory.mktemp("recorded")
    gateway = Gateway()
    run = gateway.run(120)
    rng, messages, at = Random(3), [("state", gateway.state())], 1
    while at < len(run.lines):
        last = min(len(run.lines), at + rng.choice((0, 0, 1, 4, 19)))
        messages.append(("ev", gateway.batch(run, at, last)))
        if rng.random() < 0.3:
            messages.append(("ev", gateway.batch(run, max(1, at - 5), last)))
        at = last + 1 + (3 if rng.random() < 0.1 else 0)
    messages.append(("ev", gateway.batch(run)))
    (folder / "messages.json").write_text(json.dumps([(leaf, raw.hex()) for leaf, raw in messages]), encoding="ascii")
    words = [str(folder / name) for name in ("data", "messages.json", "receipts.jsonl")]
    (folder / "data").mkdir()
    command = [*recording_words(folder / "trace"), sys.executable, "-m", "tests.hub.recorded", *words]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60, stderr=subprocess.DEVNULL)
    with (folder / "trace").open(encoding="ascii", errors="replace") as lines:
        steps = list(read_recording(lines, folder / "data", folder / "receipts.jsonl"))
    return folder, steps, run


def test_no_cut_takes_what_a_receipt_named(recorded: tuple[Path, list[Step], Run]) -> None:
    folder, steps, run = recorded
    receipts = str(folder / "receipts.jsonl")
    disk, rng, seen = Disk(), Random(5), set()
    held, city, states, told = RangeSet(), 0, 0, 0
    for step in steps:
        disk.step(step)
        if isinstance(step, Write) and step.path == receipts:
            # From the moment of its write a gateway may let go of what it names.
            told += 1
            through, missing, city_through = json.loads(step.data)[run.journal]
            city = max(city, city_through)
            for first, last in RangeSet(map(tuple, missing)).gaps(1, through) if through else ():
                held.add(first, last)
        elif rng.random() > 0.25:
            continue
        for way in CUTS:
            state = {path: content for path, content in disk.after(way, rng).items() if path != receipts}
            mark = mark_of(state) + told.to_bytes(4, "big")
            if mark in seen:
                continue
            seen.add(mark)
            states += 1
            check(folder / "data", state, run, held, city)
    assert held == RangeSet([(1, 121)]) and told > 20 and states > 150, (held, told, states)


def check(data: Path, state: dict[str, bytes], run: Run, held: RangeSet, city: int) -> None:
    """Open a state as a starting hub does, and hold it against what was receipted."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="k12edge-cut-", dir=base))
    try:
        lay_out(state, data, folder)
        room = HubRoom(folder)
        found = dict(room.events())
        assert len(found) == len(room.events())
        assert all(raw == run.lines[int(name.partition(".")[2]) - 1] for name, raw in found.items())
        names = {int(name.partition(".")[2]) for name in found}
        assert all(number in names for first, last in held for number in range(first, last + 1)), "receipted, not held"
        book = room.store.ledger.books.find(run.journal)
        assert (book is None and not names) or (book is not None and len(book.held) == len(names))
        # What the city answered for isn't forgotten, and what it didn't answer for is still owed to it.
        if book is not None:
            assert city <= book.city_held.last
            owed = {one.event_id for one in room.store.forward.window(1 << 50, 500).owed}
            assert all(f"{run.journal}.{number}" in owed for number in names if number not in book.city_held)
        (sound,) = room.store.database.connection.execute("PRAGMA integrity_check").fetchone()
        assert sound == "ok"
        room.close()
    finally:
        shutil.rmtree(folder)
