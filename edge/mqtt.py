"""The link to the hub on paho-mqtt: MQTT 3.1.1, QoS 1, clean sessions, its own network thread. See ports.Link."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge.config import parse_url
from host.mqttthread import lives, started

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties

log = logging.getLogger("k12edge.link")

KEEPALIVE_S: Final = 15
"""Half-open connections are noticed within one and a half of it (MQTT 3.1.1, 3.1.2.10)."""
IN_FLIGHT_MAX: Final = 32
"""Messages handed over and not yet taken by the broker; more are refused to the caller, never queued."""
RECONNECT_MIN_S: Final = 1
RECONNECT_MAX_S: Final = 20
CONNECT_S: Final = 10.0
"""Two round trips of a line with 2 s of latency each way, and one lost packet."""
STOP_S: Final = 0.5


class MqttLink:
    """One connection to the broker, kept up by itself. A PUBACK means nothing but room for the next message."""

    def __init__(
        self,
        url: str,
        client_name: str,
        rng: Random,
        subscriptions: Sequence[str],
        will: Callable[[], tuple[str, bytes]] | None = None,
    ) -> None:
        """`url` is mqtt://HOST[:PORT]; `will` gives topic and retained payload for when the connection dies."""
        self._host, self._port = parse_url(url)
        # Two clients of one id evict each other for ever, so each process adds a random end to its own.
        self._client_id = f"{client_name}-{rng.getrandbits(32):08x}"
        self._subscriptions = list(subscriptions)
        self._will = will
        self._lock = threading.Lock()
        self._in_flight: list[paho.MQTTMessageInfo] = []
        self._full = False
        self._connected = False
        self._client: paho.Client | None = None
        self._thread: threading.Thread | None = None
        self._on_message: Callable[[str, bytes, bool], None] = lambda *_: None
        self._on_state: Callable[[bool], None] = lambda _: None
        self.on_room: Callable[[], None] = lambda: None

    def start(self, on_message: Callable[[str, bytes, bool], None], on_state: Callable[[bool], None]) -> None:
        """See Link.start."""
        self._on_message, self._on_state = on_message, on_state
        self._begin()

    def _begin(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, self._client_id, clean_session=True, protocol=paho.MQTTv311)
        client.max_inflight_messages_set(IN_FLIGHT_MAX)
        client.max_queued_messages_set(IN_FLIGHT_MAX * 2)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.on_connect = self._connect
        client.on_disconnect = self._disconnect
        client.on_message = self._message
        client.on_publish = self._taken
        client.connect_timeout = CONNECT_S
        if self._will is not None:
            topic, payload = self._will()
            client.will_set(topic, payload, qos=1, retain=True)
        self._client = client
        client.connect_async(self._host, self._port, keepalive=KEEPALIVE_S)
        self._thread = started(client)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """See Link.publish."""
        client = self._client
        if client is None or not self._connected:
            return False
        with self._lock:
            self._in_flight = [info for info in self._in_flight if not info.is_published()]
            if len(self._in_flight) >= IN_FLIGHT_MAX:
                self._full = True
                return False
        # Not under our lock: paho holds its own while it calls `_taken`, so the two would wait for each other.
        answer = client.publish(topic, payload, qos=1, retain=retain)
        if answer.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        with self._lock:
            self._in_flight.append(answer)
        return True

    def tend(self) -> None:
        """Begin anew where the network thread has ended by a fault that nothing expects; to be called now and then."""
        if self._client is None or lives(self._thread):
            return
        log.error("the link's thread has ended and is started anew")
        if self._connected:
            self._connected = False
            self._on_state(False)
        self._begin()

    def stop(self) -> None:
        """See Link.stop."""
        client = self._client
        if client is not None:
            client.disconnect()
            # A connection attempt under way ends when it times out, which is longer than we may take; it dies with us.
            ending = threading.Thread(target=client.loop_stop, name="link-end", daemon=True)
            ending.start()
            ending.join(STOP_S)
            self._client = None

    def _connect(
        self, client: paho.Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            log.warning("the broker refused the connection: %s", reason)
            return
        # What the broker didn't take is offered anew from the file; paho would send its old copies first.
        client.drop_out_messages()
        client.subscribe([(topic, 1) for topic in self._subscriptions])
        with self._lock:
            self._in_flight = []
        self._connected = True
        self._on_state(True)

    def _disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        was = self._connected
        self._connected = False
        if was:
            log.info("connection to the broker lost: %s", reason)
            self._on_state(False)

    def _message(self, _client: paho.Client, _data: Any, message: MQTTMessage) -> None:
        try:
            self._on_message(message.topic, bytes(message.payload), message.retain)
        except Exception:
            # One bad message must not end the network thread, nor one whose topic is no text (asked for it raises).
            log.exception("a message could not be handled")

    def _taken(self, _client: paho.Client, _data: Any, _mid: int, _reason: ReasonCode, _properties: Properties) -> None:
        if self._full:
            self._full = False
            self.on_room()
