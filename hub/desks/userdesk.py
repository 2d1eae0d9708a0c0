"""The desk of users: what `k12edge hub user` and `hub token` ask, done in one transaction each, answered in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final

from hub.access.rights import ROLE_WORDS, Person
from hub.clock import HubClock
from hub.store.auditrows import AuditRows
from hub.store.sessionrows import SessionRows
from hub.store.userrows import UserRefused, UserRows
from protocol.names import class_order

TERMINAL: Final = Person("terminal", "it")
"""Who acts by the command line: whoever may read the hub's files."""
Words = Mapping[str, str | None]


class UserDesk:
    """See the room."""

    def __init__(
        self,
        base: str,
        users: UserRows,
        sessions: SessionRows,
        audit: AuditRows,
        clock: HubClock,
        classes: Callable[[], Iterable[str]],
    ) -> None:
        """`base` is where people open the pages; a running hub knows better than its configuration.

        `classes`: those that have pupils today.
        """
        self.base = base
        self._classes = classes
        self._users, self._sessions, self._audit, self._clock = users, sessions, audit, clock

    def carry_out(self, action: str, words: Words) -> str:
        """Do one of ACTIONS. Raises UserRefused; then nothing was changed."""
        return ACTIONS[action](self, words)

    def first_login(self) -> str | None:
        """The line that lets the first user in; None where somebody can make users already."""
        if self._users.any():
            return None
        return f"first-login {self._link(self._users.first_link(self._clock.now_ms()))}"

    def _link(self, secret: str) -> str:
        return f"{self.base}/first/{secret}"

    def _note(self, what: str, about: str) -> None:
        self._audit.note(TERMINAL, what, about, "write", "allowed", self._clock.now_ms(), self._clock.mono_ms())

    # --- users --------------------------------------------------------------------------------------------------------

    def _add_user(self, words: Words) -> str:
        name = (words.get("name") or "").casefold()
        shown = words.get("shown") or name
        user, secret = self._users.add(
            name, shown, words.get("role") or "", words.get("class"), words.get("until"), self._clock.now_ms()
        )
        self._note("user", user.person.name)
        return f"{_told(user.person)}\n{self._told_class(user.person)}{self._told_link(secret)}"

    def other_classes(self, school_class: str | None) -> list[str]:
        """The classes that there are, where this one has no pupils: it may be planned, or a slip of the keyboard."""
        known = sorted(self._classes(), key=class_order)
        return [] if school_class is None or school_class in known else known

    def _told_class(self, person: Person) -> str:
        known = ", ".join(self.other_classes(person.school_class))
        if not known:
            return ""
        return (
            f"Chú ý: lớp {person.school_class} chưa có học sinh nào; đang có: {known}\n"
            f"Note: class {person.school_class} has no pupils yet; there are: {known}\n"
        )

    def _told_link(self, secret: str) -> str:
        return f"Liên kết dùng một lần, 24 giờ / one-time link, 24 hours:\n{self._link(secret)}"

    def _link_user(self, words: Words) -> str:
        name = words.get("name") or ""
        secret = self._users.new_link(name, self._clock.now_ms())
        self._note("login link", name)
        return self._told_link(secret)

    def _list_users(self, _words: Words) -> str:
        lines = []
        for user in self._users.all():
            state = "đã thu hồi / revoked" if user.revoked else "dùng được / ready"
            if not user.ready and not user.revoked:
                state = "chưa đặt mật khẩu / no password yet"
            lines.append(f"{_told(user.person)}\t{state}")
        return "\n".join(lines) or "chưa có ai / nobody yet"

    def _move_user(self, words: Words) -> str:
        name = words.get("name") or ""
        self._users.move(name, words.get("class") or "")
        self._note("user moved", name)
        user = self._users.find(name)
        assert user is not None
        return f"{_told(user.person)}\n{self._told_class(user.person)}".rstrip("\n")

    def _revoke_user(self, words: Words) -> str:
        name = words.get("name") or ""
        self._users.revoke(name, self._clock.now_ms())
        self._note("user revoked", name)
        return f"{name}: đã thu hồi / revoked"

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _add_token(self, words: Words) -> str:
        role = words.get("role") or ""
        token, secret = self._sessions.add_token(
            role, words.get("class"), words.get("name") or role, words.get("until"), self._clock.now_ms()
        )
        self._note("token", str(token.number))
        return secret

    def _list_tokens(self, _words: Words) -> str:
        lines = []
        for token in self._sessions.tokens():
            state = "đã thu hồi / revoked" if token.revoked else "dùng được / stands"
            lines.append(f"{token.number}\t{_told(token.person, token=True)}\t{state}")
        return "\n".join(lines) or "chưa có / none yet"

    def _revoke_token(self, words: Words) -> str:
        number = words.get("number") or ""
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise UserRefused("unknown")
        self._sessions.revoke_token(int(number), self._clock.now_ms())
        self._note("token revoked", number)
        return f"{number}: đã thu hồi / revoked"


def _told(person: Person, *, token: bool = False) -> str:
    """One line of a list; a token has no name beside the program that it is for."""
    words = " / ".join(ROLE_WORDS[person.role])
    where = f"\tlớp / class {person.school_class}" if person.school_class else ""
    until = f"\tđến / until {_day(person.until)}" if person.until else ""
    name = (person.shown or person.name) if token else f"{person.name}\t{person.shown}"
    return f"{name}\t{words}{where}{until}"


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


ACTIONS: Final[dict[str, Callable[[UserDesk, Words], str]]] = {
    "user-add": UserDesk._add_user,
    "user-link": UserDesk._link_user,
    "user-list": UserDesk._list_users,
    "user-move": UserDesk._move_user,
    "user-revoke": UserDesk._revoke_user,
    "token-add": UserDesk._add_token,
    "token-list": UserDesk._list_tokens,
    "token-revoke": UserDesk._revoke_token,
}
