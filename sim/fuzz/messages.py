"""Sound messages: the published examples, and a journal of a gateway whose keys the campaign has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from protocol.envelope import clock_data, digest, encode_event
from protocol.records import BootAnchored, DeviceAlarm, JournalHead, JournalOpened, LogGap, PreviousJournal
from protocol.signing import Identity
from protocol.status import DeviceState, HeldJournal, HubState, hub_text
from protocol.taps import ClockReading, TapData, TapId
from protocol.topics import device_source

SCHOOL: Final = "79000701"
DEVICE: Final = "cong"
SOURCE: Final = device_source(SCHOOL, DEVICE)
JOURNALS: Final = ("0b6f5c9e7d2a4f18", "1c70ad8f2e6b3d95")
BOOT: Final = "7d3e0c2a"
T0_MS: Final = 1_795_391_900_000
RELEASE: Final = "r-20261122T180011Z-28144811"
GATEWAY: Final = Identity(bytes(range(32)), bytes(range(32, 64)))
HUB: Final = Identity(bytes(range(64, 96)), bytes(range(96, 128)))


@cache
def example(name: str) -> bytes:
    """A published example, as `protocol/schema/v1` has it, in the form in which it travels."""
    raw = (resources.files("protocol") / "schema" / "v1" / f"{name}.v1.example.json").read_bytes()
    return msgspec.json.encode(msgspec.json.decode(raw))


@cache
def lines(journal: str) -> tuple[bytes, ...]:
    """One journal of the gateway: its first record, taps of every kind, an anchor, an alarm, a gap, a signed head."""
    made: list[bytes] = []

    def add(kind: str, data: Any, subject: str | None = None) -> None:
        at_ms = T0_MS + 1000 * len(made)
        made.append(
            encode_event(
                TapId(journal, len(made) + 1),
                source=SOURCE,
                kind=kind,
                time_ms=at_ms,
                recorded_ms=at_ms + 9,
                prev=digest(made[-1]) if made else None,
                data=data,
                subject=subject,
            )
        )

    def clock(err_ms: int | None = 15) -> Any:
        at_ms = T0_MS + 1000 * len(made)
        return clock_data(
            ClockReading(BOOT, 1000 * len(made), at_ms, at_ms, "none" if err_ms is None else "ntp", err_ms)
        )

    before = PreviousJournal("91c4e07ab35d6f20", 2041, digest(b"-"))
    add("journal.opened", JournalOpened(journal, before, GATEWAY.key, "0.1.0", clock()))
    add("attendance.tap", _tap("gate", "accepted", None, "st-5f0c2b7e", clock()), "student/st-5f0c2b7e")
    add("meal.pickup", _tap("canteen", "accepted", "no-roster", None, clock(None)))
    add("card.refused", _tap("gate", "refused", "unknown", None, clock(), raw="x" * 80))
    add("meal.referred", _tap("canteen", "refused", "lost", None, clock()))
    add("attendance.tap", _tap("gate", "repeated", "repeat", "st-5f0c2b7e", clock()), "student/st-5f0c2b7e")
    add("boot.anchored", BootAnchored(BOOT, 6000, "2026-11-23T06:58:18.000+07:00", 12, "hub"))
    add("device.alarm", DeviceAlarm("disk-low", "50331648 bytes are free"))
    add("log.gap", LogGap("91c4e07ab35d6f20", 2040, 2041, "journal-damaged"))
    head = f"k12edge.head.v1\n{journal}\n9\n{digest(made[-1])}".encode("ascii")
    add("journal.head", JournalHead(9, digest(made[-1]), GATEWAY.sign(head)))
    return tuple(made)


def _tap(kind: Any, decision: Any, reason: Any, student: str | None, clock: Any, raw: Any = msgspec.UNSET) -> TapData:
    signal = {"accepted": "ok", "repeated": "repeat", "refused": "refused"}[decision]
    point, way = ("cong-a", "in") if kind == "gate" else ("quay-1", None)
    return TapData(kind, point, way, "hk1:sNZBLYvYFfc", student, decision, reason, signal, RELEASE, clock, raw)


def device_state(journals: Sequence[str] = JOURNALS) -> bytes:
    """The gateway's state message's body."""
    held = {name: HeldJournal(1, len(lines(name)), digest(lines(name)[-1]), 0) for name in journals}
    state = DeviceState(
        "ready", 3, GATEWAY.key, GATEWAY.box, BOOT, 31_830_000, "2026-11-23T06:58:19.000+07:00", "hub", "0.1.0",
        journals[-1], held, 7, 12, 20, rosters={"gate": RELEASE}, alarms=["disk-low"], readers={"cong-a": "ready"},
    )  # fmt: skip
    return msgspec.json.encode(state)


def hub_state(epoch: str = "c0ffee0123456789") -> bytes:
    """The hub's state, signed."""
    state = HubState("ready", epoch, HUB.key, HUB.box, city=True)
    return msgspec.json.encode(msgspec.structs.replace(state, sig=HUB.sign(hub_text(state))))
