"""The stories: what happens to whose clock, and what must be true of every tap at the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from protocol.envelope import unix_ms_of
from sim.clocks.school import CONNECT_S, HOLD_S, Box, ClockSchool, Dating, check_dates, check_once
from sim.parts import PartFailed, until
from sim.preload.control import READ_WALL
from sim.reckoning import journal_taps

HOUR_S: Final = 3_600.0
WEEK_DAYS: Final = 7
MORNING: Final = "2027-02-28T06:40:00.000+07:00"
Story = Callable[[ClockSchool, int, Random], None]


def _taps(box: Box, count: int) -> None:
    for _ in range(count):
        box.expect("accepted")


def anchored_later(school: ClockSchool, count: int, rng: Random) -> None:
    """1970 at boot, taps, then NTP at one gateway, the hub's time at another, whichever comes first at a third."""
    ntp, hub, auto = school.add("ntp", "ntp"), school.add("hub-time", "hub"), school.add("auto", "auto")
    for box in (ntp, hub, auto):
        box.exact = True
        box.machine.boot()
        box.start()
        _taps(box, count)
    school.hub.synchronise()
    school.start_keepers()
    school.connected()
    for box in (ntp, hub, auto):
        _taps(box, count)
        box.machine.synchronise(off_us=rng.randint(-3_000, 3_000))
        _taps(box, count)


def steps(school: ClockSchool, count: int, rng: Random) -> None:
    """The wall clock is set an hour and more to either side while people tap; a card still counts once in 5 s."""
    school.hub.synchronise()
    school.start_keepers()
    boxes = [school.add("stepped-ntp", "ntp"), school.add("stepped-hub", "hub"), school.add("stepped-auto", "auto")]
    school.road.accept()
    for box in boxes:
        box.machine.boot()
        box.machine.synchronise()
        box.exact = True
        box.start()
        _taps(box, 1)
    school.connected()
    for _ in range(count):
        for box in boxes:
            uid = box.uid()
            box.expect("accepted", uid)
            box.away(uid)
            box.machine.step(rng.choice((-1, 1)) * HOUR_S * rng.randint(1, 3))
            box.expect("repeated", uid)
            _taps(box, 1)
            box.machine.step(rng.choice((-1, 1)) * HOUR_S)
            _taps(box, 1)
            box.machine.synchronise()
            _taps(box, 1)
            # A machine that stood still for 6 s couldn't say that a card in its field had left meanwhile.
            box.away(uid)
            school.forward(6)
            box.expect("accepted", uid)


def reboot_before_anchor(school: ClockSchool, count: int, rng: Random) -> None:
    """A boot in 1970 that meets no anchor, alone and between two that do; yesterday's card isn't a repeat then."""
    first, middle = school.add("first-boot", "ntp"), school.add("middle-boot", "ntp")
    school.hub.synchronise()
    school.start_keepers()
    middle.machine.boot()
    middle.machine.synchronise()
    middle.start()
    _taps(middle, count)
    yesterday = middle.uid()
    middle.expect("accepted", yesterday)
    school.forward(rng.randint(600, 90_000))
    for box in (first, middle):
        # The boot that nothing vouches for.
        if box is middle:
            box.reboot()
        else:
            box.machine.boot()
        box.start()
        _taps(box, count)
        if box is middle:
            box.expect("accepted", yesterday)
        school.forward(rng.randint(5, 5_000))
        _taps(box, 1)
    school.forward(rng.randint(60, 10_000))
    for box in (first, middle):
        box.reboot()
        box.start()
        _taps(box, 1)
        box.machine.synchronise()
        box.exact = True
        _taps(box, count)


def never_anchored(school: ClockSchool, count: int, rng: Random) -> None:
    """Nothing ever vouches for a gateway: its taps wait `city_hold_s` for it, by the hub's clock, then go."""
    school.hub.synchronise()
    school.start_keepers()
    box = school.add("never", "ntp")
    school.road.accept()
    box.machine.boot()
    box.start()
    _taps(box, count)
    last = box.taps[-1]
    until(lambda: _hub_has(school, box), "the hub doesn't hold the taps", also=school.road.check, within_s=CONNECT_S)
    school.forward(HOLD_S - 60)
    other = school.add("beside", "auto")
    school.road.accept()
    other.machine.boot()
    other.machine.synchronise()
    other.start()
    school.wait_at_city(other.expect("accepted"))
    if last.tap in school.at_city():
        raise PartFailed(f"{last.tap} went before city_hold_s was over")
    school.forward(61)
    school.wait_at_city(last)


def _hub_has(school: ClockSchool, box: Box) -> bool:
    status = school.road.status()
    return status is not None and any(
        device["device"] == box.name and device["owed"] == 0 and device["link"] == "connected"
        for device in status["devices"]
    )


def drifting_week(school: ClockSchool, count: int, rng: Random) -> None:
    """A week without hub and NTP, on crystals that are 100 ppm fast and slow; then the hub's word again."""
    school.hub.synchronise()
    school.start_keepers()
    boxes = [school.add("fast", "hub"), school.add("slow", "hub"), school.add("drift-ntp", "ntp")]
    school.road.accept()
    for box in boxes:
        box.machine.boot()
        box.exact = True
        if box.name == "drift-ntp":
            box.machine.synchronise()
        box.start()
    school.connected()
    for box in boxes:
        _taps(box, count)
        box.exact = False
        box.machine.lose_ntp()
    school.settled()
    school.road.hub.kill()
    for _ in range(WEEK_DAYS):
        school.forward(86_400, {"fast": 100, "slow": -100, "drift-ntp": 100})
        for box in boxes:
            _taps(box, count)
    school.hub.synchronise()
    school.start_keepers()
    school.connected()
    for box in boxes[:2]:
        # Heard again, the hub dates what comes now to the second; what lies between is bounded.
        until(partial(_certain, box), f"{box.name} doesn't hear the time", also=school.road.check, within_s=CONNECT_S)
        box.exact = True
        _taps(box, count)


def _certain(box: Box) -> bool:
    """Whether a tap now is certain within a second by the gateway's own word."""
    tapped = box.tap()
    raw = journal_taps([box.part.folder / box.name])[tapped.tap]
    return b'"err":' in raw and int(raw.split(b'"err":')[1].split(b"}")[0].split(b",")[0]) <= 1000


def hub_never_ntp(school: ClockSchool, count: int, rng: Random) -> None:
    """No NTP anywhere: a hub whose clock a person set gives the time, from 1970 on until it is set, then once right."""
    box = school.add("by-hub", "auto")
    box.machine.boot()
    box.exact = True
    box.start()
    _taps(box, count)
    school.hub.boot()
    school.start_keepers()
    school.connected()
    _taps(box, count)
    if any(item.effective.quality == "anchored" for items in school.at_city().values() for item in items):
        raise PartFailed("a hub in 1970 vouched for a time")
    school.hub.set_right(rng.randint(-400, 400))
    school.told_the_time(box)
    _taps(box, count)


def hub_steps(school: ClockSchool, count: int, rng: Random) -> None:
    """The hub's clock is set an hour to either side while it forwards; it is started anew like that, too."""
    school.hub.synchronise()
    school.start_keepers()
    box = school.add("behind-hub", "hub")
    school.road.accept()
    box.machine.boot()
    box.start()
    school.connected()
    for number in range(max(2, count)):
        way = 1 if number % 2 else -1
        school.hub.step(way * HOUR_S)
        school.forward(31)
        school.wait_at_city(box.expect("accepted"))
        if number % 2:
            school.road.hub.kill()
            school.start_keepers()
        box.reboot()
        box.start()
        _taps(box, 1)
        school.forward(31)
        school.wait_at_city(box.expect("accepted"))
        school.hub.synchronise()
        school.forward(31)
        school.wait_at_city(box.expect("accepted"))


def midnight(school: ClockSchool, count: int, rng: Random) -> None:
    """Taps over midnight at the end of a month, on gateways with other time zones, one of which is changed."""
    school.hub.synchronise()
    school.start_keepers()
    boxes = [school.add("tz-hcm", "auto", zone="Asia/Ho_Chi_Minh"), school.add("tz-ny", "ntp", zone="America/New_York")]
    school.road.accept()
    for box in boxes:
        box.machine.boot()
        box.machine.synchronise()
        box.exact = True
        box.start()
    to_midnight_s = (unix_ms_of("2027-03-01T00:00:00.000+07:00") * 1_000_000 - school.world.now_ns()) / 1e9
    school.forward(to_midnight_s - 0.6)
    while school.world.now_ns() < unix_ms_of("2027-03-01T00:00:00.400+07:00") * 1_000_000:
        for box in boxes:
            _taps(box, 1)
    changed = boxes[1]
    assert changed.part.environment is not None
    changed.part.stop()
    changed.part.environment["TZ"] = "Pacific/Kiritimati"
    changed.start()
    _taps(changed, count)


def far_future(school: ClockSchool, count: int, rng: Random) -> None:
    """2038, where 32 bits end, and 2106, where the unsigned ones do: tapped over both seconds."""
    school.hub.synchronise()
    box, late = school.add("y2038", "auto"), school.add("y2038-hub", "hub")
    for one in (box, late):
        one.machine.boot()
        one.exact = True
        one.start()
    school.start_keepers()
    school.connected()
    for end_s in (1 << 31, 1 << 32):
        school.forward(end_s - 1 - school.world.now_ns() / 1e9)
        school.hub.synchronise()
        box.machine.synchronise()
        while school.world.now_ns() / 1e9 < end_s + 0.3:
            _taps(box, 1)
        late.reboot()
        late.start()
        _taps(late, count)
        school.connected()


def held_up(school: ClockSchool, count: int, rng: Random) -> None:
    """A gateway that is stopped for a third of a second between its looks at two clocks says nothing wrong."""
    school.hub.synchronise()
    school.start_keepers()
    box = school.add("held-up", "ntp")
    school.road.accept()
    box.machine.boot()
    box.exact = True
    for _ in range(count):
        # All that the kernel's bound allows, and the bound where cutting to milliseconds helps least.
        box.machine.synchronise(maxerror_us=1_999, off_us=rng.choice((-1_999, 1_999)))
        if box.part.process is None:
            box.start()
        box.machine.control.rule(0, READ_WALL, skip=rng.randint(0, 2), times=1, delay_s=0.3)
        _taps(box, 1)
    box.machine.control.no_rule(0)


STORIES: Final[dict[str, tuple[str, Story]]] = {
    "anchored-later": (MORNING, anchored_later),
    "steps": (MORNING, steps),
    "reboot-before-anchor": (MORNING, reboot_before_anchor),
    "never-anchored": (MORNING, never_anchored),
    "drifting-week": (MORNING, drifting_week),
    "hub-never-ntp": (MORNING, hub_never_ntp),
    "hub-steps": (MORNING, hub_steps),
    "midnight": ("2027-02-28T23:50:00.000+07:00", midnight),
    "2038": ("2038-01-19T10:00:00.000+07:00", far_future),
    "held-up": (MORNING, held_up),
}
"""Name -> the true time at the beginning, and what happens."""


def tell(name: str, folder: Path, seed: int, count: int) -> Dating:
    """One story in an empty folder, `count` taps at each turn; what the city says at the end. Raises NeedsHands."""
    true_time, story = STORIES[name]
    school = ClockSchool(folder, unix_ms_of(true_time), seed)
    unclean: dict[str, int] = {}
    try:
        story(school, count, Random(seed))
        # Whatever still waits for an anchor has waited long enough.
        school.forward(HOLD_S + 60)
        try:
            school.settled()
        except PartFailed as problem:
            raise PartFailed(f"{problem}; {school.trouble()}") from None
        found = check_dates(school)
        found.problems += check_once(school)
    finally:
        unclean = school.stop()
    found.problems += [f"{part} ended with {code}" for part, code in unclean.items()]
    return found
