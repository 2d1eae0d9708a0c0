"""Pages of users, roles and tokens: who may log in, first-login slips to print, programs' tokens."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from hub.access.rights import ROLES
from hub.store.userrows import UserRefused
from hub.web.ground import Web
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor

Text = Annotated[str, Form(max_length=200)]
REASONS: Final = {
    "name": N_("Tên đăng nhập chỉ gồm chữ thường không dấu, số, dấu chấm và gạch nối."),
    "taken": N_("Tên đăng nhập này đã có hoặc đã từng có người dùng."),
    "named": N_("Tên này là của một người dùng hoặc một mã truy cập; hãy chọn tên khác."),
    "role": N_("Hãy chọn một vai trò."),
    "class": N_("Vai trò này cần một lớp."),
    "no-class": N_("Vai trò này không có lớp."),
    "until": N_("Vai trò này cần ngày cuối cùng, dạng năm-tháng-ngày."),
    "past": N_("Ngày cuối cùng đã qua."),
    "text": N_("Chữ nhập vào trống, quá dài hoặc có ký tự lạ."),
    "many": N_("Đã có quá nhiều; hãy thu hồi bớt."),
    "unknown": N_("Không còn người dùng hoặc mã này."),
}
"""Why something about a user was refused; see UserRefused.reason."""


def add_user_pages(web: Web) -> None:
    """`/users` and `/tokens`."""
    _add_users(web)
    _add_tokens(web)


def _add_users(web: Web) -> None:
    @web.page("/users")
    def users(visit: Visitor) -> Response:
        return web.show(visit, "users.html", users=web.store.users.all())

    @web.page("/users/new")
    def new(visit: Visitor) -> Response:
        return _form(web, visit, None, {"name": "", "shown": "", "role": "", "school_class": "", "until": ""})

    @web.form("/users/new", "users", "add user")
    def add(
        visit: Visitor,
        request: Request,
        name: Text = "",
        shown: Text = "",
        role: Text = "",
        school_class: Text = "",
        until: Text = "",
    ) -> Response:
        name = name.strip().casefold()
        try:
            user, secret = web.store.users.add(
                name, shown, role, school_class.strip() or None, until.strip() or None, visit.now_ms
            )
        except UserRefused as problem:
            values = {"name": name, "shown": shown, "role": role, "school_class": school_class, "until": until}
            return _form(web, visit, problem.reason, values, 400)
        visit.note("user", user.person.name)
        return _slip(web, visit, request, user.person.name, secret)

    @web.form("/users/link", "users", "new login link")
    def again(visit: Visitor, request: Request, name: Text = "") -> Response:
        try:
            secret = web.store.users.new_link(name, visit.now_ms)
        except UserRefused:
            visit.failed(UserRefused.code)
            return RedirectResponse("/users", 303)
        visit.note("login link", name)
        return _slip(web, visit, request, name, secret)

    @web.form("/users/revoke", "users", "revoke user")
    def revoke(visit: Visitor, name: Text = "") -> Response:
        if visit.person is None or name == visit.person.name:
            # Whoever shut themselves out would need the terminal.
            return web.show_problem(visit, 409, "own-user")
        try:
            web.store.users.revoke(name, visit.now_ms)
        except UserRefused:
            visit.failed(UserRefused.code)
            return RedirectResponse("/users", 303)
        visit.note("user revoked", name)
        return RedirectResponse("/users", 303)


def _form(web: Web, visit: Visit, problem: str | None, values: dict[str, str], status: int = 200) -> Response:
    return web.show(
        visit,
        "newuser.html",
        status,
        title=web.say(visit, N_("Thêm người dùng")),
        problem=None if problem is None else web.say(visit, REASONS[problem]),
        values=values,
        roles=ROLES,
    )


def _slip(web: Web, visit: Visit, request: Request, name: str, secret: str) -> Response:
    """The slip is shown once: nobody knows the link's secret afterwards."""
    user = web.store.users.find(name)
    link = f"{request.url.scheme}://{request.headers.get('host')}/first/{secret}"
    title = web.say(visit, N_("Phiếu đăng nhập lần đầu"))
    known = [] if user is None else web.store.userdesk.other_classes(user.person.school_class)
    return web.show(visit, "slip.html", title=title, user=user, link=link, code=qr_svg(link), known=known)


def _add_tokens(web: Web) -> None:
    def shown(visit: Visit, secret: str | None = None, problem: str | None = None, status: int = 200) -> Response:
        words = None if problem is None else web.say(visit, REASONS[problem])
        return web.show(
            visit,
            "tokens.html",
            status,
            title=web.say(visit, N_("Mã truy cập của chương trình")),
            tokens=web.store.sessions.tokens(),
            secret=secret,
            problem=words,
            roles=ROLES,
        )

    @web.page("/tokens")
    def tokens(visit: Visitor) -> Response:
        return shown(visit)

    @web.form("/tokens", "users", "add token")
    def add(visit: Visitor, name: Text = "", role: Text = "", school_class: Text = "", until: Text = "") -> Response:
        try:
            token, secret = web.store.sessions.add_token(
                role, school_class.strip() or None, name, until.strip() or None, visit.now_ms
            )
        except UserRefused as problem:
            return shown(visit, None, problem.reason, 400)
        visit.note("token", str(token.number))
        return shown(visit, secret)

    @web.form("/tokens/revoke", "users", "revoke token")
    def revoke(visit: Visitor, number: Annotated[int, Form(ge=1, le=1 << 62)]) -> Response:
        try:
            web.store.sessions.revoke_token(number, visit.now_ms)
        except UserRefused:
            visit.failed(UserRefused.code)
            return RedirectResponse("/tokens", 303)
        visit.note("token revoked", str(number))
        return RedirectResponse("/tokens", 303)


def qr_svg(text: str) -> str:
    """A QR code to stand in a page (ISO/IEC 18004); its colours are those of paper in any look."""
    import segno

    return segno.make(text, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff", omitsize=True)
