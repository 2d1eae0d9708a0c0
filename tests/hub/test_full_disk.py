"""A hub on a disk that is full: it says so, loses nothing, and goes on by itself once there is space."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.handmade import Gateway, Run
from tests.hub.running import HubProcess, Wire, mosquitto, until
from tests.patience import within


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub whose data directory is on a disk of 24 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "k12edge-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root mounts a small disk")
    running = HubProcess(tmp_path)
    config = running.config.read_text(encoding="utf-8")
    running.config.write_text(config.replace(str(running.data_dir), str(disk / "hub")), encoding="utf-8")
    running.data_dir = disk / "hub"
    yield running
    running.end()
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(hub: HubProcess) -> Path:
    """Leave no byte; whoever removes the file frees the disk."""
    ballast = hub.data_dir.parent / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError:
        os.close(descriptor)
    return ballast


def offer_until(wire: Wire, run: Run, code: str, hub: HubProcess) -> None:
    """Offer again and again, as a gateway does that gets no receipt, until the hub tells of its disk."""

    def told() -> bool:
        wire.try_to_send("ev", wire.gateway.batch(run))
        return code in hub.status()["troubles"].values()

    until(told, f"{code} is told")


def test_the_embedded_broker_is_started_anew_once_there_is_space(hub: HubProcess) -> None:
    hub.start()
    gateway = Gateway()
    assert hub.ask("devices", "accept", gateway.device).returncode == 0
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    run = gateway.run(5)
    wire.deliver(run)
    ballast = fill(hub)
    run.taps(200)
    offer_until(wire, run, "broker-full", hub)
    ballast.unlink()
    until(lambda: not hub.status()["troubles"], "all is well again")
    wire.state()
    wire.deliver(run)
    assert [raw for _, raw in hub.events()] == run.lines
    wire.close()


@pytest.mark.parametrize("known", [False, True])
def test_a_start_on_a_full_disk_waits_for_space_and_ends_in_time(hub: HubProcess, known: bool) -> None:
    if known:
        hub.start()
        hub.stop()
    ballast = fill(hub)
    hub.launch()
    until(lambda: "ledger-full" in hub.log.read_text(encoding="utf-8"), "it says what it waits for")
    code, took_s = hub.stop()
    assert code == 0 and took_s < within(3)
    hub.launch()
    until(lambda: hub.log.read_text(encoding="utf-8").count("ledger-full") >= 2, "it waits again")
    ballast.unlink()
    hub.await_start()
    gateway = Gateway()
    assert hub.ask("devices", "accept", gateway.device).returncode == 0
    wire = Wire(gateway, hub.broker_url)
    wire.state()
    wire.deliver(gateway.run(3))
    wire.close()


def test_a_full_disk_is_told_until_something_was_written(hub: HubProcess, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (url, _):
        config = hub.config.read_text(encoding="utf-8")
        hub.config.write_text(
            config.replace('listen = "127.0.0.1:0"\n[city]', f'embedded = false\nurl = "{url}"\n[city]')
        )
        hub.start()
        gateway = Gateway()
        assert hub.ask("devices", "accept", gateway.device).returncode == 0
        wire = Wire(gateway, url)
        wire.state()
        run = gateway.run(5)
        wire.deliver(run)
        ballast = fill(hub)
        run.taps(400)
        wire.offer(run)
        until(lambda: hub.status()["troubles"] == {"ledger": "ledger-full"}, "the full disk is told")
        for _ in range(3):
            # Heard and answered without a write: between two offers the disk is as full as before.
            while not wire.receipts.empty():
                wire.receipts.get()
            wire.state()
            wire.receipts.get(timeout=20)
            assert hub.status()["troubles"] == {"ledger": "ledger-full"}
        ballast.unlink()
        wire.deliver(run)
        until(lambda: not hub.status()["troubles"], "all is well again")
        assert [raw for _, raw in hub.events()] == run.lines
        wire.close()
