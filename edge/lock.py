"""The instance lock: one gateway a data directory."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from protocol.errors import AlreadyRunning

LOOKS_S: Final = (0.02, 0.05, 0.1)


class InstanceLock:
    """Holds `data_dir/lock` while it is open; the kernel gives it back however the process ends."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; raises AlreadyRunning naming the process that has it."""
        self.path = data_dir / "lock"
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take()
        except OSError as problem:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise AlreadyRunning(f"{data_dir} is held by process {holder}") from problem
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def _take(self) -> None:
        """An audit that asks whether the directory is held (`is_held`) holds the lock for an instant itself."""
        for pause_s in LOOKS_S:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(pause_s)
            else:
                return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)

    def __enter__(self) -> InstanceLock:
        """Hold it for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self.release()


def is_held(data_dir: Path) -> bool:
    """Whether a process holds the directory now; asks without disturbing it, writes nothing."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
