"""The MQTT side as an AsyncAPI 3.1 document, from the hub's seat: made from the topics, referring to the schemas."""

from __future__ import annotations

from typing import Any, Final

from protocol.taps import SLUG, STATION_KINDS
from protocol.topics import DEVICE_TOPICS, device_topic, hub_state_topic, roster_topic

DRAFT: Final = "application/schema+json;version=draft-2020-12"
SIGNED: Final = "A line with the signature, the topic and a line break, then this body; the signature covers both. "
CHANNELS: Final[dict[str, tuple[str, str | None, bool, str]]] = {
    "ev": ("receive", "batch", False, "One header line as described, then each record's exact bytes on its own line."),
    "state": ("receive", "device.state", True, SIGNED + 'The will is {"state":"lost"}.'),
    "receipt": ("send", "receipt", True, SIGNED),
    "cfg": ("send", "device.config", True, SIGNED),
    "cmd": ("send", None, False, "Reserved: commands with an expiry."),
    "served": (
        "receive",
        "served",
        False,
        SIGNED + "Signed by the device; counters hear each other, the hub ignores it.",
    ),
    "sheet": ("send", "sheet", True, SIGNED + "In the box: gzip of a countersheet."),
    "hub-state": ("send", "hub.state", True, "Plain JSON; also the hub's will."),
    "roster": ("send", "roster", True, SIGNED + "The body is gzip of what is described."),
}
"""Channel -> what the hub does with it, the schema of its body, whether it is retained, how the body travels."""


def address(channel: str) -> str:
    """The channel's topic, with its parameters in braces."""
    if channel == "hub-state":
        return hub_state_topic("{school}")
    return roster_topic("{school}", "{kind}") if channel == "roster" else device_topic("{school}", "{device}", channel)


def document() -> dict[str, Any]:
    """The whole document."""
    assert set(DEVICE_TOPICS) <= set(CHANNELS)
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "k12edge gateway and hub",
            "version": "1",
            "description": "MQTT 3.1.1, QoS 1, clean sessions. A PUBACK means nothing, only a receipt settles.",
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in CHANNELS},
        "operations": {
            f"{action}-{name}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "bindings": {"mqtt": {"qos": 1, "retain": retained}},
            }
            for name, (action, _, retained, _) in CHANNELS.items()
        },
    }


def _channel(name: str) -> dict[str, Any]:
    _, schema, _, told = CHANNELS[name]
    topic = address(name)
    told_parameters = {
        "school": {"description": f"The school's id, {SLUG.pattern}"},
        "device": {"description": f"The gateway's id, {SLUG.pattern}"},
        "kind": {"description": "The station kind.", "enum": list(STATION_KINDS)},
    }
    channel: dict[str, Any] = {
        "address": topic,
        "description": told.strip(),
        "parameters": {key: value for key, value in told_parameters.items() if f"{{{key}}}" in topic},
    }
    if schema is not None:
        payload = {"schemaFormat": DRAFT, "schema": {"$ref": f"./{schema}.v1.json"}}
        channel["messages"] = {name: {"name": name, "payload": payload}}
    return channel
