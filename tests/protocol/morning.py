"""The golden morning: whose records the published examples are, and when they were made. Always the same bytes."""

from __future__ import annotations

from typing import Final

from protocol.cards import CardKey
from protocol.envelope import rfc3339
from protocol.signing import Identity
from protocol.taps import ClockData

SCHOOL: Final = "79000701"
DEVICE: Final = Identity(bytes(range(32)), bytes(range(32, 64)))
HUB: Final = Identity(bytes(range(64, 96)), bytes(range(96, 128)))
CARD_KEY: Final = CardKey(1, bytes(range(128, 160)))
JOURNAL_ID_SHOWN: Final = "0b6f5c9e7d2a4f18"
HUB_JOURNAL: Final = "5a9d03c7e1f24b86"
WALL_MS: Final = 1_795_360_070_000
"""When CLOCK_BOOTTIME was 0: the gate's tap is at 06:58:12.417 on 23 November 2026."""
BOOT_ID: Final = "7d3e0c2a"
ROSTER: Final = "r-20261122T180011Z-28144811"

# Sealed boxes begin with a random key, so these were made once; test_schemas opens them.
SEALED_CARD_KEY: Final = (
    "ZUJ4pWoPzpiwFc26KgIscjBjriCVKzcNI7yS1u5I3Hqc6o5EdE4cZwDzBVyYH1azKA4Mm9HmAOuKQXcmRTjo2cfGq2B8YkNzzlgvA7HpYZ0"
)
SEALED_HK0: Final = (
    "jICjEY_gIIRtMCLzKJX4tHxlRj7lmCjQoLaLMWTjp1o1lUdvgwTIoJ25p4mxdqwrgtPLMmyiRSirAg3Sy-MeE7Iiz0CyxHIbXZuNSVR9ycc"
)
SEALED_RAW0: Final = (
    "SdB7na-QPrfR98r6eNVUPJZk5O_enEmV6PGY9vbdnmom9TZ2Tvr88wVRLhcaN_uBEq9fxy1DscIaWA_31Zkkz0ow5oLOABxxkjOVdjDbd5I"
)
SEALED_RAW: Final = "WxWZQo0HJ9p18fEWdS-rHHSPOENNl1yNnkLz8_o8gn0BOXnqgpInYDeoX5Z4-6Iki4wjvMSqSysITzPGLzg_HQ"


def clock(mono_ms: int) -> ClockData:
    return ClockData(BOOT_ID, mono_ms, rfc3339(WALL_MS + mono_ms), "ntp", 15)
