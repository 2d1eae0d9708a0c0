"""Row 19: a counter's screens: from the card to the painted screen, what open pages cost a tap, memory, start."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from bench.chain import free_ports
from bench.figure import Broken, Figure, percentile
from bench.footprint import rss_mib
from bench.taps import SCHOOL
from bench.workshop import Workshop
from edge.assembly import Assembly
from edge.canteen.sittings import local_day
from edge.clock import SystemClock
from edge.config import load_config
from edge.ports import Recorded, Warning_
from edge.readers.simulated import hold
from protocol.cards import CardKey, CardUid
from protocol.countersheet import CounterSheet, Eater, MealPlan, SealedSheet, Shift, pack_sheet
from protocol.envelope import rfc3339
from protocol.errors import ReaderLost
from protocol.roster import Release, pack_release
from protocol.signing import Identity, seal, sign_message
from protocol.status import DeviceConfig, HubState, hub_text
from protocol.topics import device_topic
from sim.school import PUPILS, make_school

ROW: Final = 19
DEVICE: Final = "quay-bench"
READER: Final = f"bench-{os.getpid()}"
TAPS: Final = 120
BLOCKS: Final = 6
HOLD_MS: Final = 40
APART_S: Final = 0.35
"""Between two taps: three a second, six times what a counter sees."""
CLICK_EVERY: Final = 2
"""A key is pressed on one of the staff's pages after each so-manieth tap."""
LATE_S: Final = 2.0
STARTS: Final = 5
PAINTED: Final = """() => {
  window.painted = [];
  const place = document.getElementById("screen");
  new MutationObserver(() => {
    const name = place.querySelector("#outcome .name")?.textContent ?? "";
    requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.painted.push([name, performance.timeOrigin + performance.now()]);
      port2.postMessage(0); });
  }).observe(place, { childList: true, subtree: true, characterData: true, attributes: true });
}"""
"""Notes when a changed screen was painted: a message behind the frame's callback comes after the frame."""


class _Silent:
    """Signals of the assembly that only furnishes the gateway's directory."""

    def show(self, recorded: Recorded) -> None:
        """Nobody taps."""

    def warn(self, warning: Warning_) -> None:
        """Nobody hears."""


class Quay:
    """A counter's gateway as a process, with the whole school on its roster and sheet."""

    def __init__(self, folder: Path) -> None:
        """Furnish its directory; nothing runs yet."""
        self.folder, self.sink, self.port = folder, folder / "signals", free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "gateway.toml"
        hub = Identity(b"\x02" * 32, b"\x03" * 32)
        self.config.write_text(
            f'[gateway]\nid = "{DEVICE}"\nschool = "{SCHOOL}"\ndata_dir = "{folder / "data"}"\nhub_key = "{hub.key}"\n'
            f'[signals]\nsinks = ["jsonl:{self.sink}"]\n[kiosk]\nlisten = "127.0.0.1:{self.port}"\n'
            '[time]\nsource = "declared"\n[[station]]\nname = "quay-1"\nkind = "canteen"\nrepeat_window_s = 0\n'
            f'reader = "simulated:{READER}"\n[[station]]\nname = "quay-2"\nkind = "canteen"\nrepeat_window_s = 0\n'
            f'reader = "simulated:{READER}-2"\n',
            encoding="utf-8",
        )
        self.cards = _furnish(self.config, folder / "data", hub)
        os.mkfifo(self.sink)
        self._pipe = os.open(self.sink, os.O_RDWR | os.O_NONBLOCK)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; returns when its first card was signalled: whoever holds one to it waits so long."""
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "k12edge", "gateway", "--config", str(self.config)], stdout=log, stderr=log
        )
        log.close()

    def stop(self) -> None:
        """SIGTERM, and its end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(10)

    def signalled(self, within_s: float) -> dict[str, Any] | None:
        """The next signal that stands for a record, None within that time."""
        end_s = time.monotonic() + within_s
        while (left_s := end_s - time.monotonic()) > 0:
            if select.select([self._pipe], [], [], left_s)[0]:
                for line in os.read(self._pipe, 65536).splitlines():
                    shown: dict[str, Any] = msgspec.json.decode(line)
                    if shown["tap"] is not None:
                        return shown
        return None

    def tap(self, card: CardUid) -> tuple[float, float]:
        """Hold a card; wall-clock ms before, and ms until its signal's line."""
        began_ms, began_s = time.time() * 1000, time.perf_counter()
        hold(READER, card, HOLD_MS)
        if self.signalled(LATE_S) is None:
            raise Broken("a counter gave no signal")
        return began_ms, (time.perf_counter() - began_s) * 1000

    def first_tap(self, card: CardUid) -> None:
        """Hold a card until it is signalled, from before its reader is there."""
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            try:
                hold(READER, card, 5_000)
            except ReaderLost:
                time.sleep(0.005)
                continue
            if self.signalled(LATE_S) is not None:
                return
        raise Broken("a counter's gateway doesn't start")


def _furnish(config: Path, data: Path, hub: Identity) -> list[tuple[CardUid, str]]:
    """What a hub sent before: keys, roster, sheet of today. Each pupil's card and given name."""
    data.mkdir()
    clock = SystemClock("declared", 1000)
    assembly = Assembly(load_config(config), clock, _Silent(), lambda: None)
    state = HubState("ready", "e", hub.key, hub.box)
    assembly.keys.meet_hub(msgspec.structs.replace(state, sig=hub.sign(hub_text(state))))
    key, box = CardKey(1, b"\x05" * 32), assembly.keys.identity.box
    assembly.keys.configure(DeviceConfig(1, [(1, seal(box, key.secret))]))
    pupils = make_school(PUPILS, 1)
    cards = {key.keyed(CardUid("a", one.uid.hex().upper())): [one.key, one.name, one.school_class] for one in pupils}
    assembly.rosters.take("canteen", pack_release(Release("r-20261122T180011Z-1", 1, SCHOOL, "canteen", [1], cards)))
    now_ms = clock.read().best_ms
    sheet = CounterSheet(
        1,
        rfc3339(now_ms),
        SCHOOL,
        local_day(now_ms),
        [MealPlan("lunch", [Shift(1, "00:00", "23:59")])],
        [Eater(one.key, one.name, one.school_class, meals=["lunch"]) for one in pupils],
        counters={DEVICE: hub.key},
    )
    body = msgspec.json.encode(SealedSheet(1, seal(box, pack_sheet(sheet))))
    if assembly.counter is None or not assembly.counter.hear_sheet(
        sign_message(hub, device_topic(SCHOOL, DEVICE, "sheet"), body)
    ):
        raise Broken("the counter took no sheet")
    assembly.close()
    return [(CardUid("a", one.uid.hex().upper()), one.name.split()[-1]) for one in pupils]


@contextmanager
def _browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise Broken("chromium is not installed (tests/install-system-packages)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield browser
        browser.close()


def measure_kiosk(shop: Workshop) -> list[Figure]:
    """Row 19 of the table."""
    shop.say("19 a counter's screens: card to paint, four pages open and clicked, memory, start")
    with ExitStack() as stack:
        quay = Quay(shop.room("kiosk"))
        stack.callback(quay.stop)
        starts_s = [_start(quay, number) for number in range(2 if shop.quick else STARTS)]
        cards = cycle(quay.cards[STARTS:])
        browser = stack.enter_context(_browser())
        quiet, busy, painted = [], [], []
        for _ in range(shop.rounds(BLOCKS)):
            quiet += [_paced(quay, next(cards)[0]) for _ in range(TAPS // BLOCKS)]
            context = browser.new_context(viewport={"width": 1024, "height": 600})
            pages = [context.new_page() for _ in range(4)]
            for page, path in zip(pages, ("pupil", "staff", "pupil", "staff"), strict=True):
                page.goto(f"{quay.url}/{path}?station=quay-{1 + pages.index(page) // 2}")
            pages[0].bring_to_front()
            pages[0].evaluate(PAINTED)
            for number in range(TAPS // BLOCKS):
                card, name = next(cards)
                busy.append(_tapped(quay, pages, card, name, number, painted))
            context.close()
        held = rss_mib(quay.pid)
    note = f"{len(busy)} taps in {shop.rounds(BLOCKS)} blocks each, alternating, {1 / APART_S:.0f} a second"
    beside = f"p50 {median(busy):.1f} ms / {median(quiet):.1f} ms; p95 {percentile(quiet, 0.95):.1f} ms without pages"
    return [
        Figure(ROW, "card held to painted screen, p95", percentile(painted, 0.95), "ms", 150, note=_chromium(painted)),
        Figure(
            ROW,
            "card to signal, four pages open and clicked, p95",
            percentile(busy, 0.95),
            "ms",
            30,
            beside=beside,
            note=note,
        ),
        Figure(
            ROW, "gateway with screens, RSS", held, "MiB", 90, note="four pages open, 1,763 pupils; the browser apart"
        ),
        Figure(ROW, "start to first tap", median(starts_s), "s", 2, low=min(starts_s), high=max(starts_s)),
    ]


def _chromium(painted: list[float]) -> str:
    return f"p50 {median(painted):.0f} ms, {len(painted)} screens, Chromium without a window on this machine, 1024x600"


def _start(quay: Quay, number: int) -> float:
    quay.stop()
    began_s = time.monotonic()
    quay.start()
    quay.first_tap(quay.cards[number][0])
    return time.monotonic() - began_s


def _paced(quay: Quay, card: CardUid) -> float:
    time.sleep(APART_S)
    return quay.tap(card)[1]


def _tapped(quay: Quay, pages: list[Page], card: CardUid, name: str, number: int, painted: list[float]) -> float:
    """One tap while pages are open; its signal's ms. What its paint took is put into `painted`."""
    if number % CLICK_EVERY == 0:
        pages[1 + 2 * (number // CLICK_EVERY % 2)].keyboard.press("*")
    time.sleep(APART_S)
    pages[0].evaluate("painted.length = 0")
    began_ms, signal_ms = quay.tap(card)
    found = pages[0].wait_for_function("name => painted.find(([shown]) => shown === name)", arg=name, timeout=5_000)
    painted.append(found.json_value()[1] - began_ms)
    return signal_ms
