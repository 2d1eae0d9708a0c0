"""What this machine trusts, read once a process: each HTTP client reads it anew, for 40 ms of a processor's time.

Tests make a thousand clients, nearly all of them for plain HTTP on this machine. It stays the real list, and who is
given another one has that.
"""

from __future__ import annotations

from functools import cache

import httpcore2


def read_once() -> None:
    """From now on clients of this process share it."""
    httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
