"""Accounts: by which name the machine knows whoever runs a command, or speaks on a local socket."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from typing import Final

NAME_CHARACTERS_MAX: Final = 64
"""As long as a name in a record may be."""
CREDENTIALS: Final = struct.Struct("3i")
"""What Linux says of a socket's other end: process, user, group."""


def account_name(uid: int) -> str:
    """The account of a user id; the id itself where the machine has no name for it that a record could hold."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid)
    return name if name.isprintable() and 0 < len(name) <= NAME_CHARACTERS_MAX else str(uid)


def whose_command(uid: int, environment: Mapping[str, str]) -> str:
    """Who runs a command: the account of the user id; of root that `sudo` made, who called it."""
    caller = environment.get("SUDO_UID", "")
    return account_name(int(caller) if uid == 0 and caller.isdecimal() and len(caller) <= 10 else uid)


def peer_uid(line: socket.socket) -> int:
    """The user id of a local socket's other end, as the kernel knows it. Raises OSError."""
    _, uid, _ = CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    assert isinstance(uid, int)
    return uid


def this_command() -> str:
    """Who runs this process."""
    return whose_command(os.getuid(), os.environ)
