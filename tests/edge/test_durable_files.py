"""Files beside the journal under power cuts: what was done is still done, and nothing is there by half.

A real process does it under strace; every state that a cut could leave on its disk is looked at.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from sim.powercut.disk import CUTS, Disk
from sim.powercut.recording import Write, read_recording, recording_words

BEGIN = """
import os, sys
from pathlib import Path
from edge.journalfile import copy_out, open_for_writing, set_aside
from host.durable import write_durably
data = Path(sys.argv[1])
def done(step):
    with open(sys.argv[2], "a") as acks:
        acks.write(step + "\\n")
"""
WRITE = """
write_durably(data / "keys.json", b"one" * 300)
done("one")
write_durably(data / "keys.json", b"two" * 500)
done("two")
"""
ASIDE = """
(data / "journal.db-wal").write_bytes(b"log" * 50)
(data / "journal.db").write_bytes(b"database" * 50)
for name in ("journal.db", "journal.db-wal"):
    descriptor = os.open(data / name, os.O_RDONLY)
    os.fsync(descriptor)
os.fsync(os.open(data, os.O_RDONLY))
done("written")
set_aside(data / "journal.db", "0")
done("aside")
"""
COPY = """
database = open_for_writing(data / "journal.db")
database.execute("INSERT INTO event (position, raw) VALUES (1099511627777, zeroblob(3000))")
copy_out(database, data / "journal-damaged-0.db")
done("copied")
"""
OPEN = """
database = open_for_writing(data / "journal.db")
done("opened")
database.execute("INSERT INTO event (position, raw) VALUES (1099511627777, zeroblob(3000))")
done("tapped")
os._exit(0)  # A clean end would move the log into the database.
"""

State = dict[str, bytes]


def states(tmp_path: Path, script: str) -> Iterator[tuple[str, State]]:
    """After each step of the recording: what was said to be done by then, and one of the states that a cut leaves."""
    data, acks, trace = tmp_path / "data", tmp_path / "acks", tmp_path / "trace"
    data.mkdir()
    subprocess.run(
        [*recording_words(trace), sys.executable, "-c", BEGIN + script, str(data), str(acks)], check=True, timeout=120
    )
    disk, rng, said = Disk(), Random(1), ""
    with trace.open(encoding="ascii", errors="replace") as lines:
        for step in read_recording(lines, data, acks):
            disk.step(step)
            if isinstance(step, Write) and step.path == str(acks):
                said = step.data.decode().split()[-1]
            for cut in (*CUTS, *CUTS[2:] * 4):
                found = disk.after(cut, rng)
                yield said, {Path(path).name: content for path, content in found.items() if path.startswith(str(data))}


def test_a_small_file_is_the_old_one_or_the_new_one_and_stays_once_it_is_written(tmp_path: Path) -> None:
    allowed = {"": (None, b"one" * 300), "one": (b"one" * 300, b"two" * 500), "two": (b"two" * 500,)}
    seen = set()
    for said, state in states(tmp_path, WRITE):
        assert state.get("keys.json") in allowed[said], said
        seen.add(said)
    assert seen == set(allowed)


def test_a_damaged_journal_is_set_aside_whole_and_its_log_never_stands_alone(tmp_path: Path) -> None:
    whole = {"journal.db": b"database" * 50, "journal.db-wal": b"log" * 50}
    for said, state in states(tmp_path, ASIDE):
        if not said:
            continue
        # Some name, or both, has each of the two, whatever was renamed by then.
        assert set(state.values()) == set(whole.values()), said
        assert "journal.db" in state or "journal.db-wal" not in state, "the next file would take the log for its own"
        if said == "aside":
            assert set(state) == {"journal-damaged-0.db", "journal-damaged-0.db-wal"}


def test_a_copy_that_was_made_is_on_the_disk(tmp_path: Path) -> None:
    last = [state for said, state in states(tmp_path, COPY) if said == "copied"]
    assert last and all(state.get("journal-damaged-0.db") == last[1]["journal-damaged-0.db"] for state in last)


def test_a_journal_that_was_opened_has_its_name(tmp_path: Path) -> None:
    last = [state for said, state in states(tmp_path, OPEN) if said == "tapped"]
    assert last and all({"journal.db", "journal.db-wal"} <= set(state) for state in last)
