"""A device's life as a model: boxes, cards that are copied and restored, journals, watermarks; what a hub got of it.

The model knows everything, the hub only the records that were delivered to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from hub.attendance.coverage import Blind, Chapter, Claim, DeviceFacts, Hole, ends

NEVER_MS = 1 << 50


@dataclass(frozen=True)
class Record:
    """A record: where it stands, when it was written, and what it is. `seen_ms`: of a tap, when the card was seen."""

    journal: str
    sequence: int
    written_ms: int
    kind: Literal["opened", "tap", "watermark", "gap"]
    seen_ms: int = 0
    pupil: str = ""
    previous: tuple[str, int] | None = None
    claim: Claim | None = None
    gap: tuple[str, int, int] | None = None


@dataclass
class Box:
    """A gateway with its card: journal -> records; cards seen that aren't written yet; its clock's error and bound."""

    name: str
    disk: dict[str, list[Record]] = field(default_factory=dict)
    running: str = ""
    waiting: list[tuple[int, str]] = field(default_factory=list)
    error_ms: int = 0
    bound_ms: int = 0
    blind_since_ms: int | None = None


class Device:
    """One device of the school, lived through by `live`."""

    def __init__(self, name: str, rng: Random, *, branches: bool) -> None:
        self.name, self.rng, self.branches = name, rng, branches
        self.now_ms = 0
        self.boxes: list[Box] = [Box("1")]
        self.snapshots: list[dict[str, list[Record]]] = []
        self.everything: dict[tuple[str, int], Record] = {}
        self.damaged: set[tuple[str, int]] = set()
        self._journals = 0
        self._open(self.boxes[0])

    # --- what happens -----------------------------------------------------------------------------------------------

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.now_ms += self.rng.choice((1, 1, 40, 900, 20_000, 300_000))
            box = self.rng.choice(self.boxes)
            self.rng.choices(
                (self._see, self._write, self._claim, self._restart, self._branch, self._damage, self._blink),
                (30, 30, 18, 5, 4 if self.branches else 0, 2, 1),
            )[0](box)

    def _append(self, box: Box, kind: Literal["opened", "tap", "watermark", "gap"], **more: object) -> Record:
        lines = box.disk[box.running]
        record = Record(box.running, len(lines) + 1, self.now_ms, kind, **more)  # type: ignore[arg-type]  # By kind.
        lines.append(record)
        self.everything[record.journal, record.sequence] = record
        return record

    def _open(self, box: Box) -> None:
        before = box.running
        previous = (before, box.disk[before][-1].sequence) if before else None
        self._journals += 1
        box.running, box.waiting = f"{self.name}{self._journals:02d}", []
        box.disk[box.running] = []
        box.bound_ms = self.rng.choice((0, 5, 400))
        box.error_ms = self.rng.randint(-box.bound_ms, box.bound_ms)
        self._append(box, "opened", previous=previous)

    def _see(self, box: Box) -> None:
        if box.blind_since_ms is None:
            box.waiting.append((self.now_ms, f"{self.name}-{len(self.everything)}-{self.now_ms}"))

    def _write(self, box: Box) -> None:
        """Lanes don't wait for each other."""
        if box.waiting:
            seen_ms, pupil = box.waiting.pop(self.rng.randrange(len(box.waiting)))
            self._append(box, "tap", seen_ms=seen_ms, pupil=pupil)

    def _claim(self, box: Box) -> None:
        through_ms = min([self.now_ms, *(seen_ms for seen_ms, _ in box.waiting)]) - 1 + box.error_ms
        blind = () if box.blind_since_ms is None else (Blind("cong", box.blind_since_ms + box.error_ms, None),)
        claim = Claim(
            box.running,
            len(box.disk[box.running]) + 1,
            self.now_ms + box.error_ms,
            through_ms,
            None if self.rng.random() < 0.05 else box.bound_ms,
            {"cong": "gate"},
            blind,
        )
        self._append(box, "watermark", claim=claim)

    def _restart(self, box: Box) -> None:
        """What waited is seen by nobody any more: it was shown nothing."""
        self._open(box)

    def _branch(self, box: Box) -> None:
        """A card is copied into a second box, restored from a copy of before, or replaced by an empty one."""
        what = self.rng.choice(("keep", "copy", "restore", "empty"))
        if what == "keep":
            self.snapshots.append({name: list(lines) for name, lines in box.disk.items()})
        elif what == "copy" and len(self.boxes) < 3:
            twin = Box(str(len(self.boxes) + 1), {name: list(lines) for name, lines in box.disk.items()}, box.running)
            self.boxes.append(twin)
            self._open(twin)
        elif what == "restore" and self.snapshots:
            box.disk = {name: list(lines) for name, lines in self.rng.choice(self.snapshots).items()}
            box.running = max(box.disk)
            self._open(box)
        elif what == "empty":
            box.disk, box.running = {}, ""
            self._open(box)

    def _damage(self, box: Box) -> None:
        """Records of a journal that ended can't be read any more, and the gateway says so."""
        ended = [lines for name, lines in box.disk.items() if name != box.running and len(lines) > 2]
        if ended:
            lines = self.rng.choice(ended)
            record = self.rng.choice(lines[1:])
            self.damaged.add((record.journal, record.sequence))
            self._append(box, "gap", gap=(record.journal, record.sequence, record.sequence))

    def _blink(self, box: Box) -> None:
        """The gate's reader sees nobody, or sees again."""
        box.blind_since_ms = self.now_ms if box.blind_since_ms is None else None

    # --- what the hub makes of what it got --------------------------------------------------------------------------

    def owed(self, got: set[tuple[str, int]]) -> list[Record]:
        """The taps that stand on a card which the hub may know of: of copies, those of which it heard anything."""
        found: dict[tuple[str, int], Record] = {}
        for box in self.boxes:
            mine = {(line.journal, line.sequence) for lines in box.disk.values() for line in lines}
            others = {
                (line.journal, line.sequence)
                for other in self.boxes
                if other is not box
                for lines in other.disk.values()
                for line in lines
            }
            alone = mine - others
            if len(self.boxes) == 1 or alone & got or not alone:
                found |= {key: self.everything[key] for key in mine}
        return [record for record in found.values() if record.kind == "tap"]

    def facts(self, got: set[tuple[str, int]], from_ms: int) -> DeviceFacts:
        """What hub.store.coveragerows reads from a ledger that holds `got`."""
        held: dict[str, dict[int, Record]] = {}
        for journal, sequence in sorted(got):
            held.setdefault(journal, {})[sequence] = self.everything[journal, sequence]
        gone = {record.gap for lines in held.values() for record in lines.values() if record.gap is not None}
        lost = {(journal, sequence) for journal, first, last in gone for sequence in range(first, last + 1)}
        chapters = [self._chapter(journal, lines, lost) for journal, lines in held.items()]
        links = {chapter.journal: (chapter.previous, chapter.held_last) for chapter in chapters}
        claims = [record.claim for lines in held.values() for record in lines.values() if record.claim is not None]
        heard_ms = max((chapter.heard_ms for chapter in chapters), default=None)
        leaves = ends(links)
        needed = self._needed(chapters, leaves, from_ms)
        return DeviceFacts(self.name, 0, None, heard_ms, frozenset(), leaves, needed, tuple(claims))

    @staticmethod
    def _needed(chapters: list[Chapter], leaves: tuple[str, ...], from_ms: int) -> tuple[Chapter, ...]:
        by_name, found = {chapter.journal: chapter for chapter in chapters}, {}
        for leaf in leaves:
            name: str | None = leaf
            while name is not None and name in by_name and name not in found:
                chapter = found[name] = by_name[name]
                older = chapter.opened_ms is not None and chapter.opened_ms < from_ms
                name = None if older or chapter.previous is None else chapter.previous[0]
        return tuple(found.values())

    def _chapter(self, journal: str, lines: dict[int, Record], lost: set[tuple[str, int]]) -> Chapter:
        opened, last = lines.get(1), max(lines)
        holes: list[Hole] = []
        for sequence in range(1, last):
            if sequence in lines:
                continue
            after = next((lines[one] for one in range(sequence, last + 1) if one in lines), None)
            before_ms = None if after is None else after.written_ms + 400
            why: Literal["lost", "missing"] = "lost" if (journal, sequence) in lost else "missing"
            if holes and holes[-1].last == sequence - 1 and holes[-1].why == why:
                holes[-1] = replace(holes[-1], last=sequence)
            else:
                holes.append(Hole(sequence, sequence, before_ms, why))
        return Chapter(
            journal,
            None if opened is None else opened.written_ms + 400,
            None if opened is None else opened.previous,
            last,
            lines[last].written_ms,
            tuple(holes),
            lines[last].written_ms,
        )


def delivered(device: Device, rng: Random) -> set[tuple[str, int]]:
    """What a hub may have got so far: all, all but a tail, without some, or hardly anything; never what is damaged."""
    keys = [key for key in device.everything if key not in device.damaged]
    kind = rng.choice(("all", "all", "tails", "holes", "few"))
    if kind == "all":
        return set(keys)
    if kind == "tails":
        ends_at = {journal: rng.choice((0, rng.randint(0, 60), 999)) for journal, _ in keys}
        return {(journal, sequence) for journal, sequence in keys if sequence <= ends_at[journal]}
    share = 0.97 if kind == "holes" else 0.5
    return {key for key in keys if rng.random() < share}
