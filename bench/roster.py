"""A full pull of the city's roster: from the first question to the commit, over HTTP from a real city process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from statistics import median

from bench.figure import Broken, Figure
from bench.taps import SCHOOL
from bench.workshop import Workshop
from hub.city.oneroster import OneRoster
from hub.config import hub_config_from
from hub.parts import Store
from hub.rostersync.puller import Puller

PUPILS = 2_000
CLAMP = 100
"""OneRoster's default page: most servers give no more."""
ROUNDS = 6
LISTENING = re.compile(r"^listening (http\S+)$", re.MULTILINE)
WAIT_S = 30.0


def measure_roster(shop: Workshop) -> list[Figure]:
    """Row 12 of the table."""
    shop.say(f"12 a full pull of {PUPILS:,} pupils")
    folder = shop.room("city")
    (folder / "roster.json").write_text(json.dumps({"pupils": PUPILS, "manners": {"clamp": CLAMP}}), encoding="utf-8")
    log = folder / "city.log"
    with log.open("wb") as output:
        city = subprocess.Popen(
            [sys.executable, "-m", "k12edge", "city", "--listen", "127.0.0.1:0", "--data", str(folder)],
            stdout=output,
            stderr=output,
        )
    try:
        url = _address(log)
        first: list[float] = []
        again: list[float] = []
        for _ in range(shop.rounds(ROUNDS)):
            one, two = _pull_twice(shop.room("hub"), url)
            first.append(one)
            again.append(two)
    finally:
        city.terminate()
        city.wait(10)
    return [
        Figure(
            12,
            "full pull of 2,000 pupils into an empty hub",
            median(first),
            "s",
            3,
            low=min(first),
            high=max(first),
            beside=f"a second one, with nothing new: {median(again):.2f} s",
            note=f"pages of {CLAMP} rows; from the first question to the commit, every pupil looked up afterwards",
        )
    ]


def _address(log: Path) -> str:
    deadline_s = time.monotonic() + WAIT_S
    while not (found := LISTENING.search(log.read_text(encoding="utf-8"))):
        if time.monotonic() > deadline_s:
            raise Broken(f"the city doesn't listen: {log.read_text(encoding='utf-8')[-300:]}")
        time.sleep(0.05)
    return found[1]


def _pull_twice(folder: Path, url: str) -> tuple[float, float]:
    """Seconds of the first pull of a new hub, and of a second one."""
    store = Store(hub_config_from("hub.toml", {"hub": {"id": "hub", "school": SCHOOL, "data_dir": str(folder)}}))
    client = OneRoster(f"{url}/ims/oneroster/rostering/v1p2")
    try:
        puller = Puller(SCHOOL, store.ledger, store.sync, store.mirror, client, store.clock, Random(1), lambda: None)
        seconds = []
        for _ in range(2):
            began_s = time.perf_counter()
            puller.pull_all()
            seconds.append(time.perf_counter() - began_s)
        enrolled = sum(one.state == "enrolled" for one in store.people.all())
        if enrolled != PUPILS:
            raise Broken(f"{enrolled} of {PUPILS} pupils came")
        return seconds[0], seconds[1]
    finally:
        client.close()
        store.database.close()
