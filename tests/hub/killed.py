"""A process that kills itself at its n-th call that changes a disk: forked again and again, each time one call later.

Run as `python -m tests.hub.killed backup|restore CONFIG PLACE STRIDE`: for n = 1, 1 + STRIDE and so on, until one comes
through, the directory of CONFIG and PLACE are as they were, and the work begins. It prints n and how that child ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host.lock import InstanceLock
from hub.backups.making import make_backup
from hub.backups.restoring import restore
from hub.config import load_hub_config
from hub.parts import Store
from tests.hub.backups.copies import PASSPHRASE, Unpaced, cheap_seal, hub_of

CALLS = ("fsync", "fdatasync", "rename", "unlink", "mkdir", "rmdir")

CALLS_MAX = 500


def dying_at(number: int) -> None:
    """Have this process die just before its n-th call, or just after: both are moments of a power cut's program."""
    left = [number]

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def once(*words: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **more)

        return once

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))


def work(action: str, config_file: Path, place: Path) -> None:
    config = load_hub_config(config_file)
    passphrase = PASSPHRASE if config.backup.passphrase_file else None
    if action == "backup":
        store = Store(config)
        with cheap_seal():
            make_backup(hub_of(store), place, passphrase, Unpaced())
        store.database.close()
    else:
        with InstanceLock(config.data_dir):
            restore(config, place, passphrase, over=True, now_ms=0, say=lambda _: None)


def main() -> None:
    action, config_file, place, stride = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    data_dir = load_hub_config(config_file).data_dir
    for number in range(1, CALLS_MAX, stride):
        into = place.parent / f"{action}-{number}"
        into.mkdir()
        child = os.fork()
        if child == 0:
            shutil.copytree(data_dir, into / "hub")
            shutil.copytree(place, into / "stick")
            text = config_file.read_text(encoding="utf-8").replace(str(data_dir), str(into / "hub"))
            (into / "hub.toml").write_text(text, encoding="utf-8")
            dying_at(number)
            work(action, into / "hub.toml", into / "stick")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(number, "killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
        if not os.WIFSIGNALED(status):
            return


if __name__ == "__main__":
    main()
