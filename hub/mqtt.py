"""The hub's link to the broker on paho-mqtt: clean session, acknowledged by hand after the ledger's commit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from host.mqttthread import lives, started
from hub.ports import Message
from protocol.batch import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties

log = logging.getLogger("k12edge.link")

KEEPALIVE_S: Final = 15
RECONNECT_MIN_S: Final = 1
RECONNECT_MAX_S: Final = 5
CONNECT_S: Final = 10.0
"""Two round trips of a line with 2 s of latency each way, and one lost packet."""
STOP_S: Final = 0.5
PAYLOAD_BYTES_MAX: Final = 2 * MESSAGE_BYTES_MAX
"""Of a longer message, which an external broker may let through, the beginning is kept: it is parked anyway."""
QUEUED_MAX: Final = 1_000
"""Messages handed over and not yet sent; receipts are made again, so more are refused."""


class HubLink:
    """See the room. `on_message` may block: that is the flow control, the broker then sends no more."""

    def __init__(
        self,
        host: str,
        port: int,
        client_name: str,
        rng: Random,
        subscriptions: Sequence[str],
        will: tuple[str, bytes],
        on_message: Callable[[Message], None],
        on_state: Callable[[bool], None],
    ) -> None:
        """Nothing is connected yet."""
        self._address = (host, port)
        self._subscriptions = list(subscriptions)
        self._on_message, self._on_state = on_message, on_state
        self._connection = 0
        self.connected = False
        self.deaf = False
        self._lock = threading.Lock()
        # Two clients of one id evict each other for ever, so each process adds a random end to its own.
        name = f"{client_name}-{rng.getrandbits(32):08x}"
        client = paho.Client(
            CallbackAPIVersion.VERSION2, name, clean_session=True, protocol=paho.MQTTv311, manual_ack=True
        )
        client.max_queued_messages_set(QUEUED_MAX)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.connect_timeout = CONNECT_S
        client.will_set(*will, qos=1, retain=True)
        client.on_connect = self._connect
        client.on_disconnect = self._disconnect
        client.on_message = self._message
        client.on_subscribe = self._subscribed
        self._client = client
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        self._client.connect_async(*self._address, keepalive=KEEPALIVE_S)
        self._thread = started(self._client)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand over one retained message, QoS 1; False when it wasn't taken. Promises nothing."""
        if not self.connected:
            return False
        return self._client.publish(topic, payload, qos=1, retain=True).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def ended(self) -> bool:
        """Whether the network thread has ended by a fault that nothing expects: nobody connects any more."""
        return not lives(self._thread)

    def acknowledge(self, message: Message) -> None:
        """Let the broker send more; a message of an earlier connection is gone there anyway."""
        with self._lock:
            # While paho makes a new connection it walks its packets, and ends for good where one is added meanwhile.
            if self.connected and message.connection == self._connection:
                self._client.ack(message.mark, 1)

    def stop(self, farewell: tuple[str, bytes]) -> None:
        """Say goodbye (a clean end makes the broker drop the will) and disconnect; at most 1 s."""
        if self.connected:
            sent = self._client.publish(*farewell, qos=1, retain=True)
            try:
                sent.wait_for_publish(0.5)
            except (ValueError, RuntimeError):
                log.info("the farewell was not sent")
        self._client.disconnect()
        # A connection attempt under way ends when it times out, which is longer than we may take; it dies with us.
        ending = threading.Thread(target=self._client.loop_stop, name="link-end", daemon=True)
        ending.start()
        ending.join(STOP_S)

    def _connect(
        self, client: paho.Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            log.warning("the broker refused the connection: %s", reason)
            return
        # What the last connection left is said anew where it is still true; sent after newer words, it would
        # look like a receipt that went back, and brokers would keep it.
        client.drop_out_messages()
        with self._lock:
            self._connection += 1
            self.connected = True
        client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._on_state(True)

    def _disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._lock:
            was, self.connected = self.connected, False
        if was:
            log.warning("connection to the broker lost: %s", reason)
            self._on_state(False)

    def _message(self, client: paho.Client, _data: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload[:PAYLOAD_BYTES_MAX])
        try:
            topic = message.topic
        except UnicodeDecodeError:
            # MQTT 3.1.1 forbids it (1.5.3), and brokers hang up on it; it must not end the network thread.
            log.error("a message on a topic that is no text is passed over")
            client.ack(message.mid, message.qos)
            return
        if message.qos == 0:
            # Gateways send with QoS 1; what comes otherwise is taken all the same and needs no acknowledgement.
            self._on_message(Message(topic, payload, 0, -1, message.retain))
            return
        self._on_message(Message(topic, payload, message.mid, self._connection, message.retain))

    def _subscribed(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self.deaf = any(reason.is_failure for reason in reasons)
        if self.deaf:
            log.error("the broker refuses what the hub listens to; check the broker's permissions")
