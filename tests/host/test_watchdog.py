"""The watchdog's end of a process whose log nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys

from host.watchdog import HUNG_EXIT

PROGRAM = """
import logging, threading
from host import watchdog
logging.basicConfig(level=logging.INFO)
watchdog.LOOK_S = 0.02
threading.Thread(target=lambda: logging.warning("x" * 1_000_000), daemon=True).start()
dog = watchdog.Watchdog()
dog.watch("stuck", lambda: 1, 1)
dog.run(threading.Event())
"""


def test_a_log_that_nobody_reads_does_not_keep_a_hung_process_alive() -> None:
    read, write = os.pipe()
    try:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=write, start_new_session=True)
        try:
            assert process.wait(30) == HUNG_EXIT
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(read)
        os.close(write)


def test_where_no_thread_can_be_made_a_hung_process_ends_all_the_same() -> None:
    failing = 'def full(self): raise RuntimeError("no thread")\nthreading.Thread.start = full\n'
    short = PROGRAM.replace("1_000_000", "1").replace("dog.run", f"{failing}dog.run")
    done = subprocess.run([sys.executable, "-c", short], capture_output=True, timeout=30)
    assert done.returncode == HUNG_EXIT
