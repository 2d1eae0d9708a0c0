"""The reference city service as a process: started, announced, ended cleanly by SIGTERM."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from protocol.errors import ConfigError
from sim.city.api import make_app
from sim.city.faults import Faults, read_plan
from sim.city.rosterapi import Manners, RosterApi
from sim.city.rosterbook import RosterBook
from sim.city.store import CityStore


def run_city(host: str, port: int, data_dir: Path, *, faults: Path | None = None) -> int:
    """Serve until SIGTERM; the exit code. Prints `listening URL` first. Raises NeedsHands."""
    # The server ends by these signals and raises them again when it has; that must not kill us before the store closes.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    store = CityStore(data_dir)
    try:
        app: Any = make_app(store, _clients(data_dir / "clients.json"), _roster(data_dir / "roster.json"))
        if faults is not None:
            app = Faults(app, read_plan(faults))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named TCP, or asyncio leaves Nagle's algorithm on: each answer on a kept connection would wait 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as problem:
            raise ConfigError(f"--listen {host}:{port} can't be taken: {problem.strerror}") from problem
        listener.listen(128)
        shown = f"[{host}]" if ":" in host else host
        print(f"listening http://{shown}:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        store.close()
    return 0


class RosterPlan(msgspec.Struct, forbid_unknown_fields=True):
    """A made-up school whose roster is served, and how the service behaves."""

    pupils: int = 1763
    seed: int = 1
    forgets: bool = False
    manners: Manners = msgspec.field(default_factory=Manners)


def _roster(path: Path) -> RosterApi | None:
    if not path.exists():
        return None
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=RosterPlan)
    except msgspec.DecodeError as problem:
        raise ConfigError(f"{path} is not a plan of a roster: {problem}") from problem
    return RosterApi(RosterBook(plan.pupils, plan.seed, forgets=plan.forgets), plan.manners)


def _clients(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as problem:
        raise ConfigError(f"{path} is not a JSON object of client ids and secrets: {problem}") from problem
