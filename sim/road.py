"""The road of a tap as real processes in one folder: city, hub with its broker or an external one, gateways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sim.parts import PROGRAM, Part, PartFailed, audit, free_ports, get_json
from sim.reckoning import (
    Reckoning,
    answers_in,
    faults_in,
    journal_taps,
    last_records,
    only_taps,
    reckon,
    running_journals,
    signalled_taps,
)
from sim.wire.segment import Segment

SCHOOL: Final = "79000701"


class Road:
    """Configurations written, parts made but not started. Everything lies in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        broker_url: str | None = None,
        with_city: bool = True,
        city_url: str | None = None,
        city_beyond: Segment | None = None,
        gateways_beyond: Mapping[str, Segment] | None = None,
    ) -> None:
        """`broker_url`: an external broker instead of the hub's; `city_url`: where the hub finds the city instead.

        `city_beyond`, `gateways_beyond`: wires between them and the hub, which stands here with its broker. We look at
        the city by a side door.
        """
        self.folder = folder
        city_port, hub_port, broker_port = free_ports(3)
        self._beyond = dict(gateways_beyond or {})
        self.city_url = f"http://127.0.0.1:{city_port}"
        if city_beyond is not None:
            self.city_url = f"http://{city_beyond.side_door()}:{city_port}"
            city_url = city_url or f"http://{city_beyond.there}:{city_port}"
        # Parts beyond a wire find the broker at the wire's near end, so it listens there too.
        host = "0.0.0.0" if self._beyond else "127.0.0.1"
        city_host = "127.0.0.1" if city_beyond is None else "0.0.0.0"
        self.hub_url = f"http://127.0.0.1:{hub_port}"
        self.broker_url = broker_url or f"mqtt://127.0.0.1:{broker_port}"
        self.with_city = with_city
        self.hub_config = folder / "hub.toml"
        broker = f'listen = "{host}:{broker_port}"' if broker_url is None else f'embedded = false\nurl = "{broker_url}"'
        city = f'kind = "k12records"\nurl = "{city_url or self.city_url}"' if with_city else 'kind = "none"'
        self.hub_config.write_text(
            f'[hub]\nid = "tram"\nschool = "{SCHOOL}"\ndata_dir = "{folder / "hub"}"\n'
            f'listen = "127.0.0.1:{hub_port}"\n\n'
            f"[broker]\n{broker}\n\n[city]\n{city}\n",
            encoding="utf-8",
        )
        self.city = Part(
            "city",
            ["city", "--listen", f"{city_host}:{city_port}", "--data", str(folder / "city")],
            folder,
            lambda: get_json(f"{self.city_url}/healthz", 1) is not None,
            program=PROGRAM if city_beyond is None else (*city_beyond.inside, *PROGRAM),
        )
        self.hub = Part("hub", ["hub", "--config", str(self.hub_config)], folder, lambda: self.status() is not None)
        self.gateways: dict[str, Part] = {}

    def add_gateway(
        self,
        name: str,
        stations: Mapping[str, tuple[str, str]],
        *,
        uplink: str | None = None,
        more: str = "",
        gateway: str = "",
        repeat_window_s: int | None = None,
    ) -> Part:
        """A gateway with stations by name: kind and reader URL.

        `uplink`: another way to the broker; `more`: TOML; `gateway`: more keys of its first table.
        """
        again = "" if repeat_window_s is None else f"\nrepeat_window_s = {repeat_window_s}"
        beyond = self._beyond.get(name)
        if beyond is not None:
            uplink = uplink or f"mqtt://{beyond.here}:{self.broker_url.rpartition(':')[2]}"
        lines = [
            f'[gateway]\nid = "{name}"\nschool = "{SCHOOL}"\ndata_dir = "{self.folder / name}"\n{gateway}',
            f'[signals]\nsinks = ["jsonl:{self.signals_of(name)}"]',
            f'[uplink]\nurl = "{uplink or self.broker_url}"',
            more,
        ]
        lines += [
            f'[[station]]\nname = "{station}"\nkind = "{kind}"\nreader = "{reader}"{again}'
            for station, (kind, reader) in stations.items()
        ]
        path = self.folder / f"{name}.toml"
        path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
        part = Part(
            name,
            ["gateway", "--config", str(path)],
            self.folder,
            program=PROGRAM if beyond is None else (*beyond.inside, *PROGRAM),
        )
        self.gateways[name] = part
        return part

    def signals_of(self, gateway: str) -> Path:
        """A gateway's jsonl sink."""
        return self.folder / f"{gateway}.signals.jsonl"

    def answered(self, gateway: str) -> int:
        """How many taps a gateway has signalled (wait and alarm name none)."""
        return answers_in(self.signals_of(gateway))

    def data_dirs(self) -> list[Path]:
        """The gateways' data directories."""
        return [self.folder / name for name in self.gateways]

    def parts(self) -> list[Part]:
        """All of them, those that need nothing first."""
        return [*([self.city] if self.with_city else []), self.hub, *self.gateways.values()]

    def check(self) -> None:
        """Raise PartFailed when a part ended by itself."""
        for part in self.parts():
            part.check()

    def status(self) -> Any:
        """The hub's status, None while it doesn't answer."""
        return get_json(f"{self.hub_url}/v1/status")

    def command(self, *words: str) -> str:
        """Run one `k12edge hub` command; its output. Raises PartFailed."""
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", "hub", *words, "--config", str(self.hub_config)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode:
            raise PartFailed(f"k12edge hub {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def reader(self) -> str:
        """A new token of somebody who may read every record. Raises PartFailed."""
        return self.command("token", "add", "--role", "principal", "--name", "reader").split()[-1]

    def accept(self) -> None:
        """Accept every gateway, seen or not yet."""
        for name in self.gateways:
            self.command("devices", "accept", name)

    def connected(self) -> bool:
        """Whether the hub hears every gateway."""
        return self._all_connected(self.status())

    def _all_connected(self, state: Any) -> bool:
        heard = {device["device"]: device["link"] for device in state["devices"]} if state else {}
        return all(heard.get(name) == "connected" for name in self.gateways)

    def progress(self) -> object:
        """What changes while the road moves: taps signalled, records at the hub, what it owes the city."""
        state = self.status() or {}
        signalled = tuple(self.answered(name) for name in self.gateways)
        return signalled, state.get("records"), state.get("city", {}).get("backlog")

    def drained(self) -> bool:
        """Whether everything in the gateways' files is at the hub, and the hub owes the city nothing."""
        state = self.status()
        if state is None or state["owed"] or state["holes"] or not self._all_connected(state):
            return False
        # A calendar that nobody has looked at since a loss holds up no tap.
        if state["troubles"].keys() - {"calendar"}:
            return False
        # What a gateway said it owes is some seconds old; its file is not.
        if not self._hub_has_all():
            return False
        state = self.status()
        return state is not None and state["city"]["backlog"] == 0

    def held(self) -> Any:
        """What the hub holds of each journal, None while it doesn't answer."""
        return get_json(f"{self.hub_url}/v1/ledger/journals")

    def _hub_has_all(self) -> bool:
        held = self.held()
        if held is None:
            return False
        for name, last in last_records(self.data_dirs()).items():
            mine = held["journals"].get(name)
            if mine is None or mine["through"] < last or mine["missing"]:
                return False
        return True

    def reckon(self, in_flight_max: int, trays: Mapping[str, int] | None = None) -> Reckoning:
        """Signals, journals, hub and city by tap id; a kill may leave `in_flight_max` records without a signal.

        `trays`: see reckoning.reckon.
        """
        found = reckon(
            signalled_taps(self.signals_of(name) for name in self.gateways),
            journal_taps(self.data_dirs()),
            only_taps(audit(f"{self.hub_url}/v1/ledger/events")),
            only_taps(audit(f"{self.city_url}/k12edge/v1/events")) if self.with_city else None,
            in_flight_max,
            running_journals(self.data_dirs()),
            trays,
        )
        found.faults += faults_in(self.signals_of(name) for name in self.gateways)
        return found

    def stop(self) -> dict[str, int]:
        """End everything cleanly, gateways first; exit code by part."""
        return {part.name: part.stop() for part in reversed(self.parts())}
