"""A visit: one request that was let in - who asks, in which language, and what else they may see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal, NoReturn

from fastapi import Depends, Request

from hub.access.rights import Person, Right, allowed, may
from hub.web.registry import Rule
from hub.web.words import Language

if TYPE_CHECKING:
    from hub.store.sessionrows import Session
    from hub.web.doorman import Doorman

Theme = Literal["auto", "light", "dark"]
LANGUAGE_COOKIE: Final = "lang"
THEME_COOKIE: Final = "theme"


def csrf_of(secret: str) -> str:
    """What a session's forms carry: made of its secret, and tells nothing of it."""
    return hashlib.sha256(b"csrf " + secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Visit:
    """See the room. `person` is None at open pages, and for programs of this machine where the rule lets them in.

    `path` is the address's, `rule_path` as the route was written. `school_class` is the class that a class page was
    asked for; `checked` says whether the object's class was asked.

    For the audit: `about` is what it is told of the visit's own act, None where it needn't be; `noted`, that a finer
    row of what was done stands there already, `turned_away`, that the refusal does; `code`, why it wasn't done.
    """

    doorman: Doorman
    rule: Rule
    person: Person | None
    session: Session | None
    secret: str | None
    language: Language
    theme: Theme
    path: str
    rule_path: str
    now_ms: int
    today: date
    school_class: str | None = None
    checked: bool = False
    about: str | None = None
    noted: bool = False
    turned_away: bool = False
    code: str = ""

    @property
    def csrf(self) -> str:
        """The hidden field of this visit's forms."""
        return "" if self.secret is None else csrf_of(self.secret)

    def may(self, right: Right) -> bool:
        """Whether this right is theirs at all, at least in one class: for menus and links."""
        return self.person is not None and may(self.person, right, self.today)

    def allows(self, right: Right, school_class: str | None) -> bool:
        """Whether they have a right on this class (None: the whole school): for buttons and columns."""
        return self.person is not None and allowed(self.person, right, school_class, self.today)

    def must(self, school_class: str | None, about: str, right: Right | None = None) -> None:
        """The object check: the route's right (or another one) on the class of what is asked for. Raises Refusal.

        `about` is the object's opaque key for the audit, never a name. To be asked before anything of it is told.
        """
        self.doorman.must(self, school_class, about, right)
        self.checked = True

    def deny(self, about: str) -> NoReturn:
        """Refuse, and write down that `about` was asked for: of what nobody here may have. Raises Refusal."""
        self.doorman.deny(self, about)

    def still(self) -> bool:
        """Whether this visit would be let in now as well: for what stays open, such as a stream."""
        return self.doorman.still(self)

    def looked(self, about: str) -> None:
        """Write into the audit what this visit is shown, beside what its route asks; before it is told."""
        self.doorman.note(self, self.rule.what, about, "read", "allowed")

    def note(self, what: str, about: str) -> None:
        """Write into the audit what this visit has done: for a form in place of its route's line."""
        self.doorman.note(self, what, about, "write", "allowed")
        self.noted = True

    def failed(self, code: str) -> None:
        """Nothing was done, although a page is answered: the audit's line says so, with this code."""
        self.code = code


def person(request: Request) -> Visit:
    """The dependency of routes: the visit, which was let in already."""
    visit = request.state.visit
    assert isinstance(visit, Visit)
    return visit


Visitor = Annotated[Visit, Depends(person)]
