"""The locks of the roles: what of the whole locks a gateway or a hub installs, with the same versions and hashes.

`python firmware-config/rolelock.py` writes gateway/requirements.lock, hub/requirements.lock, build.lock,
gateway/kiosk.lock and, for each family of readers that needs a library, gateway/readers-FAMILY.lock anew. It needs the
whole locks installed, since it follows what the installed packages say they need.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
EXTRAS: Final = {"gateway": [], "hub": ["hub"]}
"""The extras of pyproject.toml that a role needs."""
FAMILIES: Final = ("gpio", "keyboard", "osdp", "pcsc")
"""The extras that a gateway may have besides: see requirements-readers.lock."""
KIOSK: Final = "kiosk"
"""The extra of gateways at counters with screens; a part of the whole lock."""
BUILD: Final = "setuptools"
"""Builds what comes as source (k12edge itself, one library) without a download outside the lock."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def blocks(lock: str) -> dict[str, str]:
    """Package -> its lines of a lock: version, marker, hashes."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=[a-z0-9])", lock.strip()):
        found[_plain(block)] = block + "\n"
    return found


def wanted(role: str, locked: Iterable[str]) -> set[str]:
    """Every package of the lock that a role needs, whatever the machine: markers are left to pip."""
    project = _project()
    todo = list(map(_plain, project["dependencies"]))
    for extra in EXTRAS[role]:
        todo += map(_plain, project["optional-dependencies"][extra])
    return _closed(todo, locked)


def _project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def _closed(todo: list[str], locked: Iterable[str]) -> set[str]:
    """These packages and all that they need, as far as the lock has them."""
    known, found = set(locked), set[str]()
    while todo:
        name = todo.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # Locked for other machines only; what it needs is then locked for them only, too.
            continue
        todo += [_plain(need) for need in needs if "extra ==" not in need]
    return found


def locks() -> dict[Path, str]:
    """Every file that is written here, and what must stand in it."""
    whole = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    files = {HERE / "build.lock": whole[BUILD]}
    for role in EXTRAS:
        files[HERE / role / "requirements.lock"] = "".join(whole[name] for name in sorted(wanted(role, whole)))
    readers = blocks((ROOT / "requirements-readers.lock").read_text(encoding="utf-8"))
    has = wanted("gateway", whole)
    for family in FAMILIES:
        mine = _closed(list(map(_plain, _project()["optional-dependencies"][family])), readers) - has
        files[HERE / "gateway" / f"readers-{family}.lock"] = "".join(readers[name] for name in sorted(mine))
    screens = _closed(list(map(_plain, _project()["optional-dependencies"][KIOSK])), whole) - has
    files[HERE / "gateway" / "kiosk.lock"] = "".join(whole[name] for name in sorted(screens))
    return files


def _plain(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


if __name__ == "__main__":
    for path, text in locks().items():
        path.write_text(text, encoding="utf-8")
