"""The envelope: exact bytes out, the same values in, and a clear refusal for everything else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import (
    EVENT_BYTES_MAX,
    EVENT_TYPES,
    NESTING_MAX,
    decode_data,
    decode_event,
    digest,
    digest_bytes,
    encode_event,
    expected_event,
    is_digest,
    octets_of,
    rfc3339,
    text_of,
    unix_ms_of,
)
from protocol.errors import BadMessage
from protocol.taps import SEQUENCE_MAX, TapData, TapId, parse_tap_id

JOURNAL = "0b6f5c9e7d2a4f18"
SOURCE = "urn:k12edge:dev:s1-gate"
PREV = digest(b"the record before")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=12), JSON, max_size=6)
SEQUENCES = st.integers(1, SEQUENCE_MAX)
MOMENTS_MS = st.integers(0, 4_102_444_800_000)


def record(sequence: int = 213, data: Any = None, **more: Any) -> bytes:
    return encode_event(
        TapId(JOURNAL, sequence),
        source=SOURCE,
        kind=more.pop("kind", "attendance.tap"),
        time_ms=more.pop("time_ms", 1_795_392_000_417),
        recorded_ms=more.pop("recorded_ms", 1_795_392_000_431),
        prev=None if sequence == 1 else PREV,
        data={"a": 1} if data is None else data,
        **more,
    )


@given(SEQUENCES, OBJECTS, MOMENTS_MS, st.sampled_from(EVENT_TYPES), st.none() | st.text(max_size=40))
def test_round_trip(sequence: int, data: dict[str, Any], time_ms: int, kind: str, subject: str | None) -> None:
    raw = record(sequence, data, time_ms=time_ms, recorded_ms=time_ms + 3, kind=kind, subject=subject)
    assert b"\n" not in raw
    event = decode_event(raw)
    assert event.tap == TapId(JOURNAL, sequence)
    assert (event.name, event.source, event.subject) == (kind, SOURCE, subject)
    assert (unix_ms_of(event.time), unix_ms_of(event.recordedtime)) == (time_ms, time_ms + 3)
    assert msgspec.json.decode(event.data) == data
    assert expected_event(raw, JOURNAL, sequence, SOURCE) == event
    assert json.loads(raw)["sequence"] == f"{sequence:012d}"


def test_bytes_are_these_for_ever() -> None:
    assert record() == (
        b'{"specversion":"1.0","id":"0b6f5c9e7d2a4f18.213","source":"urn:k12edge:dev:s1-gate",'
        b'"type":"vn.k12edge.attendance.tap.v1","time":"2026-11-23T07:00:00.417+07:00",'
        b'"recordedtime":"2026-11-23T07:00:00.431+07:00","sequence":"000000000213",'
        b'"datacontenttype":"application/json","dataschema":"urn:k12edge:schema:attendance.tap.v1",'
        b'"prev":"' + PREV.encode() + b'","data":{"a":1}}'
    )


def test_fast_and_slow_reading_agree() -> None:
    """Whatever field is broken: what the intake's fast way refuses, the slow one explains or finds to be elsewhere."""
    whole = json.loads(record())
    for field in whole:
        for value in (None, "", "x", 7, [], {}, True):
            changed = json.dumps(whole | {field: value}).encode()
            fast = expected_event(changed, JOURNAL, 213, SOURCE)
            try:
                slow = decode_event(changed)
            except BadMessage:
                chained = field == "prev" and value is not None  # the chain is the intake's to check
                assert fast is None or chained or field == "data", (field, value)
            else:
                same = slow.id == whole["id"] and slow.source == whole["source"]
                assert (fast is not None) == same, (field, value)


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "vn.k12edge.attendance.tap.v2"},
        {"type": "vn.k12edge.unknown.v1"},
        {"type": "com.example.tap"},
        {"id": "0b6f5c9e7d2a4f18.214"},
        {"id": "0B6F5C9E7D2A4F18.213"},
        {"id": "0b6f5c9e7d2a4f18.0213"},
        {"id": "0b6f5c9e7d2a4f18.٢١٣"},
        {"id": "0b6f5c9e7d2a4f18"},
        {"sequence": "213"},
        {"sequence": "000000000214"},
        {"prev": None},
        {"prev": "short"},
        {"prev": "=" * 43},
        {"dataschema": "urn:k12edge:schema:meal.pickup.v1"},
        {"data": []},
        {"data": "text"},
        {"data": None},
    ],
    ids=str,
)
def test_a_broken_rule_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(BadMessage) as refused:
        decode_event(json.dumps(json.loads(record()) | change).encode())
    assert refused.value.code == "bad-message"
    assert str(refused.value)


def test_prev_is_null_for_the_first_record_only() -> None:
    assert decode_event(record(1)).prev is None
    with pytest.raises(BadMessage, match="prev"):
        decode_event(json.dumps(json.loads(record(1)) | {"prev": PREV}).encode())


@pytest.mark.parametrize("field", ["specversion", "id", "source", "type", "time", "sequence", "prev", "data"])
def test_a_missing_field_is_refused(field: str) -> None:
    whole = json.loads(record())
    del whole[field]
    with pytest.raises(BadMessage):
        decode_event(json.dumps(whole).encode())


@given(st.binary(max_size=400))
def test_hostile_bytes_are_refused_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_event(raw)
    assert expected_event(raw, JOURNAL, 1, SOURCE) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b'{"specversion":"1.0","specversion":1}',
        b'\xff\xfe{"specversion":"1.0"}',
        b'"\\ud800"',
        b"1e999999",
        b"null",
        b"",
    ],
    ids=range(8),
)
def test_hostile_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_event(raw)


@given(st.data())
def test_a_changed_byte_changes_the_digest_or_is_refused(data: st.DataObject) -> None:
    raw = bytearray(record())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert digest(bytes(raw)) != digest(record())


def test_a_record_has_a_bound_on_both_sides() -> None:
    fits = EVENT_BYTES_MAX - len(record(data={"x": ""}))
    assert len(record(data={"x": "a" * fits})) == EVENT_BYTES_MAX
    with pytest.raises(BadMessage, match=str(EVENT_BYTES_MAX)):
        record(data={"x": "a" * (fits + 1)})
    with pytest.raises(BadMessage, match=str(EVENT_BYTES_MAX)):
        decode_event(record(data={"x": "a" * fits}) + b" ")


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_a_depth_of_ours_whoever_reads(left: str, right: str) -> None:
    """A JSON reader's own limit goes with the stack it stands on: taken at the door, unreadable in the audit."""
    raw = record(data={"x": 1})
    deepest = raw.replace(b'"x":1', f'"x":{left * (NESTING_MAX - 2)}1{right * (NESTING_MAX - 2)}'.encode())
    deeper = raw.replace(b'"x":1', f'"x":{left * (NESTING_MAX - 1)}1{right * (NESTING_MAX - 1)}'.encode())
    event = decode_event(deepest)
    assert expected_event(deepest, event.tap.journal, event.tap.sequence, event.source) is not None
    assert expected_event(deeper, event.tap.journal, event.tap.sequence, event.source) is None
    with pytest.raises(BadMessage, match=f"nests deeper than {NESTING_MAX}"):
        decode_event(deeper)
    # Many beside each other, and brackets within texts, are no depth.
    assert decode_event(raw.replace(b'"x":1', b'"x":[' + b"[]," * 200 + b'[]],"y":"' + b"[{" * 200 + b'\\""'))


@pytest.mark.parametrize("number", ["9" * 4301, "1e999", "-1E400", "1" + "0" * 300 + "e300"])
def test_a_number_that_other_readers_refuse_is_refused_at_the_door(number: str) -> None:
    """Where it was only skipped over, the record stood in the ledger and no page of the audit could be read."""
    raw = record(data={"x": 1})
    tap = decode_event(raw).tap
    for place in (f'"x":{number}', f'"x":[{{"y":{number}}}]'):
        wrong = raw.replace(b'"x":1', place.encode())
        with pytest.raises(BadMessage, match="a number that not every reader takes"):
            decode_event(wrong)
        assert expected_event(wrong, tap.journal, tap.sequence, decode_event(raw).source) is None
    # As a text, or in the size that every reader takes, it is nothing special.
    assert decode_event(raw.replace(b'"x":1', f'"x":"{number}"'.encode()))
    assert decode_event(raw.replace(b'"x":1', b'"x":' + b"9" * 300))


def test_data_of_another_shape_is_refused() -> None:
    with pytest.raises(BadMessage, match="not of its type"):
        decode_data(decode_event(record()), TapData)


@given(MOMENTS_MS)
def test_times_keep_their_milliseconds(unix_ms: int) -> None:
    text = rfc3339(unix_ms)
    assert text.endswith("+07:00")
    assert len(text) == 29
    assert unix_ms_of(text) == unix_ms


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T06:58:12.417",
        "2026-11-23",
        "06:58:12",
        "2026-11-23T06:58+07:00",
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "2026-11-23 06:58:12Z",
        "20261123T065812Z",
        "2026-W48-1T06:58:12Z",
        "٢٠٢٦-11-23T06:58:12Z",
        "2026-11-23T06:58:12z",
        "2026-11-23T06:58:12+07",
        "2026-11-23T24:00:00Z\n",
        "2026-11-23T24:00:00.000+07:00",
    ],
)
def test_naive_and_cut_times_are_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        unix_ms_of(text)


def test_times_of_other_offsets_are_the_same_moment() -> None:
    assert unix_ms_of("2026-11-22T23:58:12.417Z") == unix_ms_of("2026-11-23T06:58:12.417+07:00")
    assert unix_ms_of("1970-01-01T00:00:00.000Z") == 0
    assert unix_ms_of("0001-01-01T00:00:00+23:59") < unix_ms_of("9999-12-31T23:59:59-23:59")


@given(st.binary(max_size=70))
def test_base64url_has_one_form(octets: bytes) -> None:
    text = text_of(octets)
    assert "=" not in text
    assert octets_of(text) == octets
    assert octets_of(text, len(octets)) == octets
    with pytest.raises(BadMessage):
        octets_of(text, len(octets) + 1)


@pytest.mark.parametrize("text", ["A", "A=", "AA==", "AB", "A+", "A/", "A A", "AAA\n", "é"])
def test_other_forms_of_base64_are_refused(text: str) -> None:
    """Also non-canonical last bits (AB): one digest has one text."""
    with pytest.raises(BadMessage):
        octets_of(text)


@given(st.binary(max_size=40))
def test_every_digest_looks_like_one(raw: bytes) -> None:
    assert is_digest(digest(raw))
    assert octets_of(digest(raw), 32) == digest_bytes(raw)


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "+", "é" * 43, "A" * 42 + "="])
def test_what_is_no_digest(text: str) -> None:
    assert not is_digest(text)


@given(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), SEQUENCES)
def test_names_round_trip(journal: str, sequence: int) -> None:
    name = TapId(journal, sequence)
    assert parse_tap_id(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        JOURNAL,
        f"{JOURNAL}.",
        f"{JOURNAL}.0",
        f"{JOURNAL}.01",
        f"{JOURNAL}.-1",
        f"{JOURNAL}.1.2",
        f"{JOURNAL}.1000000000000",
        f"{JOURNAL[1:]}.1",
        f"{JOURNAL.upper()}.1",
        f"{JOURNAL}.²",
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert parse_tap_id(text) is None
