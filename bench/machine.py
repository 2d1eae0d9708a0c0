"""The machine that a table was measured on, named, since numbers without it mean nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from pathlib import Path


def describe_machine(folder: Path) -> dict[str, str]:
    """Processor, cores, kernel, the file system under `folder`, Python, SQLite, and how busy the machine is now."""
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file system": _file_system(folder),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _cpu() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        if line.startswith(("model name", "Model", "Hardware"))
    ]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    done = subprocess.run(
        ["findmnt", "--noheadings", "--output", "FSTYPE,OPTIONS", "--target", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(done.stdout.split()) or "unknown"
