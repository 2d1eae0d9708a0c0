"""A process from the nursery is one as any other: its words, folder, environment, end, and nothing of the nursery's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from k12edge.words import EXIT_USAGE
from sim.parts import PROGRAM
from tests import nursery
from tests.edge.running import GatewayProcess, card
from tests.patience import within


def test_a_command_says_and_returns_what_it_does_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--version"], ["hub", "nothing"], ["verify", "here.db"]):
        itself = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)
        forked = nursery.run(words, None, 20)
        assert (forked.returncode, forked.stdout, forked.stderr) == (itself.returncode, itself.stdout, itself.stderr)
    assert forked.returncode != 0 and "here.db" in forked.stdout + forked.stderr


def test_it_has_our_environment_of_now_and_no_file_of_the_nursery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(f"{tmp_path}/notify")
    told.settimeout(within(20))
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    gateways = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        gateway = GatewayProcess(tmp_path / name)
        gateway.play((10, card(1)))
        gateways.append(gateway.start())
    for gateway in gateways:
        gateway.await_signal("accepted")
    with told:
        assert b"READY=1" in told.recv(4096)
    first, second = gateways
    assert first.pid != second.pid
    files = {os.readlink(link) for link in Path(f"/proc/{second.pid}/fd").iterdir()}
    assert not any(str(first.folder) in name or "pidfd" in name for name in files), files
    first.end(signal.SIGKILL)
    assert first.tracer is not None and first.tracer.poll() == -signal.SIGKILL
    assert second.tracer is not None and second.tracer.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        second.tracer.wait(0.05)
    assert second.end() == 0


def test_bad_usage_is_told_as_ever() -> None:
    assert nursery.run(["no-such-word"], None, 20).returncode == EXIT_USAGE
