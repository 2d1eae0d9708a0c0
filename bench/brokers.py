"""Brokers as their makers ship them: mosquitto with default settings, nats-server with MQTT and JetStream enabled."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from bench.chain import free_ports
from bench.figure import Broken
from hub.broker import server_path

START_S = 10.0
KINDS = ("mosquitto", "nats-server")


class Broker:
    """One broker process on a free port of the loopback interface."""

    def __init__(self, kind: str, folder: Path) -> None:
        """Start it; returns when it takes connections."""
        self.kind = kind
        (self.port,) = free_ports(1)
        with (folder / f"{kind}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._words(folder), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder
            )
        deadline = time.monotonic() + START_S
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"{kind} doesn't start: {(folder / f'{kind}.log').read_text(errors='replace')[-300:]}")
            time.sleep(0.02)

    def _words(self, folder: Path) -> list[str]:
        if self.kind == "mosquitto":
            program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
            if not Path(program).exists():
                raise Broken("mosquitto is not installed")
            # Without a configuration file every setting is the default; it then listens on loopback only.
            return [program, "-p", str(self.port)]
        config = folder / "nats-server.conf"
        # MQTT is off by default, and needs a name and JetStream; nothing else is set.
        config.write_text(
            f'server_name: bench\nlisten: "127.0.0.1:-1"\njetstream {{ store_dir: "{folder / "jetstream"}" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}" }}\n',
            encoding="utf-8",
        )
        return [server_path(), "-c", str(config)]

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
