"""The data directory made, and its instance lock: one gateway a directory."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from edge.journalfile import out_of_the_way, sync_folder
from protocol.errors import AlreadyRunning, ConfigError

LOOKS_S: Final = (0.02, 0.05, 0.1)


def make_data_dir(data_dir: Path) -> None:
    """Make the directory, readable by its owner only, and its name durable.

    Raises ConfigError, and OSError for a disk that is full or fails.
    """
    try:
        new = not data_dir.exists()
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if new:
            sync_folder(data_dir.parent)
        if not os.access(data_dir, os.W_OK | os.X_OK) and not os.statvfs(data_dir).f_flag & os.ST_RDONLY:
            raise PermissionError(13, "Permission denied")
    except OSError as problem:
        if problem.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            # No fault of the configuration: the disk is waited for.
            raise
        raise ConfigError(f"[gateway]: data_dir = {data_dir} can't be written: {problem.strerror}") from problem


class InstanceLock:
    """Holds `data_dir/lock` while it is open; the kernel gives it back however the process ends."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; raises AlreadyRunning naming the process that has it, OSError."""
        self.path = data_dir / "lock"
        out_of_the_way(self.path)
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
