"""The published schemas are those of the types, the golden examples are what is written today, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.road.intake import examine
from protocol.batch import decode_batch, verify_batch
from protocol.envelope import EVENT_TYPES, decode_data, decode_event
from protocol.errors import BadMessage
from protocol.receipts import decode_receipt
from protocol.records import DATA_TYPES
from protocol.signing import verify
from protocol.topics import DEVICE_TOPICS, device_source, hub_state_topic, roster_topic
from tests.protocol import schemas as made
from tests.protocol.hubrecords import hub_records

RENEW = "run: .venv/bin/python -m tests.protocol.schemas (and think of the gateways that are out there)"
FILES = made.files()
SCHEMAS = made.schemas()
EXAMPLES = made.examples()
KINDS = {**DATA_TYPES, **made.MESSAGES}


def published(name: str) -> Any:
    return json.loads((made.FOLDER / f"{name}.v1.json").read_text(encoding="utf-8"))


def body(name: str) -> Any:
    """The example's part that the schema speaks of: a record's data, a message whole."""
    value = json.loads(EXAMPLES[name])
    return value["data"] if name in DATA_TYPES else value


@pytest.mark.parametrize("name", FILES)
def test_published_file_is_the_one_that_the_types_make(name: str) -> None:
    path: Path = made.FOLDER / name
    assert path.exists(), RENEW
    assert path.read_bytes() == FILES[name], RENEW


def test_no_other_file_is_published() -> None:
    assert {path.name for path in made.FOLDER.iterdir()} == set(FILES)


def test_every_form_belongs_to_a_field() -> None:
    fields = {f"{kind.__name__}.{field.encode_name}" for kind in made.SHAPES for field in msgspec.structs.fields(kind)}
    assert set(made.FORMS) <= fields


@pytest.mark.parametrize("name", SCHEMAS)
def test_example_fits_its_schema_and_type(name: str) -> None:
    schema = published(name)
    assert made.problems(schema, body(name), schema) == []
    read = msgspec.json.decode(json.dumps(body(name)), type=KINDS[name])
    if name not in ("event", "audit.page"):
        assert json.loads(msgspec.json.encode(read)) == body(name), (
            "an example shows no field that the type doesn't know"
        )


@pytest.mark.parametrize("name", DATA_TYPES)
def test_record_fits_the_envelope(name: str) -> None:
    schema = published("event")
    assert made.problems(schema, json.loads(EXAMPLES[name]), schema) == []
    event = decode_event(EXAMPLES[name])
    assert event.dataschema == published(name)["$id"]
    assert isinstance(decode_data(event, DATA_TYPES[name]), DATA_TYPES[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_and_type_refuse_alike(name: str) -> None:
    """A needed field left out, or a value of another kind: the decoder refuses it, and so does the schema."""
    schema, whole = published(name), body(name)
    for field in whole:
        without = {key: value for key, value in whole.items() if key != field}
        changed = whole | {field: [1.5]}
        for value in (without, changed):
            refused = bool(made.problems(schema, value, schema))
            assert _refused(name, value) <= refused, (name, field)
        assert bool(made.problems(schema, without, schema)) == _refused(name, without), (name, field)


def _refused(name: str, value: Any) -> bool:
    try:
        msgspec.json.decode(json.dumps(value), type=KINDS[name])
    except msgspec.ValidationError:
        return True
    return False


def test_type_of_every_record_is_one_of_the_envelope() -> None:
    assert set(DATA_TYPES) <= set(EVENT_TYPES)


def test_examples_are_one_chained_journal() -> None:
    lines = [raw for name, raw in made.records().items() if name not in hub_records()]
    found = examine(lines, made.JOURNAL_ID_SHOWN, 1, device_source(made.SCHOOL, "cong"), None, None)
    assert [record.sequence for record in found.sound] == list(range(1, len(lines) + 1))
    assert not found.faulty


def test_example_batch_carries_them_signed() -> None:
    lines = [raw for name, raw in made.records().items() if name not in hub_records()]
    batch = decode_batch(b"\n".join([EXAMPLES["batch"], *lines]))
    verify_batch(made.DEVICE.key, batch.header)
    assert list(batch.lines) == lines


def test_example_head_is_signed_by_the_key_of_the_first_record() -> None:
    opened, head = (json.loads(EXAMPLES[name])["data"] for name in ("journal.opened", "journal.head"))
    text = f"k12edge.head.v1\n{opened['journal']}\n{head['through']}\n{head['head']}"
    verify(opened["key"], text.encode("ascii"), head["sig"])


def test_example_receipt_is_one() -> None:
    assert decode_receipt(EXAMPLES["receipt"]).journals


def test_sealed_examples_open() -> None:
    assert made.DEVICE.open(made.SEALED_CARD_KEY) == made.CARD_KEY.secret
    assert made.HUB.open(made.SEALED_RAW) == b"a:04A1B2C3D4E580"
    assert len(made.HUB.open(made.SEALED_HK0)) == 32
    assert made.HUB.open(made.SEALED_RAW0) == made.DEVICE.box_seed


def test_a_hostile_record_fits_neither() -> None:
    schema = published("event")
    record = json.loads(EXAMPLES["attendance.tap"])
    for field, value in (("id", "x"), ("sequence", "12"), ("prev", "AA"), ("type", "vn.k12edge.x.v1"), ("data", [])):
        hostile = record | {field: value}
        assert made.problems(schema, hostile, schema), field
        with pytest.raises(BadMessage):
            decode_event(json.dumps(hostile).encode())


def test_every_topic_is_a_channel_and_what_it_refers_to_is_there() -> None:
    document = json.loads((made.FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    addresses = {channel["address"] for channel in document["channels"].values()}
    leaves = {address.rpartition("/")[2] for address in addresses if "/dev/{device}/" in address}
    assert leaves == set(DEVICE_TOPICS)
    assert addresses >= {hub_state_topic("{school}"), roster_topic("{school}", "{kind}")}
    for channel in document["channels"].values():
        for message in channel.get("messages", {}).values():
            assert (made.FOLDER / message["payload"]["schema"]["$ref"]).exists()
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
