"""The demonstration's chain: configurations written, processes started, gateways accepted, the roster published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from sim.emulators.bench import Bench
from sim.emulators.pn532 import Pn532Emulator
from sim.parts import Part, PartFailed, free_ports, get_json, until

SCHOOL: Final = "79000701"
GATES: Final = ("cong-a", "cong-b", "cong-c", "cong-d", "cong-e")
COUNTERS: Final = ("quay-1", "quay-2", "quay-3", "quay-4")
GATEWAYS: Final = {"cong": ("gate", GATES), "bep": ("canteen", COUNTERS)}
DRAIN_S: Final = 60.0


class Chain:
    """City, hub with its embedded broker, two gateways with nine emulated readers, all in one folder."""

    def __init__(self, folder: Path, broker_url: str | None = None) -> None:
        """Write the configurations and plug the readers in. `broker_url`: an external broker instead of the hub's."""
        self.folder = folder
        self.bench = Bench()
        ports = free_ports(3)
        self.city_url = f"http://127.0.0.1:{ports[0]}"
        self.hub_url = f"http://127.0.0.1:{ports[1]}"
        self.broker_url = broker_url or f"mqtt://127.0.0.1:{ports[2]}"
        self.readers: dict[str, Pn532Emulator] = {}
        self.hub_config = self._write_hub(ports, broker_url)
        self.city = Part(
            "city", ["city", "--listen", f"127.0.0.1:{ports[0]}", "--data", str(folder / "city")], folder, self._city_up
        )
        self.hub = Part("hub", ["hub", "--config", str(self.hub_config)], folder, self._hub_up)
        self.gateways = {name: self._gateway(name) for name in GATEWAYS}

    def _write_hub(self, ports: list[int], broker_url: str | None) -> Path:
        broker = f'listen = "127.0.0.1:{ports[2]}"' if broker_url is None else f'embedded = false\nurl = "{broker_url}"'
        path = self.folder / "hub.toml"
        path.write_text(
            f"""[hub]
id = "tram"
school = "{SCHOOL}"
data_dir = "{self.folder / "hub"}"
listen = "127.0.0.1:{ports[1]}"

[broker]
{broker}

[city]
kind = "k12records"
url = "{self.city_url}"
""",
            encoding="utf-8",
        )
        return path

    def _gateway(self, name: str) -> Part:
        kind, stations = GATEWAYS[name]
        lines = [
            f'[gateway]\nid = "{name}"\nschool = "{SCHOOL}"\ndata_dir = "{self.folder / name}"\n',
            f'[signals]\nsinks = ["jsonl:{self.signals_of(name)}"]\n',
            f'[uplink]\nurl = "{self.broker_url}"\n',
        ]
        for number, station in enumerate(stations):
            link = self.folder / f"reader-{station}"
            self.readers[station] = self.bench.add(link, seed=number)
            lines.append(f'[[station]]\nname = "{station}"\nkind = "{kind}"\nreader = "pn532://{link}"\n')
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return Part(name, ["gateway", "--config", str(path)], self.folder)

    def signals_of(self, gateway: str) -> Path:
        """A gateway's jsonl sink."""
        return self.folder / f"{gateway}.signals.jsonl"

    def data_dirs(self) -> list[Path]:
        """The gateways' data directories."""
        return [self.folder / name for name in self.gateways]

    def _city_up(self) -> bool:
        return get_json(f"{self.city_url}/healthz", 1) is not None

    def _hub_up(self) -> bool:
        return self.status() is not None

    def status(self) -> Any:
        """The hub's status, None while it doesn't answer."""
        return get_json(f"{self.hub_url}/v1/status")

    def command(self, *words: str) -> str:
        """Run one k12edge command on the hub; its output. Raises PartFailed."""
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", "hub", *words, "--config", str(self.hub_config)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode:
            raise PartFailed(f"k12edge hub {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def start(self, roster: Path) -> None:
        """Start everything; returns when every gateway has its roster and every reader polls."""
        self.city.start(wait=False)
        self.hub.start()
        for name in self.gateways:
            self.command("devices", "accept", name)
        self.command("roster", "import", str(roster))
        for gateway in self.gateways.values():
            gateway.start()
        until(self._all_ready, "the gateways have no roster or reader", within_s=30)

    def _all_ready(self) -> bool:
        for part in (self.city, self.hub, *self.gateways.values()):
            part.check()
        polling = all(reader.looks > 2 for reader in self.readers.values())
        state = self.status()
        if not polling or state is None:
            return False
        devices = {device["device"]: device for device in state["devices"]}
        return all(
            name in devices and kind in devices[name]["rosters"] and devices[name]["link"] == "connected"
            for name, (kind, _) in GATEWAYS.items()
        )

    def drained(self) -> bool:
        """Whether everything written is at hub and city, as far as the hub knows."""
        state = self.status()
        return (
            state is not None
            and not state["troubles"]
            and state["owed"] == 0
            and state["holes"] == 0
            and state["city"]["backlog"] == 0
            and all(device["link"] == "connected" for device in state["devices"])
        )

    def stop(self) -> dict[str, int]:
        """End everything cleanly; exit code by part."""
        codes = {part.name: part.stop() for part in (*self.gateways.values(), self.hub, self.city)}
        self.bench.close()
        return codes
