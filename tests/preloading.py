"""Tests over input devices that this machine can't make: each runs in a pytest of its own, under sim/preload/input.c.

evdev's own C code asks the kernel about a device by ioctl, and only a library that is there when a process starts can
answer instead. So a test with such a device is handed to a child whole: the driver, evdev and the test are the same.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from sim.preload.control import INPUT, build

MARK = "K12EDGE_PRELOADED_INPUT"
PRELOADED = MARK in os.environ
WITHIN_S = 120


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="k12edge-input-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build(folder, INPUT)


def in_a_child(item: pytest.Item) -> None:
    """Run this one test in a child; fails as it fails there, and when it didn't run there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Without the tools that no test here asks for: to load them takes as long as all the rest.
    environment |= {"LD_PRELOAD": str(_library()), MARK: "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with tempfile.TemporaryDirectory(prefix="k12edge-") as folder:
        words = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_timeout", f"--basetemp={folder}/t", item.nodeid]
        done = subprocess.run(
            words,
            cwd=item.config.rootpath,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    if done.returncode or "1 passed" not in done.stdout:
        pytest.fail(f"under the preloaded input device:\n{done.stdout}\n{done.stderr}", pytrace=False)
