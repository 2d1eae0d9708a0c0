"""The hub put together: the only room that chooses real parts and starts threads."""

from __future__ import annotations

import errno
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from host.lock import InstanceLock
from host.watchdog import Watchdog, notify, waits
from hub.assembly import Assembly
from hub.broker import BrokerFailed, EmbeddedBroker, free_bytes
from hub.cards.sunkeys import read_sun_keys
from hub.config import HubConfig
from hub.control import ControlSocket
from hub.mending import keep_keys, open_store
from hub.mqtt import HubLink
from hub.store.database import LedgerFailed, LedgerFull
from hub.tls import Certificates, page_address
from hub.web.server import WebServer
from hub.web.status import Status
from protocol.errors import ConfigError, K12EdgeError
from protocol.settings import is_loopback
from protocol.signing import fingerprint
from protocol.topics import device_topic

if TYPE_CHECKING:
    from hub.cards.sun import SunKeys
    from hub.city.k12records import CityClient
    from hub.city.oneroster import OneRoster

log = logging.getLogger("k12edge.hub")

END_S: Final = 2.5
AGAIN_S: Final = 0.5
FULL_PAUSE_S: Final = 2.0
KEEP_KEYS_S: Final = 60.0
"""A gateway that a person accepted before it was met is bound at its first contact, which nobody tells us."""
PATIENCE_S: Final = 120
"""A disk may take as long for a sync, and does nothing else meanwhile."""
ASKING: Final = ("forwarder", "puller", "regainer", "messenger")
ASKING_PATIENCE_S: Final = 300
"""These ask others: a request takes 70 s at most, and a city that asks to log in anew is asked four times."""
FULL_BYTES: Final = 64 * 1024
"""With less free than that a hub or broker that can't start has a full disk."""


class Ending(Protocol):
    """How a process is asked to end; see k12edge/ending.py."""

    asked: bool

    def poke(self) -> None:
        """Let `wait` return; from any thread."""

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when an end is asked for, at a `poke`, or after `timeout_s`."""


class Hub:
    """All parts of one running hub. `run` returns when an end is asked for, or it must begin anew."""

    def __init__(self, config: HubConfig, ending: Ending, sun_keys: SunKeys | None = None) -> None:
        """Open the ledger, take the addresses; raises NeedsHands."""
        self.config, self.ending, self._sun_keys = config, ending, sun_keys
        self.again = False
        self._stop = threading.Event()
        self._parts = ExitStack()
        try:
            self._open()
        except BaseException:
            self._parts.close()
            raise

    def _open(self) -> None:
        config = self.config
        self._parts.enter_context(InstanceLock(config.data_dir))
        self._socket = _listening(config.listen)
        self._parts.callback(self._socket.close)
        self._certificates: Certificates | None = None
        if config.web.tls:
            self._certificates = Certificates(
                config.data_dir, config.school, config.listen[0], config.web.names, config.web.own
            )
            self._certificates.refresh(time.time_ns() // 1_000_000)
        self.store, own = open_store(config)
        self._parts.callback(self.store.database.close)
        self.assembly = Assembly(
            config,
            self.store,
            self._city(),
            self._begin_anew,
            own,
            self._sun_keys,
            city_roster=self._city_roster(),
            audit=self._city(),
        )
        self.broker: EmbeddedBroker | None = None
        if config.broker_url is None:
            self.broker = EmbeddedBroker(config.data_dir / "broker", *config.broker_listen)
            self.broker_address = self.broker.address
        else:
            parts = urlsplit(config.broker_url)
            assert parts.hostname is not None
            self.broker_address = (parts.hostname, parts.port or 1883)
        self._connect_rooms()

    def _city(self) -> CityClient | None:
        city = self.config.city
        if city.kind != "k12records":
            return None
        from hub.city.k12records import CityClient

        assert city.url is not None
        return CityClient(city.url, city.token_url, city.client_id, city.client_secret_file)

    def _city_roster(self) -> OneRoster | None:
        city = self.config.city
        if city.roster_url is None:
            return None
        from hub.city.oneroster import OneRoster

        return OneRoster(city.roster_url, city.token_url, city.client_id, city.client_secret_file)

    def _connect_rooms(self) -> None:
        config, assembly, store = self.config, self.assembly, self.store
        school = config.school
        self.link = HubLink(
            *self.broker_address,
            f"{school}-{config.hub_id}",
            Random(secrets.randbits(64)),
            [device_topic(school, "+", "ev"), device_topic(school, "+", "state")],
            assembly.announcer.state("lost"),
            assembly.mailroom.on_message,
            assembly.on_link,
        )
        assembly.use(self.link)
        self.status = Status(store, assembly.fleet)
        self.status.parts = {
            "ledger": lambda: assembly.mailroom.failed,
            "broker": lambda: (
                "broker-full"
                if self.broker is not None and self.broker.full
                else "broker-lost"
                if not self.link.connected
                else "broker-denies"
                if self.link.deaf
                else None
            ),
            "calendar": lambda: None if store.calendar_in_doubt() is None else "calendar-unconfirmed",
            "diets": lambda: None if store.diets_in_doubt() is None else "diets-unconfirmed",
        }
        forwarder = assembly.forwarder
        if forwarder is not None:
            self.status.parts["city"] = lambda: forwarder.trouble
        puller = assembly.puller
        if puller is not None:
            self.status.parts["roster"] = lambda: puller.trouble
        messenger = assembly.messenger
        if messenger is not None:
            self.status.parts["messages"] = lambda: messenger.trouble
        self.status.standing = self._warnings()
        self.status.backup = assembly.archivist.told

    def _warnings(self) -> list[str]:
        """What people should see as long as this hub runs."""
        found = []
        for name, host in (("broker", self.broker_address[0]), ("hub", self.config.listen[0])):
            if not is_loopback(host) and not (name == "hub" and self.config.web.tls):
                found.append(f"plain-link: {name} {host}: không mã hóa / not encrypted")
        if self.store.clock.error_ms() is None:
            found.append("clock-unset: đồng hồ chưa đúng / the clock is not set, gateways get no time from here")
        elif not self.store.clock.synchronised():
            found.append(
                "clock-unsynchronised: không có NTP / no NTP; the clock is taken to be right"
                f" within {self.store.clock.error_ms()} ms"
            )
        for text in found:
            log.warning("%s", text)
        return found

    def _carry(self, action: str, words: Mapping[str, str | None]) -> tuple[str, bytes | None]:
        carried = self.assembly.carry(action, words)
        keep_keys(self.store, self.config)
        return carried

    def _begin_anew(self) -> None:
        self.again = True
        self.ending.poke()

    @property
    def address(self) -> tuple[str, int]:
        """Where pages and API are."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until the end. Raises BrokerFailed."""
        try:
            self._run()
        finally:
            self._parts.close()

    def _run(self) -> None:
        if self.broker is not None:
            self._parts.callback(self.broker.stop)
            self.broker.start(lambda: self.ending.asked)
        assembly = self.assembly
        control = ControlSocket(self.config.data_dir, self._carry)
        self._parts.callback(control.close)
        threads = [_thread(name, worker.run) for name, worker in assembly.workers.items()]
        self.link.start()
        self._print_addresses()
        self._print_first_link()
        web = WebServer(self._socket, self.store, self.status, assembly.wake_forwarder, self._certificates)
        threads.append(_thread("web", web.run))
        _thread("watchdog", lambda: self._watchdog(web).run(self._stop))
        notify("READY=1")
        log.info(
            "hub %s of %s, fingerprint %s", self.config.hub_id, self.config.school, fingerprint(assembly.identity.key)
        )
        while not (self.ending.asked or self.again):
            keep_keys(self.store, self.config)
            self.ending.wait(KEEP_KEYS_S)
            if self.link.ended():
                log.error("the link's thread has ended")
                self.again = True
        self._stop.set()
        if not self.again:
            # Beginning anew is no end: systemd would take the word for it, and kill what goes on.
            notify("STOPPING=1")
        self._end(web, threads)

    def _watchdog(self, web: WebServer) -> Watchdog:
        watchdog = Watchdog()
        for name, worker in {**self.assembly.workers, "web": web}.items():
            patience_s = ASKING_PATIENCE_S if name in ASKING else PATIENCE_S
            watchdog.watch(name, partial(getattr, worker, "progress"), patience_s)
        return watchdog

    def _print_addresses(self) -> None:
        """`listening URL` for each address, those that were left to us first."""
        lines = [(self.config.listen[1] != 0, f"listening {self._base()}")]
        if self.broker is not None:
            host, port = self.broker_address
            lines.append((self.config.broker_listen[1] != 0, f"listening mqtt://{_shown(host)}:{port}"))
        for _, line in sorted(lines, key=lambda entry: entry[0]):
            # With its end in one write: other threads speak, too, and both may go to one file.
            print(f"{line}\n", end="", flush=True)  # noqa: T201  # The documented way to learn a port.

    def _print_first_link(self) -> None:
        """While nobody can make users: the one-time link that lets the first one in. No default password."""
        try:
            web = self.config.web
            self.store.userdesk.base = page_address(web.tls, *self.address, web.names)
            line = self.store.userdesk.first_login()
        except K12EdgeError as problem:
            log.warning("no first-login link could be made: %s", problem)
            return
        if line is not None:
            print(f"{line}\n", end="", flush=True)  # noqa: T201  # On the terminal, or in the service's journal.

    def _base(self) -> str:
        host, port = self.address
        return f"http{'s' if self.config.web.tls else ''}://{_shown(host)}:{port}"

    def _end(self, web: WebServer, threads: list[threading.Thread]) -> None:
        deadline = time.monotonic() + END_S
        web.stop()
        assembly = self.assembly
        for worker in assembly.workers.values():
            worker.stop()
        self.link.stop(assembly.announcer.state("lost"))
        for thread in threads:
            thread.join(max(0.05, deadline - time.monotonic()))
        try:
            with self.store.database.transaction():
                self.assembly.own.sign_head()
        except K12EdgeError as problem:
            log.warning("the journal's head was not signed: %s", problem)


def _listening(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named TCP, or asyncio leaves Nagle's algorithm on: each answer on a kept connection would wait 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as problem:
        raise ConfigError(f"[hub]: listen = {host}:{port} can't be taken: {problem.strerror}") from problem
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def run_hub(config: HubConfig, ending: Ending) -> int:
    """Run until an end is asked for; the exit code. Raises NeedsHands where it can't start.

    A disk that is full or fails is waited for: a person sees to it, and nobody has to think of the hub.
    """
    # The HTTP client tells of every request; what comes of it, we tell.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # Once: a hub that begins anew must not end because somebody moved a file meanwhile.
    sun_keys = read_sun_keys(config.sun)
    while not ending.asked:
        try:
            hub = Hub(config, ending, sun_keys)
            # Opened anew (other keys, a disk that failed) it stays where it was.
            config = replace(config, listen=hub.address)
            hub.run()
        except (K12EdgeError, OSError) as problem:
            if _is_of_full_disk(problem, config.data_dir):
                log.error("%s: the disk is full: %s; %s", LedgerFull.code, problem, LedgerFull.hint)
            elif _is_of_failing_disk(problem):
                log.error("%s: the disk fails: %s; %s", LedgerFailed.code, problem, LedgerFailed.hint)
            else:
                raise
            waits(FULL_PAUSE_S)
            ending.wait(FULL_PAUSE_S)
            continue
        if not hub.again:
            break
        log.warning("the hub begins anew")
        waits(AGAIN_S)
        ending.wait(AGAIN_S)
    return 0


def _is_of_failing_disk(problem: K12EdgeError | OSError) -> bool:
    """Whether the storage refused, and nothing that another start with other words could mend."""
    if isinstance(problem, OSError):
        return problem.errno in (errno.EROFS, errno.EIO)
    return isinstance(problem, LedgerFailed)


def _is_of_full_disk(problem: K12EdgeError | OSError, data_dir: Path) -> bool:
    """Whether the hub, or its broker, only lacks space: also SQLite and nats-server meet other errors then."""
    causes = (problem, problem.__cause__)
    if any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in causes):
        return True
    if isinstance(problem, LedgerFull):
        return True
    if not isinstance(problem, LedgerFailed | BrokerFailed | OSError):
        return False
    with suppress(OSError):
        return free_bytes(data_dir) < FULL_BYTES
    return False
