"""A made-up school: pupils with Vietnamese names in classes, each with a card. The same seed makes the same school."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


PUPILS: Final = 1763
CLASSES: Final = 45
"""The reference school: a lower secondary school of District 1's size, four grades."""
GRADES: Final = (6, 7, 8, 9)

# Family names by their rough share of the population; middle and given names as parents choose them today.
FAMILIES: Final = _words(
    "Nguyễn " * 38 + "Trần " * 11 + "Lê " * 10 + "Phạm " * 7 + "Huỳnh Phan Vũ " * 4,
    "Đặng Bùi Đỗ Hồ Ngô Dương Lý Trương Đinh Mai Lâm Tô Cao Châu Tạ",
)
MIDDLES: Final = _words("Văn Thị Minh Gia Ngọc Bảo Thanh Hoàng Quốc Khánh Anh Phương Thảo Đức Hữu Nhật Thiên Tuấn Như")
GIVENS: Final = _words(
    "An Anh Bảo Châu Chi Dũng Duy Giang Hà Hân Hải Hiếu Hưng Huy Khang Khoa Khôi Lâm Lan Linh Long Mai Minh My Nam",
    "Ngân Nghĩa Ngọc Nhi Như Phát Phúc Phương Quân Quỳnh Sơn Tâm Thảo Thịnh Thư Tiên Trâm Trang Trí Trúc Tú Tuấn",
    "Uyên Vân Vy Yến",
)


@dataclass(frozen=True, slots=True)
class Pupil:
    """A pupil: the school's own key, name, class, and the card's UID (4 or 7 bytes)."""

    key: str
    name: str
    school_class: str
    uid: bytes


def make_school(pupils: int, seed: int) -> tuple[Pupil, ...]:
    """That many pupils, spread over the classes, no two cards alike."""
    rng = Random(seed)
    classes = [f"{GRADES[number % len(GRADES)]}A{number // len(GRADES) + 1}" for number in range(CLASSES)]
    uids: set[bytes] = set()
    made = []
    for number in range(pupils):
        uid = _uid(rng)
        while uid in uids:
            uid = _uid(rng)
        uids.add(uid)
        name = f"{rng.choice(FAMILIES)} {rng.choice(MIDDLES)} {rng.choice(GIVENS)}"
        made.append(Pupil(f"st-{rng.getrandbits(32):08x}{number:04x}", name, classes[number % CLASSES], uid))
    return tuple(made)


def _uid(rng: Random) -> bytes:
    """Three in four cards are NTAG with 7 bytes (NXP's 04 first), the others MIFARE Classic with 4."""
    if rng.random() < 0.75:
        return b"\x04" + rng.randbytes(6)
    # 08 begins a random UID, 88 is the cascade tag (ISO/IEC 14443-3).
    return bytes((rng.choice([n for n in range(1, 255) if n not in (0x08, 0x88)]),)) + rng.randbytes(3)


def write_roster(path: Path, pupils: tuple[Pupil, ...]) -> None:
    """The roster as a school's office exports it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("pupil_key", "display_name", "class", "card_uid"))
        rows.writerows((pupil.key, pupil.name, pupil.school_class, f"a:{pupil.uid.hex().upper()}") for pupil in pupils)
