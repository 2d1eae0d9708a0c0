"""The control file of one shimmed process (shim.c): what its clocks say, and which of its storage calls fail."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

from protocol.errors import NeedsHands

SOURCE: Final = Path(__file__).parent / "shim.c"
INPUT: Final = Path(__file__).parent / "input.c"
"""A library of its own: input devices, see sim/emulators/keyboard.py."""
BANK_AT, CLOCKS_AT, RULES_AT, PIECE = 0, 64, 64 + 2 * 256, 256
RULES_MAX: Final = 8
SYNC, WRITE, OPEN_WRITE, TRUNCATE, NAME, OPEN, READ_WALL, ADJTIMEX, ATTRIBUTE = (1 << bit for bit in range(9))
"""Calls that a rule may name: fsync and fdatasync; write; open to write or make; cut; unlink, rename, mkdir; open;
reading CLOCK_REALTIME or adjtimex, which can be delayed only; and removing an extended attribute."""
CHANGES: Final = SYNC | WRITE | OPEN_WRITE | TRUNCATE | NAME | ATTRIBUTE
"""All that a file system mounted read-only refuses."""
FOR_EVER: Final = 1 << 60


class ShimRefused(NeedsHands):
    """The preloaded library can't be built here."""

    code = "shim-refused"
    hint = "Install gcc and the C library's headers (sh tests/install-system-packages)."


def build(folder: Path, source: Path = SOURCE) -> Path:
    """Compile a library into `folder`, unless it is there; its path. Raises ShimRefused."""
    library = folder / f"{source.stem}.so"
    if library.exists():
        return library
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise ShimRefused("no C compiler is installed")
    draft = folder / f"{source.stem}-{os.getpid()}.so"
    words = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(draft), str(source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise ShimRefused(f"{source} can't be compiled: {done.stderr.strip()[:400]}")
    draft.rename(library)
    return library


class Control:
    """One process's control file, changed while it runs. A change counts from the process's next call on."""

    def __init__(self, path: Path, library: Path) -> None:
        """Everything as the kernel says, but for NTP: not synchronised."""
        self.path, self._library = path, library
        path.write_bytes(bytes(RULES_AT + RULES_MAX * PIECE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def environment(self) -> dict[str, str]:
        """For the process to be started."""
        return {**os.environ, "LD_PRELOAD": str(self._library), "K12EDGE_SHIM": str(self.path)}

    def clocks(self, wall_ns: int, boot_ns: int, maxerror_us: int | None, boot_id_file: str = "") -> None:
        """In one instant: what is added to the wall clock and to CLOCK_BOOTTIME; the bound of NTP, None without it."""
        (bank,) = struct.unpack_from("q", self._map, BANK_AT)
        other = 1 - (bank & 1)
        synchronised = maxerror_us is not None
        name = boot_id_file.encode()
        assert len(name) < 224
        struct.pack_into(
            "qqqq224s", self._map, CLOCKS_AT + other * PIECE, wall_ns, boot_ns, synchronised, maxerror_us or 0, name
        )
        struct.pack_into("q", self._map, BANK_AT, other)

    def rule(
        self,
        place: int,
        calls: int,
        path: str = "",
        *,
        skip: int = 0,
        times: int = FOR_EVER,
        error: int = 0,
        delay_s: float = 0.0,
    ) -> None:
        """Fail (`error`, an errno) or delay calls on paths that contain `path`: after `skip` of them, `times` of them.

        Counted from now. `place` is one of RULES_MAX; the same place again replaces the rule.
        """
        assert 0 <= place < RULES_MAX and len(path) < 200
        at = RULES_AT + place * PIECE
        struct.pack_into("q", self._map, at, 0)
        struct.pack_into("qqqqqq200s", self._map, at + 8, skip, times, error, int(delay_s * 1e6), 0, 0, path.encode())
        struct.pack_into("q", self._map, at, calls)

    def no_rule(self, place: int) -> None:
        """Take a rule back."""
        struct.pack_into("q", self._map, RULES_AT + place * PIECE, 0)

    def read_only(self, place: int, path: str) -> None:
        """From now on everything below `path` is as on a file system that was mounted read-only under the process."""
        self.rule(place, CHANGES, path, error=errno.EROFS)

    def hits(self, place: int) -> int:
        """How many calls a rule has struck."""
        (hit,) = struct.unpack_from("q", self._map, RULES_AT + place * PIECE + 48)
        return int(hit)

    def seen(self, place: int) -> int:
        """How many calls a rule has looked at."""
        (seen,) = struct.unpack_from("q", self._map, RULES_AT + place * PIECE + 40)
        return int(seen)

    def close(self) -> None:
        """Give the file back."""
        self._map.close()
