"""The roster releases on the gateway's disk: the last good one of each station kind, for ever."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from host.durable import out_of_the_way, write_durably
from protocol.errors import BadMessage
from protocol.roster import Release, unpack_release
from protocol.taps import StationKind

log = logging.getLogger("k12edge.roster")


class RosterStore:
    """Whole or nothing: a release is on the disk before a station sees it."""

    def __init__(self, data_dir: Path, school: str) -> None:
        """Read what is there; a damaged file is renamed and left out (stations then accept with `no-roster`)."""
        self._folder = data_dir
        self._school = school
        self._releases: dict[StationKind, Release] = {}
        self.damaged: list[str] = []
        for kind in get_args(StationKind):
            path = self._path(kind)
            if not path.exists():
                continue
            try:
                self._releases[kind] = self._checked(kind, path.read_bytes())
            except (BadMessage, OSError) as problem:
                aside = out_of_the_way(path)
                if aside is None:
                    out_of_the_way(path.with_name(f"roster-{kind}-damaged.gz"))
                    aside = f"roster-{kind}-damaged.gz"
                    os.replace(path, path.with_name(aside))
                self.damaged.append(f"{aside}: {problem}")

    def _path(self, kind: StationKind) -> Path:
        return self._folder / f"roster-{kind}.gz"

    def _checked(self, kind: StationKind, body: bytes) -> Release:
        release = unpack_release(body)
        if release.kind != kind or release.school != self._school:
            raise BadMessage(f"a release for {release.kind} of {release.school} where {kind} of {self._school} belongs")
        return release

    def current(self, kind: StationKind) -> Release | None:
        """The release that decisions rest on now."""
        return self._releases.get(kind)

    def names(self, judged_by: Callable[[Release], bool] = lambda _: True) -> dict[str, str]:
        """Station kind -> release name, of the releases that `judged_by` says cards are looked up in."""
        return {kind: release.release for kind, release in self._releases.items() if judged_by(release)}

    def take(self, kind: StationKind, body: bytes) -> bool:
        """Keep a newer release; False when it isn't newer. Raises BadMessage, OSError (the old one stays)."""
        release = self._checked(kind, body)
        current = self._releases.get(kind)
        if current is not None and release.number <= current.number:
            return False
        write_durably(self._path(kind), body)
        self._releases[kind] = release
        log.info("roster %s for %s: %d cards", release.release, kind, len(release.cards))
        return True
