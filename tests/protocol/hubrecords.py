"""Golden examples of the records that only hubs write: what people enter at a school, and what the hub finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.cards import parse_card
from protocol.envelope import digest, encode_event, rfc3339
from protocol.records import (
    AttendanceMark,
    CardChanged,
    ConsentChanged,
    DayMark,
    FilesSent,
    HalfDay,
    LeaveNotice,
    MarkBasis,
    RecordForked,
    RollCall,
    TapCorrection,
    WatermarkWaived,
)
from protocol.taps import TapId
from protocol.topics import device_source, hub_source
from tests.protocol.morning import (
    CARD_KEY,
    HUB_JOURNAL,
    JOURNAL_ID_SHOWN,
    SCHOOL,
    SEALED_RAW,
    WALL_MS,
    clock,
)

PUPIL: Final = "st-5f0c2b7e"


def _said() -> Iterator[tuple[str, msgspec.Struct, str | None]]:
    """Kind, data and pupil of each."""
    yield (
        "record.forked",
        RecordForked(f"{JOURNAL_ID_SHOWN}.2", device_source(SCHOOL, "cong"), '{"specversion":"1.0"}', clock(5_000)),
        None,
    )
    for kind in ("attendance.correction", "meal.correction"):
        yield (
            kind,
            TapCorrection(
                tap=f"{JOURNAL_ID_SHOWN}.2",
                source=device_source(SCHOOL, "cong"),
                was=None,
                student=PUPIL,
                card=CARD_KEY.keyed(parse_card("w24:BEADDE")),
                why="rederived",
                detail="format=w26&order=reversed",
                by="quantri",
                clock=clock(5_000),
            ),
            PUPIL,
        )
    yield (
        "attendance.rollcall",
        RollCall(
            school_class="6A1",
            day="2026-11-23",
            half="am",
            states={PUPIL: "unexcused"},
            how="page",
            by="co-lan",
            clock=clock(5_000),
            reason="đã gọi cho gia đình",
            confirms=True,
        ),
        None,
    )
    yield (
        "attendance.leave",
        LeaveNotice(PUPIL, HalfDay("2026-11-23", "am"), HalfDay("2026-11-24", "pm"), None, "co-lan", clock(5_000)),
        PUPIL,
    )
    yield (
        "card.changed",
        CardChanged(
            card=CARD_KEY.keyed(parse_card("a:04A1B2C3D4E580")),
            student=PUPIL,
            change="issued",
            since=rfc3339(WALL_MS),
            raw=SEALED_RAW,
            by="van-phong",
            clock=clock(5_000),
        ),
        PUPIL,
    )
    yield (
        "watermark.waived",
        WatermarkWaived(
            device="cong-sau",
            through=rfc3339(WALL_MS + 34_000_000),
            by="thay-minh",
            reason="Cổng sau mất điện từ 06:40, bảo vệ ghi tay / no power at the back gate since 06:40, listed by hand",
            clock=clock(34_100_000),
        ),
        None,
    )
    yield (
        "attendance.mark",
        AttendanceMark(
            school_class="6A1",
            day="2026-11-23",
            half="am",
            number=3,
            rules="attendance-1",
            watermark=MarkBasis(rfc3339(WALL_MS + 34_000_000), True, {"cong-sau": "thay-minh"}, {}),
            marks={
                PUPIL: DayMark("Tardy", 12, evidence=[f"{JOURNAL_ID_SHOWN}.2"]),
                "st-77ad01c3": DayMark("Unexcused Absence", by="co-lan", evidence=[f"{HUB_JOURNAL}.5"]),
            },
            retracts={PUPIL: "Absent"},
            clock=clock(5_000),
        ),
        None,
    )
    yield (
        "consent.changed",
        ConsentChanged(
            student=PUPIL,
            purpose="messages",
            given=True,
            at=rfc3339(WALL_MS),
            by="van-phong",
            clock=clock(5_000),
            guardian="mother",
            signed="2026-09-05",
        ),
        PUPIL,
    )
    yield (
        "files.sent",
        FilesSent(
            number=7,
            manifest="b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
            by="thay-minh",
            to="phòng giáo dục, qua thư điện tử",
            clock=clock(5_000),
        ),
        None,
    )


def hub_records() -> dict[str, bytes]:
    """Kind -> a record's exact bytes."""
    return {
        kind: encode_event(
            TapId(HUB_JOURNAL, number),
            source=hub_source(SCHOOL, "tram"),
            kind=kind,
            time_ms=WALL_MS,
            recorded_ms=WALL_MS,
            prev=digest(b"the hub's record before"),
            data=data,
            subject=None if student is None else f"student/{student}",
        )
        for number, (kind, data, student) in enumerate(_said(), 2)
    }
