"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("127.0.0.1", "localhost")
"""Names under which a console that listens on this machine answers. Another name in the Host header is a page elsewhere
that had its own name resolve to this machine in order to read the project."""


def content_policy(*, styles: str, images: str) -> str:
    """A Content-Security-Policy that allows these styles and images, and nothing else: no script, no frame, no form."""
    return (f"default-src 'none'; style-src {styles}; img-src {images}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'")


SECURITY_HEADERS = {
    "Content-Security-Policy": content_policy(styles="'self'", images="'self'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class SecurityHeaders:
    """Middleware that puts these headers on every answer that has none of its own by that name.

    Pages are not cached, since they show what is so now.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request, and the answer with its headers."""
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _add(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if not headers.get("content-type", "").startswith("text/css"):
        headers["Cache-Control"] = "no-store"
