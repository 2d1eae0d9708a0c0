"""A gateway on its own: a real process with replayed cards, its signals followed, its storage shimmed where asked."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.bookcopy import opened
from edge.journalfile import FILE_NAME
from protocol.envelope import decode_event
from protocol.errors import BadMessage
from sim.parts import Part, until
from sim.preload.control import Control, build

SCHOOL: Final = "79000701"
TICK_MS: Final = 40
WAIT_S: Final = 30.0


def card(number: int) -> str:
    """A card's canonical number."""
    return f"a:04{number:012X}"


class Gate:
    """`k12edge gateway` in `folder`, with a replayed reader a station; `data` is its data_dir."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "cong",
        data: Path | None = None,
        stations: int = 1,
        uplink: str | None = None,
        shim: bool = False,
    ) -> None:
        """Nothing is started. `uplink`: the broker; with `shim` its storage calls can be failed by `control`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data = folder, data or folder / "data"
        self.signals = folder / "signals.jsonl"
        self.replays = [folder / f"replay-{number}.txt" for number in range(stations)]
        text = f'[gateway]\nid = "{name}"\nschool = "{SCHOOL}"\ndata_dir = "{self.data}"\n'
        text += f'[signals]\nsinks = ["jsonl:{self.signals}"]\n'
        if uplink is not None:
            text += f'[uplink]\nurl = "{uplink}"\n'
        for number, replay in enumerate(self.replays):
            text += f'[[station]]\nname = "cong-{number}"\nkind = "gate"\nreader = "replay:{replay}"\n'
            replay.write_text("", encoding="ascii")
        config = folder / "gateway.toml"
        config.write_text(text, encoding="utf-8")
        self.part = Part("gateway", ["gateway", "--config", str(config)], folder)
        self.control: Control | None = None
        if shim:
            self.control = Control(folder / "shim", build(folder))
            self.part.environment = self.control.environment()

    def play(self, cards: Sequence[str], *, station: int = 0, tick_ms: int = TICK_MS) -> None:
        """Have a reader show these cards, one each `tick_ms`; counts from the next start."""
        self.replays[station].write_text("".join(f"{tick_ms} {name} 30\n" for name in cards), encoding="ascii")

    def start(self) -> float:
        """Start it, without waiting; when that was, by the monotonic clock."""
        began_s = time.monotonic()
        self.part.start(wait=False)
        return began_s

    def shown(self) -> list[dict[str, Any]]:
        """Every signal so far."""
        if not self.signals.exists():
            return []
        return [msgspec.json.decode(line) for line in self.signals.read_bytes().split(b"\n")[:-1] if line]

    def words(self) -> list[str]:
        """Their words alone."""
        return [shown["signal"] for shown in self.shown()]

    def promised(self) -> set[str]:
        """The records that signals stand for."""
        return {shown["tap"] for shown in self.shown() if shown["tap"] is not None}

    def await_more(self, *words: str, count: int = 1, after: int = 0, within_s: float = WAIT_S) -> None:
        """Wait until `count` signals of these words came behind the first `after` ones. Raises PartFailed."""
        until(
            lambda: sum(word in words for word in self.words()[after:]) >= count,
            f"{count} times {' or '.join(words)} after {after} signals",
            also=self.part.check,
            within_s=within_s,
            moving=lambda: len(self.words()),
        )

    def await_true(self, true: Callable[[], bool], what: str) -> None:
        """Wait for a condition while the gateway runs. Raises PartFailed."""
        until(true, what, also=self.part.check, within_s=WAIT_S)

    def kill(self) -> None:
        """Kill -9."""
        self.part.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self.part.stop()

    def end(self) -> None:
        """Leave nothing running."""
        process = self.part.process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def log(self) -> str:
        """What it wrote to its log."""
        file = self.folder / "gateway.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def records(self) -> dict[str, bytes]:
        """Event id -> bytes, of the journal's file as it lies there; the process doesn't run."""
        return records_of(self.data / FILE_NAME)


def records_of(file: Path) -> dict[str, bytes]:
    """Event id -> bytes, of a journal file and its log, read in a private copy; what can't be read is left out.

    Raises sqlite3.Error where the file is no database any more.
    """
    found: dict[str, bytes] = {}
    with opened(file) as database:
        for (raw,) in database.execute("SELECT raw FROM event ORDER BY position"):
            try:
                event = decode_event(raw)
            except BadMessage:
                continue
            assert event.id not in found, f"{event.id} stands twice in {file}"
            found[event.id] = bytes(raw)
    return found
