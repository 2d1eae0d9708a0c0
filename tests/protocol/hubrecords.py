"""Golden examples of the records that only hubs write: what people enter at a school, and what the hub finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.cards import parse_card
from protocol.envelope import digest, encode_event, rfc3339
from protocol.mealrecords import (
    MealAdjusted,
    MealClosed,
    MealComplaint,
    MealCut,
    MealDays,
    MealEnrolled,
    MealMonth,
    MealPortion,
    MealService,
    Portions,
    SheetLocked,
)
from protocol.records import (
    AttendanceMark,
    CardChanged,
    ConsentChanged,
    DayMark,
    FilesSent,
    HalfDay,
    IncidentPack,
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
    yield from _meals()
    yield "incident.pack", _pack(), None


def _meals() -> Iterator[tuple[str, msgspec.Struct, str | None]]:
    """What is said of one lunch, from its enrolment to its month."""
    day, at = "2026-11-23", clock(5_000)
    yield "meal.enrolled", MealEnrolled(PUPIL, "2026-09-07", None, [0, 1, 2, 3, 4], ["lunch"], "co-hoa", at), PUPIL
    yield "meal.portion", MealPortion(PUPIL, day, day, "porridge", "co-hoa", at), PUPIL
    yield "meal.cut", MealCut(PUPIL, day, day, ["lunch"], None, "phone", "co-hoa", at), PUPIL
    yield "meal.closed", MealClosed(day, ["snack"], closed=True, by="thay-minh", reason="mất nước", clock=at), None
    says = MealComplaint(PUPIL, "2026-11", "Con tôi có ăn trưa ngày 23/11", "ke-toan", at, day, "lunch")
    yield "meal.complaint", says, PUPIL
    yield "meal.service", MealService("3/2", day, "lunch", [PUPIL], rfc3339(WALL_MS), "co-lan", at), None
    sheet, digest_hex = {"3/2": Portions(38, 2, 33, 1, 2)}, "5d" * 32
    due = f"{day}T08:00:00.000+07:00"
    yield (
        "meal.sheet.locked",
        SheetLocked(day, "lunch", "final", 2, due, rfc3339(WALL_MS), "m1", 1, 1, sheet, digest_hex, "-", at),
        None,
    )
    yield (
        "meal.adjusted",
        MealAdjusted(
            day, "lunch", 2, 1, "follows", {"3/2": Portions(cut=1, regular=-1)}, "-", "", at, students=[PUPIL]
        ),
        None,
    )
    yield (
        "meal.month",
        MealMonth(
            "2026-11", "lunch", 2, "m1", 1, 1, {PUPIL: MealDays(21, 2, 1, 17, 1, chargeable=19)}, "a7" * 32,
            "ke-toan", at, differs={PUPIL: MealDays(card=1, hand=-1)}, reason="khiếu nại ngày 12",
        ),
        None,
    )  # fmt: skip


def _pack() -> IncidentPack:
    """A pack that was sent to the city, its only part."""
    return IncidentPack(
        what="sent",
        scope="meal lunch 2026-11-23",
        number=2,
        drill=False,
        made=rfc3339(WALL_MS),
        took=2_140,
        complete=False,
        counts={"eaten": 1, "maybe": 0, "not-eaten": 3},
        kept="9c" * 32,
        by="co-hieu-truong",
        clock=clock(5_000),
        waiting=["quay-b"],
        lists={"eaten": [PUPIL]},
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
