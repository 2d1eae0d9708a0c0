"""Topics, sources, the bodies of states, and the audit form."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit import cursor_of, encode_page, range_digest
from protocol.envelope import octets_of
from protocol.errors import BadMessage
from protocol.status import DeviceConfig, DeviceState, HubState, decode_body
from protocol.taps import SIGNAL_WORDS, SLUG, TAP_TYPES, tap_type
from protocol.time import Effective
from protocol.topics import DEVICE_TOPICS, device_source, device_topic, hub_source, parse_device_topic
from tests.protocol.schemas import examples

SLUGS = st.from_regex(SLUG, fullmatch=True)


@given(SLUGS, SLUGS, st.sampled_from(DEVICE_TOPICS))
def test_topics_round_trip(school: str, device: str, leaf: str) -> None:
    found = parse_device_topic(device_topic(school, device, leaf))
    assert found is not None
    assert (found.school, found.device, found.leaf) == (school, device, leaf)
    assert device_source(school, device) != hub_source(school, device)


@pytest.mark.parametrize(
    "topic",
    ["", "k12/1/s/dev/d", "k12/1/s/dev/d/ev/x", "k12/1/s/dev/d/other", "k12/2/s/dev/d/ev", "k12/1/s/hub/state",
     "k12/1/S/dev/d/ev", "k12/1/s/dev/+/ev", "k12/1/s/dev/#/ev", "k12/1/s/dev//ev", "k12/1//dev/d/ev",
     "k12/1/s/dev/d\n/ev", "k12/1/s/dev/-d/ev", "/k12/1/s/dev/d/ev"],
)  # fmt: skip
def test_what_is_no_topic_of_a_device(topic: str) -> None:
    assert parse_device_topic(topic) is None


def test_the_longest_names_make_a_topic() -> None:
    for leaf in DEVICE_TOPICS:
        found = parse_device_topic(device_topic("s" * 64, "d" * 64, leaf))
        assert found is not None and (found.school, found.device, found.leaf) == ("s" * 64, "d" * 64, leaf)
        assert parse_device_topic(device_topic("s" * 65, "d" * 64, leaf)) is None


@given(st.text(max_size=60))
def test_any_text_is_a_topic_or_none(topic: str) -> None:
    found = parse_device_topic(topic)
    assert found is None or device_topic(found.school, found.device, found.leaf) == topic


@pytest.mark.parametrize(
    ("name", "shape"), [("device.state", DeviceState), ("hub.state", HubState), ("device.config", DeviceConfig)]
)
def test_bodies_need_their_fields(name: str, shape: type) -> None:
    whole = json.loads(examples()[name])
    assert decode_body(examples()[name], shape)
    for field in shape.__struct_fields__[: len(shape.__struct_fields__) - len(shape.__struct_defaults__)]:  # type: ignore[attr-defined]
        with pytest.raises(BadMessage, match=shape.__name__):
            decode_body(json.dumps({key: value for key, value in whole.items() if key != field}).encode(), shape)


@given(st.binary(max_size=100))
def test_hostile_bodies_are_refused(body: bytes) -> None:
    for shape in (DeviceState, HubState, DeviceConfig):
        with pytest.raises(BadMessage):
            decode_body(body, shape)


def test_a_canteen_never_refuses_food() -> None:
    assert tap_type("canteen", "refused") == "meal.referred"
    assert {tap_type(kind, "refused") for kind in ("gate", "desk", "care")} == {"card.refused"}  # type: ignore[arg-type]
    made = {tap_type(kind, decision) for kind in ("gate", "canteen", "desk", "care") for decision in SIGNAL_WORDS}  # type: ignore[arg-type]
    assert made == set(TAP_TYPES)


def test_a_page_tells_bytes_as_they_are_and_where_to_go_on() -> None:
    raw = b'{"a" : 1,  "b":"\xc4\x91"}'
    page = encode_page([(7, raw, Effective(1_000, None, 2_000, "bounded"))], more=True)
    assert raw in page
    told = json.loads(page)
    assert told["next"] == "7"
    assert told["items"][0]["effective"] == {
        "best": "1970-01-01T07:00:01.000+07:00",
        "not_before": None,
        "not_after": "1970-01-01T07:00:02.000+07:00",
        "quality": "bounded",
    }
    assert json.loads(encode_page([(7, raw, Effective(0, None, None, "estimated"))], more=False))["next"] is None
    three = [(number, raw, Effective(0, None, None, "estimated")) for number in (7, 8, 11)]
    assert json.loads(encode_page(three, more=True))["next"] == "11"
    assert json.loads(encode_page([], more=False)) == {"items": [], "next": None}


@pytest.mark.parametrize(("after", "position"), [(None, 0), ("", 0), ("0", 0), ("42", 42), ("9" * 18, 10**18 - 1)])
def test_a_cursor_is_what_a_page_said(after: str | None, position: int) -> None:
    assert cursor_of(after) == position


@pytest.mark.parametrize("after", ["-1", "1.0", "x", " 1", "٤٢", "9" * 19, "1e5"])
def test_what_is_no_cursor(after: str) -> None:
    with pytest.raises(BadMessage):
        cursor_of(after)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_a_ranges_digest_is_over_the_raw_digests(digests: list[bytes]) -> None:
    found = range_digest(iter(digests))
    assert found.count == len(digests)
    assert octets_of(found.sha256) == hashlib.sha256(b"".join(digests)).digest()
