"""The doorman: finds out who asks, holds each request to its route's rule, and writes down what came of it."""

from __future__ import annotations

import hmac
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import date
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NoReturn, cast
from urllib.parse import urlsplit

from hub.access.rights import PERSONAL, Person, Right, allowed, bound, may
from hub.access.sessions import PLAIN_COOKIE, TLS_COOKIE
from hub.web.errors import LoginNeeded, Refusal
from hub.web.registry import Rule
from hub.web.visits import LANGUAGE_COOKIE, THEME_COOKIE, Theme, Visit
from hub.web.words import Language, moment
from protocol.errors import K12EdgeError
from protocol.settings import is_loopback

if TYPE_CHECKING:
    from fastapi import Request

    from hub.parts import Store
    from hub.store.auditrows import Kind, Outcome

log = logging.getLogger("k12edge.web")

FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""A proxy on this machine asks for somebody else."""
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
SAFE: Final = ("GET", "HEAD")
OBJECTS: Final = ("key", "record", "number", "position")
ASKED: Final = ("pupil", "student")
"""Parts of a path, and of a query, that name what is asked for by an opaque key."""
OBJECT_CHARACTERS_MAX: Final = 64
HOME_BITS: Final = 64
"""Of an IPv6 network that one customer or one cable has (RFC 6177)."""
NOTHING: Final = Rule("open", "own", "nothing")


def cookie_name(scheme: str) -> str:
    """The session's cookie."""
    return TLS_COOKIE if scheme == "https" else PLAIN_COOKIE


def local_day(now_ms: int) -> date:
    """The day in Vietnam."""
    return moment(now_ms).date()


class Doorman:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    # --- who asks -----------------------------------------------------------------------------------------------------

    def arrives(self, request: Request, rule: Rule) -> Visit:
        """Who asks, not yet let in."""
        visit = self.stranger(request, rule)
        now_ms = visit.now_ms
        header = request.headers.get("authorization")
        if header is not None and rule.api:
            # Whoever brings a token is held to it: a cookie beside it counts for nothing.
            scheme, _, secret = header.partition(" ")
            found = self._store.sessions.of_token(secret.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                raise LoginNeeded
            return replace(visit, person=found)
        secret = request.cookies.get(cookie_name(request.url.scheme), "")
        session = self._store.sessions.find(secret, now_ms) if secret else None
        if session is None:
            return visit
        with suppress(K12EdgeError):
            # A full disk ends no session: who is on site must be seen then too.
            self._store.sessions.seen(session, secret, now_ms)
        return replace(visit, person=session.person, session=session, secret=secret)

    def stranger(self, request: Request, rule: Rule = NOTHING) -> Visit:
        """A visit of somebody unknown: language, look and time only."""
        now_ms = self._store.clock.now_ms()
        language: Language = "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "vi"
        shown = request.cookies.get(THEME_COOKIE)
        theme = cast("Theme", shown if shown in ("light", "dark") else "auto")
        path = getattr(request.scope.get("route"), "path", "")
        return Visit(self, rule, None, None, None, language, theme, request.url.path, path, now_ms, local_day(now_ms))

    # --- whether they come in -----------------------------------------------------------------------------------------

    def admit(self, request: Request, rule: Rule) -> Visit:
        """Let a request in by its rule, or raise Refusal; LedgerFull, LedgerFailed of a change.

        A form's hidden field is still to be asked.
        """
        visit = self.arrives(request, rule)
        try:
            self._let_in(request, visit, rule)
        except Refusal as met:
            self.settle(visit, met.status_code, met.code)
            raise
        if rule.writes:
            # Its row is written when it was done: that there is room for it is asked before.
            self._store.audit.must_have_room()
        return visit

    def _let_in(self, request: Request, visit: Visit, rule: Rule) -> None:
        _bounded(request, rule)
        if request.method not in SAFE:
            _of_this_site(request, with_cookie=visit.secret is not None, needed=not rule.api)
        if rule.right == "open":
            return
        if visit.person is None or (rule.here and not may(visit.person, rule.right, visit.today)):
            if rule.here and is_here(request):
                visit.about = _object_of(request) if rule.writes else None
                return
            if visit.person is None:
                raise LoginNeeded
        self._held_to(request, visit, rule, rule.right)

    def _held_to(self, request: Request, visit: Visit, rule: Rule, right: Right) -> None:
        assert visit.person is not None
        if rule.of in ("own", "object"):
            if not may(visit.person, right, visit.today):
                self._refuse(visit, _object_of(request))
            if rule.writes and rule.of == "own":
                visit.about = ""
            return
        if rule.of == "class":
            named = request.path_params.get("school_class") or request.query_params.get("class")
            visit.school_class = named or (visit.person.school_class if bound(visit.person) else None)
        if not allowed(visit.person, right, visit.school_class, visit.today):
            self._refuse(visit, visit.school_class or _object_of(request))
        if rule.writes or right in PERSONAL:
            visit.about = visit.school_class or _object_of(request)

    def still(self, visit: Visit) -> bool:
        """See Visit.still. Who came without a session comes again by what they brought."""
        rule, now_ms = visit.rule, self._store.clock.now_ms()
        session = None if visit.secret is None else self._store.sessions.find(visit.secret, now_ms)
        if session is None or visit.secret is None or rule.right == "open":
            return False
        self._store.sessions.seen(session, visit.secret, now_ms)
        school_class = visit.school_class if rule.of == "class" else None
        return allowed(session.person, rule.right, school_class, local_day(now_ms))

    def must(self, visit: Visit, school_class: str | None, about: str, right: Right | None) -> None:
        """See Visit.must."""
        asked = right or visit.rule.right
        assert asked != "open"
        if visit.person is None or not allowed(visit.person, asked, school_class, visit.today):
            self._refuse(visit, about)
        visit.about = about

    def deny(self, visit: Visit, about: str) -> NoReturn:
        """See Visit.deny."""
        self._refuse(visit, about)

    def _refuse(self, visit: Visit, about: str) -> NoReturn:
        visit.turned_away = True
        self._tell(visit, about, "refused")
        raise Refusal(403, "not-allowed", "This role may not do this here.")

    # --- what came of it ----------------------------------------------------------------------------------------------

    def settle(self, visit: Visit, status: int, code: str) -> None:
        """Write down what came of a visit, after it was done and before it is answered: one row an act.

        `allowed` only where the answer's status says that it was done. Who isn't known has no row but for changes.
        """
        rule, code = visit.rule, visit.code or code
        if status < 400 and not code:
            if visit.about is not None and not (visit.noted and rule.writes):
                self._tell(visit, visit.about, "allowed")
            return
        known = visit.person is not None and (rule.writes or status == 403)
        if not visit.turned_away and (known or visit.about is not None):
            self._tell(visit, visit.about or "", "refused", code or f"status-{status}")

    def _tell(self, visit: Visit, about: str, outcome: Outcome, code: str = "") -> None:
        try:
            self.note(visit, visit.rule.what, about, "write" if visit.rule.writes else "read", outcome, code)
        except K12EdgeError as problem:
            # What was done stays done, and what was refused, refused: only this row is missing.
            log.error("%s (%s) could not be written into the audit: %s", visit.rule.what, outcome, problem)

    def note(self, visit: Visit, what: str, about: str, kind: Kind, outcome: Outcome, code: str = "") -> None:
        """A row of the audit. Raises LedgerFull, LedgerFailed of a change."""
        mono_ms = self._store.clock.mono_ms()
        self._store.audit.note(visit.person, what, about, kind, outcome, visit.now_ms, mono_ms, code=code)


def _object_of(request: Request) -> str:
    """The opaque key of what an address asks for, empty where it names none."""
    named = [request.path_params.get(part) for part in OBJECTS]
    named += [request.query_params.get(part) for part in ASKED]
    return next((str(key)[:OBJECT_CHARACTERS_MAX] for key in named if key), "")


def _bounded(request: Request, rule: Rule) -> None:
    size = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not size.isdigit() or int(size) > rule.body_max:
        # A body that doesn't say its length could be any.
        raise Refusal(413, "too-large", f"A body says its length, at most {rule.body_max} bytes.")


def _of_this_site(request: Request, *, with_cookie: bool, needed: bool) -> None:
    """A page of another site must not act through a person's browser: no foreign origin, and to the API JSON only."""
    origin, fetched = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    here = f"{request.url.scheme}://{request.headers.get('host')}"
    foreign = origin != here if origin is not None else fetched not in (None, "same-origin")
    # A browser says where a form comes from; a program without a cookie says nothing and acts through nobody.
    unsaid = origin is None and fetched is None and (with_cookie or needed)
    if foreign or unsaid:
        raise Refusal(403, "foreign-origin", "Requests from other sites are refused.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not needed and kind != "application/json" and request.method != "DELETE":
        raise Refusal(415, "json-needed", "Send application/json.")
    if needed and kind not in FORMS:
        raise Refusal(415, "form-needed", "Send a form.")


def is_form_of(visit: Visit, field: object) -> bool:
    """Whether a form was made for this session."""
    return visit.secret is None or (isinstance(field, str) and hmac.compare_digest(field.encode(), visit.csrf.encode()))


def is_here(request: Request) -> bool:
    """Whether a program of this very machine asks: by a loopback address, by such a name, and for nobody else."""
    client = request.client
    if client is None or not is_loopback(client.host) or any(name in request.headers for name in FORWARDED):
        return False
    # A name that another site lets point to this machine is no name of it.
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def address_of(request: Request) -> str:
    """Where a login comes from; of IPv6 the network, since a machine has as many addresses in it as it likes."""
    if request.client is None:
        return "-"
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return request.client.host[:64]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address.packed, HOME_BITS), strict=False))
    return str(address)


def person_of(visit: Visit) -> Person:
    """The person of a route that lets nobody in without one."""
    assert visit.person is not None
    return visit.person
