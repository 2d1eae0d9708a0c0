"""The counters' sheet: what a hub tells a gateway with counters for its day: who eats what, and when.

It holds names and what a child must not eat, so it travels in a box for one gateway. Of money it holds nothing: there
is no field for it.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Annotated, Final, Literal

import msgspec

from protocol.errors import BadMessage
from protocol.meals import SHIFTS_MAX, Meal, Portion

SHEET_BYTES_MAX: Final = 16 * 1024 * 1024
"""A sheet unpacked; 20,000 pupils with names and shifts take about 3 MB."""
PACKED_BYTES_MAX: Final = 3 * 1024 * 1024
"""A sheet packed, before it is sealed and written as text, which brokers must take (4 MiB) with some room."""
EATERS_MAX: Final = 20_000
COUNTERS_MAX: Final = 64
TEXT_CHARACTERS_MAX: Final = 200

Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS_MAX)]
Clock = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Shift(msgspec.Struct, frozen=True, omit_defaults=True):
    """A shift of a meal: from `opens` to `closes` (local HH:MM), for these classes; no class: whoever comes.

    `hall`: where; `stations`: the counters of it; empty: all.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=SHIFTS_MAX)]
    opens: Clock
    closes: Clock
    classes: list[Text] = []
    hall: Text = ""
    stations: list[Text] = []


class MealPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """One meal of the day. `closed`: the school serves none today; who comes all the same is served all the same."""

    meal: Meal
    shifts: list[Shift]
    closed: bool = False
    menu: Text = ""


class Eater(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pupil as a counter needs them. `meals`: those of the day that they are expected at (enrolled and not cut).

    `enrolled`: they eat at school at all. `alerts`: what they must not eat, in words for staff; `confirmed`: the school
    confirmed it, a paper was seen; else it was only told.
    """

    student: Text
    name: Text
    school_class: Text
    portion: Portion = "regular"
    meals: list[Meal] = []
    enrolled: bool = True
    alerts: list[Text] = []
    confirmed: bool = False


class CounterSheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of the sheet of one day. A higher `version` replaces a lower one, of whatever day.

    `made`: RFC 3339. `day`: ISO date. `second`: what a second helping asks for: `count` it apart, or `ask` staff.
    `counters`: device -> its public key, of every gateway with a counter, this one included: whose word on servings
    counts. `pins`: who may take a shift, id -> argon2id hash of the PIN (RFC 9106, as text). `cards`: keyed card -> id,
    of those who take their shift by a card. `staff`: id -> their name for the staff's screen; no record has it.
    `keep_alerts`: the hub lost what was entered since a backup, and nobody has looked at the diets yet: what a
    counter's own sheet said before that a pupil must not eat stays beside what this one says.
    """

    version: Annotated[int, msgspec.Meta(ge=1)]
    made: str
    school: str
    day: str
    meals: list[MealPlan]
    eaters: list[Eater]
    second: Literal["count", "ask"] = "count"
    counters: dict[str, str] = {}
    pins: dict[str, Text] = {}
    cards: dict[str, Text] = {}
    staff: dict[str, Text] = {}
    keep_alerts: bool = False


class SealedSheet(msgspec.Struct, frozen=True):
    """The body of dev/<device>/sheet, signed by the hub: `sealed` is the packed sheet in a box for the device."""

    version: int
    sealed: str


_decoder = msgspec.json.Decoder(CounterSheet)


def pack_sheet(sheet: CounterSheet) -> bytes:
    """Gzip of the JSON, the same bytes for the same sheet; raises ValueError beyond PACKED_BYTES_MAX."""
    packed = gzip.compress(msgspec.json.encode(sheet), compresslevel=6, mtime=0)
    if len(packed) > PACKED_BYTES_MAX:
        raise ValueError(f"the sheet has {len(packed)} bytes packed, at most {PACKED_BYTES_MAX} travel")
    return packed


def unpack_sheet(packed: bytes) -> CounterSheet:
    """Read a sheet and hold it to its bounds; raises BadMessage."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, SHEET_BYTES_MAX + 1)
        if len(text) > SHEET_BYTES_MAX or not unpacker.eof:
            raise BadMessage(f"the sheet is cut, or larger than {SHEET_BYTES_MAX} bytes")
        sheet = _decoder.decode(text)
    except (zlib.error, msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a counters' sheet: {problem}") from problem
    if len(sheet.eaters) > EATERS_MAX or len(sheet.counters) > COUNTERS_MAX:
        raise BadMessage(f"the sheet names more than {EATERS_MAX} eaters or {COUNTERS_MAX} counters")
    return sheet
