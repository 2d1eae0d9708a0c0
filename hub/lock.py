"""The instance lock: one hub a data directory."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from protocol.errors import AlreadyRunning, ConfigError


class InstanceLock:
    """Holds `data_dir/lock` while it is open; the kernel gives it back however the process ends."""

    def __init__(self, data_dir: Path) -> None:
        """Make the directory if need be and take the lock.

        Raises AlreadyRunning, ConfigError, and OSError for a disk that is full or fails.
        """
        self.path = data_dir / "lock"
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.path.is_dir():
                # No lock of ours; whoever put it there finds it again.
                os.rename(self.path, data_dir / f"no-file-{secrets.token_hex(4)}-lock")
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            if problem.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
                # No fault of the configuration: the disk is waited for.
                raise
            raise ConfigError(f"data_dir {data_dir} can't be written: {problem.strerror}") from problem
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise AlreadyRunning(f"{data_dir} is held by process {holder}") from problem
        with suppress(OSError):
            # Who holds it is said for people; on a full disk it holds all the same.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

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
