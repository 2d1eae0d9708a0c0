"""Access: who may do what at a hub - roles, a closed list of rights, the one question `allowed`. Denied by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

Role = Literal[
    "it",
    "principal",
    "teacher",
    "substitute",
    "supervisor",
    "canteen",
    "kitchen",
    "nurse",
    "accountant",
    "guard",
    "auditor",
    "dpo",
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
ROLE_WORDS: Final[Mapping[Role, tuple[str, str]]] = {
    "it": ("Kỹ thuật (CNTT)", "IT staff"),
    "principal": ("Hiệu trưởng", "Principal"),
    "teacher": ("Giáo viên chủ nhiệm", "Homeroom teacher"),
    "substitute": ("Giáo viên dạy thay", "Substitute teacher"),
    "supervisor": ("Bảo mẫu", "Boarding supervisor"),
    "canteen": ("Phục vụ bữa ăn", "Canteen"),
    "kitchen": ("Nhà bếp", "Kitchen"),
    "nurse": ("Y tế", "Nurse"),
    "accountant": ("Kế toán", "Accountant"),
    "guard": ("Bảo vệ", "Guard"),
    "auditor": ("Kiểm tra", "Auditor"),
    "dpo": ("Phụ trách bảo vệ dữ liệu", "Data-protection officer"),
}
"""Vietnamese and English, for people."""

Right = Literal[
    "account",
    "see-today",
    "see-class",
    "see-reasons",
    "mark-class",
    "leave",
    "waive",
    "see-onsite",
    "see-gate",
    "admit-at-gate",
    "see-pupil",
    "check-card",
    "block-card",
    "cards",
    "roster",
    "calendar",
    "see-portions",
    "see-cooking",
    "kitchen-sheet",
    "stop-meals",
    "see-servings",
    "settle-servings",
    "see-cuts",
    "cut-meals",
    "enrol-meals",
    "diets",
    "counter-staff",
    "meal-months",
    "meal-complaints",
    "audit-meals",
    "reports",
    "messages",
    "see-devices",
    "devices",
    "see-city",
    "city",
    "files",
    "see-users",
    "users",
    "see-audit",
    "see-backup",
    "backup",
    "see-incident",
    "incident",
]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
MEANINGS: Final[Mapping[Right, str]] = {
    "account": "One's own account: password, language, places where one is logged in.",
    "see-today": "The school's day in numbers, and how complete they are; no names.",
    "see-class": "Names and marks of a class, and its card numbers' state.",
    "see-reasons": "Why a pupil is away: leave notices and their reasons.",
    "mark-class": "Roll call, confirmation and corrections of a class.",
    "leave": "Enter and withdraw leave notices.",
    "waive": "Call a list final although a device is still missing, with a reason.",
    "see-onsite": "Who is on site now, and the evacuation list.",
    "see-gate": "The live board of the gates.",
    "admit-at-gate": "Record a pupil at the gate by hand.",
    "see-pupil": "A pupil's days: every tap and every receipt.",
    "check-card": "Whether a card is still good.",
    "block-card": "Report a card as lost.",
    "cards": "Issue, replace and bind cards.",
    "roster": "See and import the roster, pull it from the city.",
    "calendar": "Calendar, timetable, bells; the meal plan.",
    "see-portions": "How many portions each class needs; no names.",
    "see-cooking": "What is cooked of each kind for each class, and the menu; no names.",
    "kitchen-sheet": "Lock the kitchen's sheet now, adjust it, enter menus.",
    "stop-meals": "Say that there is no meal on a day.",
    "see-servings": "Who was served a meal, where and when; what doesn't go together with the class's marks.",
    "settle-servings": "Say what a counter's record was, and who ate by a paper or class list.",
    "see-cuts": "Who is registered for meals and who is cut from them; no diets.",
    "cut-meals": "Cut pupils from meals, and take that back.",
    "enrol-meals": "Enrol pupils for meals, and end that.",
    "diets": "See and enter what is cooked for a pupil, and what they must not eat.",
    "counter-staff": "Who may take a shift at counters: their PINs and cards.",
    "meal-months": "State what a month's meals come to, again where it changed, and answer complaints.",
    "meal-complaints": "Take what a parent says of their child's meals.",
    "audit-meals": "A month's audit pack: every record of its meals, and what was cooked for whom.",
    "reports": "Month sheets, summaries, exports.",
    "messages": "Messages to parents: what was sent, and who may be told.",
    "see-devices": "Gateways: link, what they owe, clocks, alarms; and of the ledger's records what machines said.",
    "devices": "Accept and retire gateways.",
    "see-city": "The road to the city: backlog and dead letters.",
    "city": "Send a dead letter again, or close it.",
    "files": "Lay numbered files for the city, and say that they were sent.",
    "see-users": "Who has which role.",
    "users": "Add and revoke users and tokens.",
    "see-audit": "Who looked at what, and who changed what.",
    "see-backup": "When the last backup was made.",
    "backup": "Make a backup.",
    "see-incident": "Who ate a meal and when, by name; which incident packs were made.",
    "incident": "Make an incident pack, hold a drill, send a pack to the city.",
}
READING: Final[frozenset[Right]] = frozenset(
    {
        "see-today",
        "see-class",
        "see-reasons",
        "see-onsite",
        "see-gate",
        "see-pupil",
        "check-card",
        "see-portions",
        "see-cooking",
        "see-servings",
        "see-cuts",
        "audit-meals",
        "reports",
        "see-devices",
        "see-city",
        "see-users",
        "see-audit",
        "see-backup",
        "see-incident",
    }
)
"""Rights that change nothing; `account` changes only what is one's own."""
PERSONAL: Final[frozenset[Right]] = frozenset(
    {
        "see-class",
        "see-reasons",
        "mark-class",
        "see-onsite",
        "see-gate",
        "admit-at-gate",
        "see-pupil",
        "check-card",
        "cards",
        "roster",
        "see-servings",
        "settle-servings",
        "see-cuts",
        "cut-meals",
        "enrol-meals",
        "diets",
        "meal-months",
        "meal-complaints",
        "audit-meals",
        "reports",
        "messages",
        "see-incident",
        "incident",
    }
)
"""Rights by which one sees pupils' names: every such look is written into the audit."""

MATRIX: Final[Mapping[Role, frozenset[Right]]] = {
    # Card and roster work shows names; no child's attendance, no leave, no list of who is here.
    "it": frozenset(
        {
            "roster",
            "cards",
            "check-card",
            "block-card",
            "calendar",
            "counter-staff",
            "messages",
            "see-devices",
            "devices",
            "see-city",
            "city",
            "see-users",
            "users",
            "see-audit",
            "see-backup",
            "backup",
        }
    ),
    "principal": frozenset(RIGHTS) - {"account", "users", "devices", "city", "backup"},
    "teacher": frozenset(
        {
            "see-class",
            "see-reasons",
            "mark-class",
            "leave",
            "see-onsite",
            "see-pupil",
            "check-card",
            "block-card",
            "see-servings",
            "settle-servings",
            "see-cuts",
            "cut-meals",
            "meal-complaints",
            "reports",
        }
    ),
    "substitute": frozenset(
        {
            "see-class",
            "see-reasons",
            "mark-class",
            "leave",
            "see-onsite",
            "check-card",
            "settle-servings",
            "see-cuts",
            "cut-meals",
        }
    ),
    "supervisor": frozenset(
        {
            "see-class",
            "see-onsite",
            "see-portions",
            "see-cooking",
            "check-card",
            "settle-servings",
            "see-cuts",
            "cut-meals",
        }
    ),
    # Who serves sees whom; the kitchen sees numbers, whoever pays sees no diet.
    "canteen": frozenset({"see-portions", "see-cooking", "see-servings", "settle-servings", "check-card"}),
    "kitchen": frozenset({"see-portions", "see-cooking", "kitchen-sheet"}),
    "nurse": frozenset(
        {
            "see-class",
            "see-reasons",
            "leave",
            "see-onsite",
            "see-pupil",
            "see-portions",
            "see-cooking",
            "see-servings",
            "see-cuts",
            "diets",
            "see-incident",
        }
    ),
    "accountant": frozenset({"see-portions", "see-cuts", "enrol-meals", "meal-months", "meal-complaints", "reports"}),
    "guard": frozenset({"see-gate", "admit-at-gate", "see-onsite", "check-card"}),
    "auditor": frozenset(
        {
            "see-today",
            "see-class",
            "see-reasons",
            "see-pupil",
            "see-portions",
            "see-cooking",
            "see-servings",
            "see-cuts",
            "audit-meals",
            "reports",
            "see-devices",
            "see-city",
            "see-users",
            "see-audit",
            "see-backup",
        }
    ),
    "dpo": frozenset({"see-class", "see-pupil", "see-users", "see-audit", "see-devices", "see-backup"}),
}
"""What each role may do, beside `account`, which everybody who logs in may."""
CLASS_ROLES: Final[frozenset[Role]] = frozenset({"teacher", "substitute"})
"""Roles that are nothing without a class."""
READ_ONLY_ROLES: Final[frozenset[Role]] = frozenset({"auditor", "dpo"})
DATED_ROLES: Final[frozenset[Role]] = frozenset({"substitute"})
"""Roles that need a last day."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: somebody logged in, or a program by its token.

    Whoever has a class is bound to it. `until` is the last day of the role, None where it has none.
    """

    name: str
    role: Role
    school_class: str | None = None
    until: date | None = None
    shown: str = ""
    by_token: bool = False

    @property
    def signature(self) -> str:
        """What stands under their words, in records and in the audit: no login name has a blank, a program's has."""
        return f"token {self.name}" if self.by_token else self.name


def role_of(text: str) -> Role | None:
    """The role of this name, None where there is none."""
    return next((role for role in ROLES if role == text), None)


def bound(person: Person) -> bool:
    """Whether somebody may act in one class only."""
    return person.school_class is not None or person.role in CLASS_ROLES


def may(person: Person, right: Right, on: date) -> bool:
    """Whether somebody has a right at all on that day, at least for one class: for menus; acts ask `allowed`."""
    if person.until is not None and on > person.until:
        return False
    if person.role in DATED_ROLES and person.until is None:
        return False
    if person.role in CLASS_ROLES and person.school_class is None:
        return False
    if right == "account":
        return not person.by_token
    if person.role in READ_ONLY_ROLES and right not in READING:
        return False
    return right in MATRIX[person.role]


def allowed(person: Person, right: Right, school_class: str | None, on: date) -> bool:
    """Whether somebody may use a right on a class; None is the whole school, which nobody bound to a class has."""
    if not may(person, right, on):
        return False
    if right == "account":
        return True
    return not bound(person) or (school_class is not None and school_class == person.school_class)
