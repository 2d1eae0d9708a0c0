"""The page of gateways and the hub's own state, which renews itself; and the hub's certificate."""

from __future__ import annotations

import hashlib

from fastapi import Request
from fastapi.responses import Response

from hub.web.ground import Web
from hub.web.pages.userpages import qr_svg
from hub.web.visits import Visitor


def add_device_pages(web: Web) -> None:
    """`/devices` and `/ca`."""

    @web.page("/devices")
    def devices(visit: Visitor) -> Response:
        return web.show(visit, "status.html", status=web.status.whole())

    @web.page("/ca")
    def ca(visit: Visitor, request: Request) -> Response:
        authority = None if web.certificates is None else web.certificates.authority
        link = f"{request.url.scheme}://{request.headers.get('host')}/ca"
        return web.show(
            visit,
            "ca.html",
            print=None if authority is None else _fingerprint(authority),
            link=link,
            code=qr_svg(link),
            tls=web.certificates is not None,
        )

    @web.file("/ca.crt", "open", "certificate")
    def download(visit: Visitor) -> Response:
        authority = None if web.certificates is None else web.certificates.authority
        if authority is None:
            return web.show_problem(visit, 404, "status-404")
        headers = {"content-disposition": 'attachment; filename="k12edge-ca.crt"'}
        return Response(authority, media_type="application/x-x509-ca-cert", headers=headers)


def _fingerprint(certificate: bytes) -> str:
    """SHA-256 in the form that phones and browsers show."""
    return hashlib.sha256(certificate).digest().hex(":").upper()
