"""Pages of logging in and out: login, one-time links, one's own account, language and look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from hub.access.passwords import hash_password, is_password
from hub.access.sessions import PASSWORD_MAX, weakness
from hub.store.userrows import NAME, User, UserRefused
from hub.web.doorman import address_of, cookie_name, person_of
from hub.web.ground import Web, menu
from hub.web.registry import N_
from hub.web.visits import LANGUAGE_COOKIE, THEME_COOKIE, Visit, Visitor

if TYPE_CHECKING:
    from hub.access.rights import Person

YEAR_S: Final = 31_536_000
TEXT_MAX: Final = 400
NEXT: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20]{0,400}")
"""A place on this hub; `//host` would be another's."""
WEAK: Final = {
    "short": N_("Mật khẩu cần ít nhất 10 ký tự."),
    "long": N_("Mật khẩu dài quá 200 ký tự."),
    "plain": N_("Mật khẩu quá đơn giản: cần ít nhất 5 ký tự khác nhau."),
    "name": N_("Mật khẩu không được chứa tên đăng nhập."),
    "twice": N_("Hai lần nhập không giống nhau."),
    "wrong": N_("Mật khẩu hiện tại không đúng."),
    "user": N_("Tên đăng nhập chỉ gồm chữ thường không dấu, số, dấu chấm và gạch nối."),
}
Text = Annotated[str, Form(max_length=TEXT_MAX)]
OptionalText = Annotated[str, Form(max_length=TEXT_MAX)]


def add_login_pages(web: Web) -> None:
    """Start, login, logout, first login, account, appearance."""
    _add_start(web)
    _add_login(web)
    _add_links(web)
    _add_account(web)
    _add_appearance(web)


def _add_start(web: Web) -> None:
    @web.page("/")
    def start(visit: Visitor) -> Response:
        return web.show(visit, "start.html", groups=menu(visit))


def _add_login(web: Web) -> None:
    @web.page("/login")
    def login(visit: Visitor, next: str = "/") -> Response:
        if visit.person is not None:
            return RedirectResponse(_place(next), 303)
        return web.show(visit, "login.html", next=_place(next), wrong=False, wait_s=0, name="", fresh=not _any(web))

    @web.form("/login", "open", "login")
    def enter(
        visit: Visitor, request: Request, name: Text = "", password: Text = "", next: OptionalText = "/"
    ) -> Response:
        name, next = name.strip().casefold(), _place(next)
        wait_ms = web.store.sessions.wait_ms(name, address_of(request), visit.now_ms)
        values: dict[str, Any] = {"next": next, "name": name[:64], "fresh": False, "wrong": False, "wait_s": 0}
        if wait_ms:
            answer = web.show(visit, "login.html", 429, **{**values, "wait_s": -(-wait_ms // 1000)})
            answer.headers["retry-after"] = str(-(-wait_ms // 1000))
            return answer
        user = _user_of(web, visit, name, password)
        if user is None:
            web.store.sessions.failed(name, address_of(request), visit.now_ms)
            return web.show(visit, "login.html", 401, **{**values, "wrong": True})
        web.store.sessions.succeeded(name, address_of(request))
        return _inside(web, visit, request, user.person, next)

    @web.form("/logout", "open", "logout")
    def leave(visit: Visitor, request: Request) -> Response:
        if visit.secret is not None:
            web.store.sessions.end(visit.secret)
            web.doorman.note(visit, "logout", "", "write", "allowed")
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            cookie_name(request.url.scheme), secure=request.url.scheme == "https", httponly=True, samesite="strict"
        )
        return answer


def _any(web: Web) -> bool:
    return web.store.users.any()


def _user_of(web: Web, visit: Visit, name: str, password: str) -> User | None:
    """Who has this name and password and may come in today; as slow and silent for every other case."""
    right = is_password(web.store.users.secret(name), password)
    user = web.store.users.find(name)
    if user is None or user.revoked:
        return None
    ended = user.person.until is not None and visit.today > user.person.until
    if not right or ended:
        # What was typed as a name may be a password, so only names that somebody has are written down.
        web.store.audit.note(user.person, "login", "", "write", "refused", visit.now_ms, web.store.clock.mono_ms())
        return None
    return user


def _inside(web: Web, visit: Visit, request: Request, person: Person, place: str) -> Response:
    """A new session, whatever was in this browser before."""
    secret = web.store.sessions.begin(
        person.name, request.headers.get("user-agent", ""), visit.now_ms, instead_of=visit.secret
    )
    answer = RedirectResponse(place, 303)
    if secret is not None:
        web.store.audit.note(person, "login", "", "write", "allowed", visit.now_ms, web.store.clock.mono_ms())
        answer.set_cookie(
            cookie_name(request.url.scheme),
            secret,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
    return answer


def _add_links(web: Web) -> None:
    def shown(visit: Visit, secret: str, user: User | None, problem: str | None, status: int = 200) -> Response:
        words = None if problem is None else web.say(visit, WEAK[problem])
        return web.show(visit, "first.html", status, secret=secret, user=user, problem=words)

    @web.page("/first/{secret}")
    def first(visit: Visitor, secret: str) -> Response:
        stands, user = web.store.users.link(secret, visit.now_ms)
        if not stands:
            return web.show_problem(visit, 410, "link-used")
        return shown(visit, secret, user, None)

    @web.form("/first/{secret}", "open", "first login")
    def set_password(
        visit: Visitor, request: Request, secret: str, name: Text = "", password: Text = "", again: Text = ""
    ) -> Response:
        stands, user = web.store.users.link(secret, visit.now_ms)
        if not stands:
            return web.show_problem(visit, 410, "link-used")
        name = name.strip().casefold() if user is None else user.person.name
        problem = weakness(password, name) or ("twice" if password != again else None)
        if not NAME.fullmatch(name):
            problem = "user"
        if problem is not None:
            return shown(visit, secret, user, problem, 400)
        try:
            made = web.store.users.use_link(secret, hash_password(password), name, visit.now_ms)
        except UserRefused:
            return shown(visit, secret, user, "user", 400)
        if made is None:
            return web.show_problem(visit, 410, "link-used")
        return _inside(web, visit, request, made.person, "/")


def _add_account(web: Web) -> None:
    def shown(visit: Visit, problem: str | None = None, status: int = 200) -> Response:
        assert visit.session is not None
        places = web.store.sessions.of_user(visit.session.user, visit.now_ms)
        words = None if problem is None else web.say(visit, WEAK[problem])
        return web.show(visit, "me.html", status, places=places, problem=words)

    @web.page("/me")
    def me(visit: Visitor) -> Response:
        return shown(visit)

    @web.form("/me/password", "account", "change password", of="own")
    def password(visit: Visitor, request: Request, old: Text = "", password: Text = "", again: Text = "") -> Response:
        person = person_of(visit)
        about = person.name, address_of(request)
        if web.store.sessions.wait_ms(*about, visit.now_ms):
            return shown(visit, "wrong", 429)
        if not is_password(web.store.users.secret(person.name), old):
            web.store.sessions.failed(*about, visit.now_ms)
            return shown(visit, "wrong", 400)
        problem = weakness(password, person.name) or ("twice" if password != again else None)
        if problem is not None:
            return shown(visit, problem, 400)
        web.store.users.set_secret(person.name, hash_password(password))
        return _inside(web, visit, request, person, "/me")

    @web.form("/me/end", "account", "end session", of="own")
    def end(visit: Visitor, key: Text = "") -> Response:
        assert visit.session is not None
        web.store.sessions.end_by_key(visit.session.user, key)
        return RedirectResponse("/me", 303)


def _add_appearance(web: Web) -> None:
    @web.form("/appearance", "open", "appearance")
    def appearance(
        request: Request, language: OptionalText = "", theme: OptionalText = "", next: OptionalText = "/"
    ) -> Response:
        answer = RedirectResponse(_place(next), 303)
        for name, value, known in (
            (LANGUAGE_COOKIE, language, ("vi", "en")),
            (THEME_COOKIE, theme, ("auto", "light", "dark")),
        ):
            if value in known:
                answer.set_cookie(
                    name, value, YEAR_S, secure=request.url.scheme == "https", httponly=True, samesite="strict"
                )
        return answer


def _place(text: str) -> str:
    """Where to go on: a page of this hub, whatever was asked."""
    return text if NEXT.fullmatch(text) else "/"


assert PASSWORD_MAX <= TEXT_MAX
