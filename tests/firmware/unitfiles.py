"""Unit files as tests read them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware-config"
GATEWAY = FIRMWARE / "gateway" / "k12edge-gateway.service"
HUB = FIRMWARE / "hub" / "k12edge-hub.service"
NATS = FIRMWARE / "hub" / "k12edge-nats.service"
UNITS = (GATEWAY, HUB, NATS)


def directives(path: Path) -> dict[str, list[str]]:
    """Every directive's values, in order; of all sections, since no name stands in two of them here."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[", ";")):
            name, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(name, []).append(value)
    return found


def one(path: Path, name: str) -> str:
    """The value of a directive that stands once."""
    values = directives(path).get(name, [])
    assert len(values) == 1, f"{path.name}: {name} stands {len(values)} times"
    return values[0]
