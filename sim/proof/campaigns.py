"""The campaigns: their commands at full size and at a small one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """A campaign: what it proves, and the words after `python -m` at full and at small size.

    `books`: it takes `--book FILE`, and goes on from there after it was stopped.
    """

    name: str
    proves: str
    full: tuple[str, ...]
    small: tuple[str, ...]
    books: bool = False


def _fuzzed(parser: str) -> CampaignPlan:
    words = ("sim.fuzz", "--parser", parser)
    proves = f"no input to the parser of {parser} crashes, hangs or grows it"
    return CampaignPlan(
        f"fuzz-{parser}", proves, (*words, "--count", "10000000", "--jobs", "2"), (*words, "--count", "20000")
    )


PARSERS: Final = (
    "pn532", "batch", "event", "receipt", "roster", "config", "city",
    "lines", "typed", "pcsc", "osdp", "cardforms", "raw", "served", "pack", "pile",
)  # fmt: skip

CAMPAIGNS: Final[tuple[CampaignPlan, ...]] = (
    CampaignPlan(
        "sim",
        "school days of the reference school, full of faults",
        ("sim", "--seeds", "1000"),
        ("sim", "--seeds", "20", "--pupils", "120"),
        books=True,
    ),
    CampaignPlan(
        "sim-20-days",
        "twenty school days in a row",
        ("sim", "--seed", "20", "--days", "20"),
        ("sim", "--seed", "20", "--days", "2", "--pupils", "60"),
    ),
    CampaignPlan(
        "powercut",
        "every state that a power cut could leave, of gateway and hub",
        ("sim.powercut", "--size", "full", "--seed", "101"),
        ("sim.powercut",),
    ),
    CampaignPlan(
        "kills",
        "parts killed and stopped at random, over both brokers",
        ("sim.kills", "--size", "full", "--stops"),
        ("sim.kills",),
    ),
    CampaignPlan(
        "kills-lossy",
        "the same over lossy links between network namespaces",
        ("sim.kills", "--size", "full", "--stops", "--links", "lossy"),
        ("sim.kills", "--links", "lossy"),
    ),
    CampaignPlan(
        "network", "the network's faults, one by one", ("sim.kills", "all", "--size", "full"), ("sim.kills", "all")
    ),
    CampaignPlan(
        "lunch",
        "lunch at four counters in real time, whose hub and broker die in the middle",
        ("sim.kills", "lunch", "--size", "full"),
        ("sim.kills", "lunch"),
    ),
    CampaignPlan(
        "clocks",
        "clocks that are wrong, stepped, drifting, never set",
        ("sim.clocks", "--size", "full"),
        ("sim.clocks",),
    ),
    CampaignPlan(
        "stores", "storage that fails, files that lie broken", ("sim.stores", "--size", "full"), ("sim.stores",)
    ),
    CampaignPlan(
        "readers",
        "readers unplugged every four seconds, gateways killed while they look",
        ("sim.readers", "--size", "full"),
        ("sim.readers",),
    ),
    CampaignPlan(
        "rostersync",
        "the city's roster pulled from cities that clamp, forget, shift, lie and fail",
        ("sim.rostersync", "--seeds", "200"),
        ("sim.rostersync", "--seeds", "4", "--pupils", "120"),
    ),
    CampaignPlan(
        "tampering",
        "every tampering of a journal is found, and its first bad record named",
        ("sim.tampering", "--count", "10000"),
        ("sim.tampering", "--count", "500"),
    ),
    CampaignPlan(
        "pages",
        "every staff page for every role, width, look and language: WCAG 2.2 AA, no foreign host, no error",
        ("tests.browser", "--all"),
        ("tests.browser",),
    ),
    *(_fuzzed(parser) for parser in PARSERS),
)
