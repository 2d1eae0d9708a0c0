"""Views of a counter drawn at random: whatever a gateway could ever say to its screens."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from edge.canteen.ports import CounterView, Entry, Shown, Sitting, Tally
from protocol.meals import MEALS, PORTIONS
from protocol.taps import REASONS
from sim.counter import view_of

NAMES = st.sampled_from(["", "An", "Nguyễn Thị Khánh An", "Đặng Hoà", "<b>&\"'", "Ё Zoë Ưng"])
CLASSES = st.sampled_from(["", "1A", "3/2", "8.10", "12A7"])
WHOLE = st.integers(0, 10**6)
TAPS = st.integers(1, 40).map(lambda number: f"0b6f5c9e7d2a4f18.{number}")
CODES = st.sampled_from(["journal-full", "journal-failed", "reader-lost", "lane-full"])
SITTINGS = st.builds(
    Sitting,
    st.sampled_from(["2026-11-26", "2026-11-27"]),
    st.sampled_from(MEALS),
    st.integers(1, 8),
    st.just("10:30"),
    st.just("11:10"),
    st.sampled_from(["", "Nhà ăn A"]),
)
TALLIES = st.builds(Tally, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, st.sampled_from([(), ("quay-b", "quay-c")]))
ENTRIES = st.builds(
    Entry,
    TAPS,
    st.sampled_from(["served", "referred", "answered"]),
    st.just("11:02:33"),
    NAMES,
    CLASSES,
    st.integers(1, 99),
    st.sampled_from(["card", "name", "stranger"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, *REASONS]),
    st.none() | TAPS,
)
SHOWN_BESIDES: dict[str, st.SearchStrategy[Any]] = {
    "tap": st.none() | TAPS,
    "nth": st.integers(1, 99),
    "alone": st.booleans(),
    "portion": st.sampled_from(PORTIONS),
    "alerts": st.lists(st.sampled_from(["đậu phộng", "trứng", "<tôm>"]), max_size=3).map(tuple),
    "confirmed": st.booleans(),
    "code": st.none() | CODES,
    "ask": st.booleans(),
}
"""What is told of a tap beside its shape, its pupil and its moment."""
BESIDES: dict[str, st.SearchStrategy[Any]] = {
    "station": st.sampled_from(["quay-1", "quay-2"]),
    "sitting": st.none() | SITTINGS,
    "closed": st.booleans(),
    "tally": TALLIES,
    "recent": st.lists(ENTRIES, max_size=3).map(tuple),
    "waiting": st.lists(ENTRIES, max_size=3).map(tuple),
    "sheet_day": st.sampled_from([None, "2026-11-26", "2026-11-27", "2026-11-01", "?"]),
    "sheet_age_s": st.none() | WHOLE,
    "roster": st.none() | st.just("r-20261127T001511Z-8812"),
    "roster_age_s": st.none() | WHOLE,
    "unsent": WHOLE,
    "oldest_age_s": st.none() | WHOLE,
    "sure": st.booleans(),
    "shift_by": st.none() | st.just("lan"),
    "needs_login": st.booleans(),
    "shift_name": st.sampled_from(["", "Cô <Lan>"]),
    "pins": st.booleans(),
}
"""What a view says beside what was shown, link, reader and storage."""
SHAPES = ("idle", "accepted", "second", "repeated", "refused", "wait", "alarm")


@st.composite
def shown(draw: st.DrawFn, **fixed: Any) -> Shown:
    """A signal that was shown, a moment ago or long ago."""
    values = {name: draw(of) for name, of in SHOWN_BESIDES.items()}
    values |= {
        "number": draw(st.integers(0, 99)),
        "shape": draw(st.sampled_from(SHAPES)),
        "mono_ms": draw(st.sampled_from([0, 6_999, 7_001, 9_990])),
        "name": draw(NAMES),
        "school_class": draw(CLASSES),
    }
    return Shown(**(values | fixed))


@st.composite
def views(draw: st.DrawFn, **fixed: Any) -> CounterView:
    """Any view, but for what is fixed."""
    values = {name: draw(of) for name, of in BESIDES.items() if name not in fixed}
    for name, of in (
        ("shown", shown()),
        ("link", st.booleans()),
        ("reader", st.just("ready") | CODES),
        ("failing", st.none() | CODES),
    ):
        if name not in fixed:
            values[name] = draw(of)
    return view_of(**(values | fixed))
