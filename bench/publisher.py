"""The peer of a draining backlog: a plain paho loop that publishes one event a message, QoS 1, twenty in flight.

It is what a gateway would do without batches and receipts. Its events come from a journal's file, the same bytes that
the product sends; it is done when the broker acknowledged the last one, which says nothing about any hub.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

IN_FLIGHT = 20
"""What paho and mosquitto both allow by default."""
PATIENCE_S = 300.0


def publish_events(path: Path, port: int, topic: str) -> tuple[int, float]:
    """How many events were published and acknowledged, and the seconds from the first publish to the last answer."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    events = [bytes(raw) for (raw,) in database.execute("SELECT raw FROM event ORDER BY position")]
    database.close()
    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-peer", protocol=paho.MQTTv311)
    client.max_inflight_messages_set(IN_FLIGHT)
    client.max_queued_messages_set(0)
    connected, done = threading.Event(), threading.Event()
    room = threading.Semaphore(IN_FLIGHT)
    answered = 0

    def on_connect(*_: Any) -> None:
        connected.set()

    def on_publish(*_: Any) -> None:
        nonlocal answered
        answered += 1
        room.release()
        if answered == len(events):
            done.set()

    client.on_connect = on_connect
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    if not connected.wait(10):
        raise TimeoutError("the broker doesn't answer")
    began_s = time.perf_counter()
    for event in events:
        room.acquire()
        client.publish(topic, event, qos=1)
    if not done.wait(PATIENCE_S):
        raise TimeoutError(f"the broker acknowledged {answered} of {len(events)} events")
    seconds = time.perf_counter() - began_s
    client.disconnect()
    client.loop_stop()
    return answered, seconds


if __name__ == "__main__":
    count, took_s = publish_events(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    print(count, took_s)
