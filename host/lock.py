"""The data directory made, and its instance lock: one process a directory."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from host.durable import out_of_the_way, sync_folder
from protocol.errors import AlreadyRunning, ConfigError

LOOKS_S: Final = (0.02, 0.05, 0.1)
WAITED_FOR: Final = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""No fault of the configuration: the disk is waited for."""


class InstanceLock:
    """Holds `data_dir/lock` while it is open; the kernel gives it back however the process ends."""

    def __init__(self, data_dir: Path) -> None:
        """Make the directory if need be, readable by its owner only, and take the lock.

        Raises AlreadyRunning naming the process that has it, ConfigError, and OSError for a disk that is full or fails.
        """
        self.path = data_dir / "lock"
        try:
            _make(data_dir)
            out_of_the_way(self.path)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            if problem.errno in WAITED_FOR:
                raise
            raise ConfigError(f"data_dir = {data_dir} can't be written: {problem.strerror}") from problem
        try:
            self._take()
        except OSError as problem:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise AlreadyRunning(f"{data_dir} is held by process {holder}") from problem
        with suppress(OSError):
            # Who holds it is said for people; on a full disk it holds all the same.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def _take(self) -> None:
        """Whoever asks whether the directory is held (`is_held`) holds the lock for an instant itself."""
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


def _make(data_dir: Path) -> None:
    new = not data_dir.exists()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if new:
        sync_folder(data_dir.parent)
    if not os.access(data_dir, os.W_OK | os.X_OK) and not os.statvfs(data_dir).f_flag & os.ST_RDONLY:
        raise PermissionError(errno.EACCES, "Permission denied")


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
