"""The network thread of a paho client: started, and whether it still lives; paho starts no other when it has ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paho.mqtt.client import Client


def started(client: Client) -> threading.Thread | None:
    """Start the client's thread; None where it can't be told from others."""
    before = set(threading.enumerate())
    client.loop_start()
    return next((one for one in threading.enumerate() if one not in before and one.name.startswith("paho")), None)


def lives(thread: threading.Thread | None) -> bool:
    """Whether it is there; one that couldn't be told is taken to be."""
    return thread is None or thread.is_alive()
