"""Vocabulary: the closed lists of words that cells may hold, each with how Vietnamese and English write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.access.rights import ROLE_WORDS, Role
from hub.lists.columns import Words

_ROLES_TOO: Final[Mapping[Role, tuple[str, ...]]] = {
    "it": ("it", "cntt", "quản trị cntt", "công nghệ thông tin", "admin"),
    "principal": ("phó hiệu trưởng", "ban giám hiệu", "bgh"),
    "teacher": ("gvcn", "giáo viên", "gv"),
    "substitute": ("giáo viên thay", "dạy thay"),
    "supervisor": ("quản nhiệm",),
    "canteen": ("nhà ăn", "phục vụ"),
    "kitchen": ("bếp", "cấp dưỡng"),
    "nurse": ("nhân viên y tế",),
    "accountant": (),
    "guard": (),
    "auditor": ("thanh tra",),
    "dpo": ("bảo vệ dữ liệu", "data protection officer"),
}
ROLES: Final[Words] = {role: (*ROLE_WORDS[role], *spellings) for role, spellings in _ROLES_TOO.items()}
"""The roles of hub.access, and how else schools call them."""
STATES: Final[Words] = {
    "attending": (
        "Đang học", "Attending", "chuyển đến", "chuyển đến kỳ 1", "chuyển đến kỳ 2", "chuyển đến học kỳ 1",
        "chuyển đến học kỳ 2", "học lại", "đi học lại", "enrolled", "active",
    ),
    "left": (
        "Chuyển đi", "Left", "chuyển đi kỳ 1", "chuyển đi kỳ 2", "chuyển đi học kỳ 1", "chuyển đi học kỳ 2",
        "chuyển trường", "thôi học", "thôi học kỳ 1", "thôi học kỳ 2", "bỏ học", "bỏ học kỳ 1", "bỏ học kỳ 2",
        "bảo lưu", "đã tốt nghiệp", "tốt nghiệp", "ra trường", "nghỉ học",
    ),
}  # fmt: skip
"""What the state column says -> whether the pupil comes. Empty is attending; any other word is asked about."""
SEXES: Final[Words] = {"m": ("Nam", "Male", "trai", "m"), "f": ("Nữ", "Female", "nu", "gái", "f")}
WEEKDAYS: Final[Words] = {
    "mon": ("T2", "Monday", "thứ 2", "thứ hai", "hai", "2"),
    "tue": ("T3", "Tuesday", "thứ 3", "thứ ba", "ba", "3"),
    "wed": ("T4", "Wednesday", "thứ 4", "thứ tư", "tư", "4"),
    "thu": ("T5", "Thursday", "thứ 5", "thứ năm", "năm", "5"),
    "fri": ("T6", "Friday", "thứ 6", "thứ sáu", "sáu", "6"),
    "sat": ("T7", "Saturday", "thứ 7", "thứ bảy", "bảy", "7"),
    "sun": ("CN", "Sunday", "chủ nhật", "8"),
}
"""In Python's order; Vietnamese count Monday as the second day."""
MEALS: Final[Words] = {
    "breakfast": ("Sáng", "Breakfast", "ăn sáng", "bữa sáng"),
    "lunch": ("Trưa", "Lunch", "ăn trưa", "bữa trưa"),
    "snack": ("Xế", "Snack", "ăn xế", "bữa xế", "bữa phụ"),
    "dinner": ("Tối", "Dinner", "ăn tối", "bữa tối"),
}
DIETS: Final[Words] = {
    "regular": ("Mặn", "Regular", "thường", "bình thường"),
    "vegetarian": ("Chay", "Vegetarian"),
    "porridge": ("Cháo", "Porridge"),
}
ALLERGENS: Final[Words] = {
    "none": ("Không", "None"),
    "peanut": ("Đậu phộng", "Peanut", "lạc"),
    "tree-nut": ("Hạt cây", "Tree nut", "hạt điều", "các loại hạt"),
    "milk": ("Sữa", "Milk"),
    "egg": ("Trứng", "Egg"),
    "fish": ("Cá", "Fish"),
    "crustacean": ("Tôm cua", "Crustacean", "tôm", "cua", "hải sản", "giáp xác"),
    "mollusc": ("Sò ốc mực", "Mollusc", "mực", "sò", "ốc", "nhuyễn thể"),
    "soy": ("Đậu nành", "Soy", "đậu tương"),
    "wheat": ("Lúa mì", "Wheat", "gluten"),
    "sesame": ("Mè", "Sesame", "vừng"),
    "other": ("Khác", "Other"),
}
"""The common ones (Codex Alimentarius CXS 1-1985, 4.2.1.4); what else there is stands in the note."""
PURPOSES: Final[Words] = {
    "messages": ("Nhắn tin phụ huynh", "Messages to parents", "nhắn tin", "messages"),
    "photo": ("Ảnh", "Photo", "hình ảnh"),
    "counter-name": ("Tên ở quầy ăn", "Name at the counter"),
    "health": ("Dữ liệu sức khỏe", "Health data", "sức khỏe", "sức khoẻ"),
}
GUARDIANS: Final[Words] = {
    "father": ("Cha", "Father", "bố", "ba"),
    "mother": ("Mẹ", "Mother", "má"),
    "guardian": ("Người giám hộ", "Guardian", "giám hộ"),
}
DAYS_OFF: Final[Words] = {
    "holiday": ("Nghỉ lễ", "Holiday", "lễ", "tết", "nghỉ tết", "nghỉ hè"),
    "no-school": ("Nghỉ học", "No school", "nghỉ", "cho nghỉ"),
    "make-up": ("Học bù", "Make-up day", "dạy bù"),
}
