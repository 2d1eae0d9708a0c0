"""The published schemas and golden examples, made from the types: `python -m tests.protocol.schemas` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from edge.signals import _Line as Signal
from hub.city.k12records import _Problem as CityProblem
from hub.city.k12records import _Result as CityResult
from hub.city.k12records import _Results as CityAnswer
from protocol.audit import EffectiveText, Item, Page, RangeDigest, encode_page, range_digest
from protocol.batch import BATCH_EVENTS_MAX, Header, encode_batch
from protocol.cards import parse_card
from protocol.countersheet import CounterSheet, Eater, MealPlan, SealedSheet, Shift
from protocol.envelope import (
    EVENT_TYPES,
    SCHEMA_PREFIX,
    TYPE_PREFIX,
    Event,
    digest,
    digest_bytes,
    encode_event,
    rfc3339,
)
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
from protocol.meals import ByHand, MealTap
from protocol.rawread import RawRead
from protocol.receipts import HubTime, JournalMarks, Mark, Receipt
from protocol.records import (
    DATA_TYPES,
    AttendanceMark,
    BootAnchored,
    CardChanged,
    ConsentChanged,
    DayMark,
    DeviceAlarm,
    DeviceWatermark,
    FilesSent,
    HalfDay,
    JournalHead,
    JournalOpened,
    LeaveNotice,
    LogGap,
    MarkBasis,
    MealRated,
    PreviousJournal,
    RecordForked,
    RollCall,
    TapCorrection,
    Unseeing,
    WatermarkWaived,
)
from protocol.roster import Release
from protocol.served import Told, Word
from protocol.status import DeviceConfig, DeviceState, HeldJournal, HubState, ReaderCounters, hub_text
from protocol.taps import (
    JOURNAL_ID,
    SEQUENCE_MAX,
    SIGNAL_WORDS,
    STATION_KINDS,
    SYNCS,
    TYPE_CHARACTERS_MAX,
    ClockData,
    TapData,
    TapId,
    tap_type,
)
from protocol.time import Effective
from protocol.topics import device_source
from tests.protocol import asyncapi
from tests.protocol.hubrecords import hub_records
from tests.protocol.morning import (
    BOOT_ID,
    CARD_KEY,
    DEVICE,
    HUB,
    JOURNAL_ID_SHOWN,
    ROSTER,
    SCHOOL,
    SEALED_CARD_KEY,
    SEALED_HK0,
    SEALED_RAW,
    SEALED_RAW0,
    WALL_MS,
    clock,
)

FOLDER: Final = Path(__file__).resolve().parents[2] / "protocol" / "schema" / "v1"

MESSAGES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "event": Event,
    "batch": Header,
    "receipt": Receipt,
    "device.state": DeviceState,
    "device.config": DeviceConfig,
    "hub.state": HubState,
    "roster": Release,
    "signal": Signal,
    "audit.page": Page,
    "audit.digest": RangeDigest,
    "city.answer": CityAnswer,
    "served": Word,
    "sheet": SealedSheet,
    "countersheet": CounterSheet,
}
"""What travels beside the data of records."""

SHAPES: Final = (
    *(Event, ClockData, TapData, JournalOpened, PreviousJournal, JournalHead, BootAnchored, DeviceAlarm, LogGap),
    *(
        DeviceWatermark,
        Unseeing,
        WatermarkWaived,
        RecordForked,
        TapCorrection,
        RollCall,
        LeaveNotice,
        HalfDay,
        AttendanceMark,
        MarkBasis,
        DayMark,
        CardChanged,
        ConsentChanged,
        FilesSent,
        Header,
        Receipt,
        JournalMarks,
        Mark,
        HubTime,
        DeviceState,
        HeldJournal,
        ReaderCounters,
        DeviceConfig,
        HubState,
    ),
    *(Release, Signal, Page, Item, EffectiveText, RangeDigest, CityAnswer, CityResult, CityProblem, RawRead),
    *(MealEnrolled, MealPortion, MealCut, MealClosed, MealService, SheetLocked, Portions, MealAdjusted),
    *(MealMonth, MealDays, MealComplaint),
    *(MealTap, ByHand, MealRated, Word, Told, SealedSheet, CounterSheet, MealPlan, Shift, Eater),
)
"""Every type of a message, named in docs/reference/messages.md with its fields."""

# --- what the types can't say: forms of texts, bounds of numbers, from the rooms that check them ----------------------

JOURNAL: Final = {"pattern": f"^{JOURNAL_ID.pattern}$"}
DIGEST: Final = {"pattern": "^[A-Za-z0-9_-]{43}$"}
SIGNATURE: Final = {"pattern": "^[A-Za-z0-9_-]{86}$"}
BOOT: Final = {"pattern": "^[0-9a-f]{8}$"}
TAP_ID: Final = {"pattern": f"^{JOURNAL_ID.pattern}\\.[1-9][0-9]{{0,11}}$"}
MOMENT: Final = {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
DAY: Final = {"pattern": r"^\d{4}-\d\d-\d\d$"}
CARD: Final = {"pattern": "^hk[0-9]+:[A-Za-z0-9_-]{11}$"}
SOURCE: Final = {"pattern": "^urn:k12edge:(dev|hub):[a-z0-9-]+$"}
SHA256: Final = {"pattern": "^[0-9a-f]{64}$"}
NATURAL: Final = {"minimum": 0}
PLACE: Final = {"minimum": 1, "maximum": SEQUENCE_MAX}
THROUGH: Final = {"minimum": 0, "maximum": SEQUENCE_MAX}

FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Event.specversion": {"const": "1.0"},
    "Event.id": TAP_ID,
    "Event.source": SOURCE,
    "Event.type": {"enum": [f"{TYPE_PREFIX}{name}.v1" for name in EVENT_TYPES]},
    "Event.time": MOMENT,
    "Event.recordedtime": MOMENT,
    "Event.sequence": {"pattern": "^[0-9]{12}$"},
    "Event.datacontenttype": {"const": "application/json"},
    "Event.dataschema": {"enum": [f"{SCHEMA_PREFIX}{name}.v1" for name in EVENT_TYPES]},
    "Event.prev": DIGEST,
    "Event.data": {"type": "object"},
    "ClockData.boot": BOOT,
    "ClockData.mono": NATURAL,
    "ClockData.wall": MOMENT,
    "ClockData.err": NATURAL,
    "TapData.card": CARD,
    "TapData.dir": {"enum": ["in", "out"]},
    "TapData.signal": {"enum": sorted(SIGNAL_WORDS.values())},
    "TapData.type": {"pattern": f"^[ -~]{{1,{TYPE_CHARACTERS_MAX}}}$"},
    "JournalOpened.journal": JOURNAL,
    "JournalOpened.key": DIGEST,
    "PreviousJournal.journal": JOURNAL,
    "PreviousJournal.last": PLACE,
    "PreviousJournal.head": DIGEST,
    "JournalHead.through": PLACE,
    "JournalHead.head": DIGEST,
    "JournalHead.sig": SIGNATURE,
    "BootAnchored.boot": BOOT,
    "BootAnchored.mono": NATURAL,
    "BootAnchored.wall": MOMENT,
    "BootAnchored.err": NATURAL,
    "LogGap.journal": JOURNAL,
    "LogGap.first": PLACE,
    "LogGap.last": PLACE,
    "DeviceWatermark.last": PLACE,
    "DeviceWatermark.complete_to": MOMENT,
    "Unseeing.since": MOMENT,
    "Unseeing.until": MOMENT,
    "WatermarkWaived.through": MOMENT,
    "RecordForked.id": TAP_ID,
    "RecordForked.source": SOURCE,
    "TapCorrection.tap": TAP_ID,
    "TapCorrection.source": SOURCE,
    "TapCorrection.card": CARD,
    "RollCall.day": DAY,
    "RollCall.seen": MOMENT,
    "HalfDay.day": DAY,
    "LeaveNotice.withdraws": TAP_ID,
    "AttendanceMark.day": DAY,
    "AttendanceMark.number": {"minimum": 1},
    "MarkBasis.final": MOMENT,
    "DayMark.minutes": NATURAL,
    "DayMark.more": NATURAL,
    "CardChanged.card": CARD,
    "CardChanged.since": MOMENT,
    "ConsentChanged.at": MOMENT,
    "ConsentChanged.signed": DAY,
    "FilesSent.number": {"minimum": 1},
    "FilesSent.manifest": {"pattern": "^[0-9a-f]{64}$"},
    "Header.journal": JOURNAL,
    "Header.first": PLACE,
    "Header.count": {"minimum": 1, "maximum": BATCH_EVENTS_MAX},
    "Header.head": DIGEST,
    "Header.sig": SIGNATURE,
    "Header.body": DIGEST,
    "Header.bodysig": SIGNATURE,
    "Mark.through": THROUGH,
    "Mark.head": DIGEST,
    "HeldJournal.head": DIGEST,
    "HeldJournal.last": THROUGH,
    "HeldJournal.pruned_through": THROUGH,
    "DeviceState.state": {"const": "ready"},
    "DeviceState.key": DIGEST,
    "DeviceState.box": DIGEST,
    "DeviceState.boot": BOOT,
    "DeviceState.mono": NATURAL,
    "DeviceState.wall": MOMENT,
    "DeviceState.sync": {"enum": sorted(SYNCS)},
    "DeviceState.journal": JOURNAL,
    "DeviceState.owed": NATURAL,
    "HubState.state": {"enum": ["lost", "ready"]},
    "HubState.key": DIGEST,
    "HubState.box": DIGEST,
    "HubState.sig": SIGNATURE,
    "HubTime.echo_boot": BOOT,
    "HubTime.echo_mono": NATURAL,
    "Release.kind": {"enum": sorted(STATION_KINDS)},
    "Release.number": {"minimum": 1},
    "_Line.signal": {"enum": ["accepted", "alarm", "refused", "repeated", "wait"]},
    "_Line.tap": TAP_ID,
    "_Line.card": CARD,
    "_Line.mono_ms": NATURAL,
    "ByHand.of": TAP_ID,
    "MealTap.day": DAY,
    "MealRated.day": DAY,
    **dict.fromkeys(("MealEnrolled.first", "MealEnrolled.last", "MealPortion.first", "MealPortion.last"), DAY),
    **dict.fromkeys(("MealCut.first", "MealCut.last", "MealClosed.day", "MealService.day"), DAY),
    **dict.fromkeys(("SheetLocked.day", "MealAdjusted.day"), DAY),
    "MealCut.withdraws": TAP_ID,
    "MealService.seen": MOMENT,
    "SheetLocked.due": MOMENT,
    "SheetLocked.frozen": MOMENT,
    "SheetLocked.digest": SHA256,
    "MealMonth.month": {"pattern": r"^\d{4}-\d\d$"},
    "MealMonth.evidence": SHA256,
    "MealComplaint.month": {"pattern": r"^\d{4}-\d\d$"},
    "MealComplaint.day": DAY,
    "MealComplaint.answers": TAP_ID,
    "Word.run": JOURNAL,
    "Told.tap": TAP_ID,
    "CounterSheet.made": MOMENT,
    "CounterSheet.day": DAY,
    "Item.event": {"type": "object"},
    "EffectiveText.best": MOMENT,
    "EffectiveText.not_before": MOMENT,
    "EffectiveText.not_after": MOMENT,
    "EffectiveText.quality": {"enum": ["anchored", "bounded", "estimated"]},
    "RangeDigest.count": NATURAL,
    "RangeDigest.sha256": DIGEST,
}


def schema_of(name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a type: msgspec's own, with the forms above."""
    schema, components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for title, component in components.items():
        component["title"] = title.removeprefix("_")
        for field, told in component.get("properties", {}).items():
            extra = FORMS.get(f"{title}.{field}")
            if extra is not None:
                _tighten(told, extra)
    top = components.pop(kind.__name__)
    assert schema == ({"$ref": f"#/$defs/{kind.__name__}"},)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA_PREFIX}{name}.v1",
        **top,
        **({"$defs": components} if components else {}),
    }


def _tighten(told: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Put a form onto a property; where null may stand instead, onto the other branch."""
    branches = told.get("anyOf")
    target = told if branches is None else next(branch for branch in branches if branch != {"type": "null"})
    target.update(extra)


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> schema, of the data of every record type that is written, and of every message."""
    return {name: schema_of(name, kind) for name, kind in {**DATA_TYPES, **MESSAGES}.items()}


# --- golden examples: one gateway's morning, always the same bytes ----------------------------------------------------


def tap(kind: Any, point: str, decision: Any, reason: Any, mono_ms: int, **more: Any) -> tuple[str, Any, str | None]:
    student = None if decision == "refused" else "st-5f0c2b7e"
    data = TapData(
        kind=kind,
        point=point,
        dir="in" if kind == "gate" else None,
        card=CARD_KEY.keyed(parse_card("a:04A1B2C3D4E580")),
        student=student,
        decision=decision,
        reason=reason,
        signal=SIGNAL_WORDS[decision],
        roster=ROSTER,
        clock=clock(mono_ms),
        **more,
    )
    return tap_type(kind, decision), data, None if student is None else f"student/{student}"


def morning() -> Iterator[tuple[str, Any, str | None]]:
    """What a gateway with a station of each kind writes: type, data, subject."""
    before = PreviousJournal("91c4e07ab35d6f20", 2041, digest(b"its last record"))
    yield "journal.opened", JournalOpened(JOURNAL_ID_SHOWN, before, DEVICE.key, "0.1.0", clock(1_000)), None
    yield tap("gate", "cong-a", "accepted", None, 31_822_417)
    lunch = MealTap("2026-11-23", "lunch")
    yield tap("canteen", "quay-1", "accepted", None, 31_823_000, meal=lunch)
    yield tap("canteen", "quay-1", "refused", "unknown", 31_824_000, raw=SEALED_RAW, meal=lunch)
    yield tap("gate", "cong-a", "refused", "lost", 31_825_000)
    yield tap("desk", "van-phong", "accepted", None, 31_826_000)
    yield tap("care", "y-te", "repeated", "repeat", 31_827_000)
    yield "meal.rated", MealRated("quay-1", "2026-11-23", "lunch", "good", clock(31_827_500)), None
    yield "boot.anchored", BootAnchored(BOOT_ID, 31_828_000, rfc3339(WALL_MS + 31_828_000), 12, "hub"), None
    yield "device.alarm", DeviceAlarm("disk-low", "50331648 bytes are free"), None
    yield "log.gap", LogGap("91c4e07ab35d6f20", 2040, 2041, "journal-damaged"), None
    watermark = DeviceWatermark(
        last=10,
        complete_to=rfc3339(WALL_MS + 33_730_100),
        stations={"cong-a": "gate", "quay-1": "canteen", "van-phong": "desk", "y-te": "care"},
        readers={"cong-a": "ready", "quay-1": "reader-lost", "van-phong": "ready", "y-te": "ready"},
        blind=[Unseeing("quay-1", rfc3339(WALL_MS + 33_655_000), None)],
        clock=clock(33_732_600),
    )
    yield "device.watermark", watermark, None


def records() -> dict[str, bytes]:
    """Type -> exact bytes: one chained journal with a record of each type, and what a hub wrote of a fork."""
    found: dict[str, bytes] = {}
    prev: str | None = None

    def write(kind: str, data: Any, subject: str | None = None) -> None:
        nonlocal prev
        sequence = len(found) + 1
        found[kind] = encode_event(
            TapId(JOURNAL_ID_SHOWN, sequence),
            source=device_source(SCHOOL, "cong"),
            kind=kind,
            time_ms=WALL_MS + 31_822_417,
            recorded_ms=WALL_MS + 31_822_431,
            prev=prev,
            data=data,
            subject=subject,
        )
        prev = digest(found[kind])

    for kind, data, subject in morning():
        write(kind, data, subject)
    through = len(found)
    text = f"k12edge.head.v1\n{JOURNAL_ID_SHOWN}\n{through}\n{prev}".encode("ascii")
    assert prev is not None
    write("journal.head", JournalHead(through, prev, DEVICE.sign(text)))
    return {**found, **hub_records()}


def messages(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Name -> the body of one message each."""
    encode = msgspec.json.encode
    lines = [raw for kind, raw in found.items() if kind not in hub_records()]
    head = digest(lines[-1])
    effective = Effective(WALL_MS + 31_822_417, WALL_MS + 31_822_402, WALL_MS + 31_822_432, "anchored")
    card = CARD_KEY.keyed(parse_card("a:04A1B2C3D4E580"))
    stored = CityResult(device_source(SCHOOL, "cong"), f"{JOURNAL_ID_SHOWN}.2", "stored")
    problem = CityProblem("urn:k12edge:problem:unknown-student", "The city does not know this pupil yet.", True)
    waiting = CityResult(device_source(SCHOOL, "cong"), f"{JOURNAL_ID_SHOWN}.3", "rejected", problem)
    state = DeviceState(
        state="ready",
        connection=3,
        key=DEVICE.key,
        box=DEVICE.box,
        boot=BOOT_ID,
        mono=31_830_000,
        wall=clock(31_830_000).wall,
        sync="ntp",
        version="0.1.0",
        journal=JOURNAL_ID_SHOWN,
        journals={JOURNAL_ID_SHOWN: HeldJournal(1, len(lines), head, 0)},
        owed=2,
        oldest_age_s=1,
        err=15,
        hk0=SEALED_HK0,
        raw0=SEALED_RAW0,
        disk_free_bytes=11_811_160_064,
        rosters={"gate": ROSTER},
        alarms=["disk-low"],
        readers={"cong-a": "ready", "cong-b": "reader-lost"},
        counters={
            "cong-a": ReaderCounters(opens=1, losses=0, looks=95_210, faults=3, sightings=412, unread=1),
            "cong-b": ReaderCounters(opens=0, losses=1, looks=0, faults=0, sightings=0, unread=0),
        },
        partials=["w24-reversed-first"],
    )
    marks = JournalMarks(Mark(len(lines), head, [(5, 6)], parked=[(9, 9)]), Mark(4, digest(lines[3]), dead=[(4, 4)]))
    receipt = Receipt(
        "c0ffee0123456789", {JOURNAL_ID_SHOWN: marks}, HubTime(WALL_MS + 31_830_040, 8, 31_830_000, BOOT_ID)
    )
    hub = HubState("ready", "c0ffee0123456789", HUB.key, HUB.box, city=True)
    return {
        "event": found["attendance.tap"],
        "batch": encode_batch(DEVICE, JOURNAL_ID_SHOWN, 1, lines).partition(b"\n")[0],
        "receipt": encode(receipt),
        "device.state": encode(state),
        "device.config": encode(DeviceConfig(1_795_392_000, [(1, SEALED_CARD_KEY)])),
        "hub.state": encode(replace(hub, sig=HUB.sign(hub_text(hub)))),
        "roster": encode(
            Release(ROSTER, 28_144_811, SCHOOL, "canteen", [1], {card: ["st-5f0c2b7e", "Trần Minh An", "6A1"]})
        ),
        "signal": encode(Signal("accepted", f"{JOURNAL_ID_SHOWN}.2", "cong-a", card, 31_822_431)),
        "audit.page": encode_page([(2, found["attendance.tap"], effective)], more=True),
        "audit.digest": encode(range_digest(digest_bytes(line) for line in lines)),
        "city.answer": encode(CityAnswer([stored, waiting])),
        "served": encode(
            Word(
                JOURNAL_ID_SHOWN,
                12,
                1,
                [Told(1, f"{JOURNAL_ID_SHOWN}.3", card, "st-5f0c2b7e", "2026-11-23", "lunch", shift=2)],
                heard={"quay-b": ("91c4e07ab35d6f20", 7, 3)},
            )
        ),
        "sheet": encode(SealedSheet(1_795_392_000, SEALED_RAW)),
        "countersheet": encode(
            CounterSheet(
                version=1_795_392_000,
                made=rfc3339(WALL_MS + 31_800_000),
                school=SCHOOL,
                day="2026-11-23",
                meals=[
                    MealPlan(
                        "lunch", [Shift(1, "10:30", "11:05", ["1A"], "Nhà ăn 1", ["quay-1"])], menu="2026-11-23-lunch"
                    )
                ],
                eaters=[Eater("st-5f0c2b7e", "Trần Minh An", "1A", "diet", ["lunch"], True, ["đậu phộng"], True)],
                counters={"cong": DEVICE.key},
                cards={card: "ba-lan"},
                staff={"ba-lan": "Bà Lan"},
            )
        ),
    }


def examples() -> dict[str, bytes]:
    """Name -> the golden example's exact bytes: whole records, bodies of messages."""
    found = records()
    return {**found, **messages(found)}


def files() -> dict[str, bytes]:
    """Every file of protocol/schema/v1."""
    made = {
        f"{name}.v1.json": (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()
        for name, schema in schemas().items()
    }
    made["asyncapi.json"] = (json.dumps(asyncapi.document(), indent=2, ensure_ascii=False) + "\n").encode()
    return made | {f"{name}.v1.example.json": raw + b"\n" for name, raw in examples().items()}


# --- a validator of the few keywords used -----------------------------------------------------------------------------

KINDS: Final[Mapping[str, Any]] = {
    "string": str,
    "object": dict,
    "array": list,
    "null": type(None),
    "boolean": bool,
    "number": int | float,
}


def problems(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], at: str = "$") -> list[str]:
    """What of a value breaks a schema; understands the keywords that the schemas here use, and refuses others."""
    unknown = set(schema) - KEYWORDS
    assert not unknown, unknown
    if "$ref" in schema:
        return problems(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root, at)
    if "anyOf" in schema and not any(not problems(branch, value, root, at) for branch in schema["anyOf"]):
        return [f"{at}: {value!r} fits no branch"]
    kind = schema.get("type")
    fits = kind is None or (
        isinstance(value, int) and not isinstance(value, bool) if kind == "integer" else isinstance(value, KINDS[kind])
    )
    if (
        not fits
        or ("enum" in schema and value not in schema["enum"])
        or ("const" in schema and value != schema["const"])
    ):
        return [f"{at}: {value!r} is not {kind or schema.get('enum') or schema.get('const')}"]
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: {value!r} is not {schema['pattern']}")
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        found.append(f"{at}: {len(value)} characters")
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value} is out of bounds")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{at}: {len(value)} items")
        shapes = schema.get("prefixItems") or [schema.get("items") or {}] * len(value)
        for place, (shape, item) in enumerate(zip(shapes, value, strict=False)):
            found += problems(shape, item, root, f"{at}[{place}]")
    if isinstance(value, dict):
        rest = schema.get("additionalProperties", True)
        for name, item in value.items():
            shape = schema.get("properties", {}).get(name, rest)
            if isinstance(shape, dict):
                found += problems(shape, item, root, f"{at}.{name}")
    return found


KEYWORDS: Final = frozenset(
    (
        *("$schema", "$id", "$defs", "$ref", "title", "description", "default"),
        *("type", "properties", "required", "additionalProperties", "enum", "const", "anyOf"),
        *("items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum"),
    )
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, content in made.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
