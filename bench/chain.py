"""A small real chain for the bench: a hub, perhaps a city, gateways; each a process of the product as shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figure import Broken
from bench.taps import SCHOOL
from sim.parts import PartFailed, free_ports, until
from sim.road import Road


class School(Road):
    """A road's hub and, with `city`, the reference city; the gateways are the measurements' own."""

    def __init__(self, folder: Path, *, broker_url: str | None = None, city: bool = False) -> None:
        """Write the configuration; nothing runs yet."""
        super().__init__(folder, broker_url=broker_url, with_city=city)

    def start(self) -> None:
        """Start city and hub; returns when both answer."""
        if self.with_city:
            self.city.start()
        self.hub.start()
        until(lambda: not (self.status() or {"troubles": 1})["troubles"], "the hub is not well")

    def ledger(self) -> Path:
        """The hub's file."""
        return self.folder / "hub" / "ledger.db"

    def city_settled(self) -> bool:
        """Whether the city answered for everything that the hub holds."""
        state = self.status()
        return state is not None and state["city"]["backlog"] == 0


class GatewayProcess:
    """One gateway process on a configuration of its own."""

    def __init__(self, folder: Path, device: str, *, readers: Sequence[str], sink: Path, url: str | None) -> None:
        """Write the configuration; nothing runs yet. The data directory is `folder / device`."""
        self.folder, self.device = folder, device
        self.data_dir = folder / device
        self.config = folder / f"{device}.toml"
        stations = "".join(
            f'[[station]]\nname = "cong-{number}"\nkind = "gate"\nreader = "{reader}"\n\n'
            for number, reader in enumerate(readers)
        )
        uplink = "" if url is None else f'[uplink]\nurl = "{url}"\n\n'
        self.config.write_text(
            f'[gateway]\nid = "{device}"\nschool = "{SCHOOL}"\ndata_dir = "{self.data_dir}"\n\n'
            f'[signals]\nsinks = ["jsonl:{sink}"]\n\n{uplink}{stations}'
            '[time]\nsource = "declared"\ndeclared_error_ms = 1000\n',
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *before: str) -> None:
        """Start it as `k12edge gateway`, or with other words before the configuration's path."""
        words = before or ("-m", "k12edge", "gateway", "--config")
        with (self.folder / f"{self.device}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words, str(self.config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def check(self) -> None:
        """Fail where it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            tail = (self.folder / f"{self.device}.log").read_text(encoding="utf-8", errors="replace")[-600:]
            raise Broken(f"gateway {self.device} ended with {self._process.returncode}: {tail}")

    def send(self, number: int) -> None:
        """A Unix signal."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """SIGTERM; by force where it doesn't end in time."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(6)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise Broken(f"gateway {self.device} didn't end within 6 s of SIGTERM") from None


__all__ = ["GatewayProcess", "PartFailed", "School", "free_ports", "until"]
