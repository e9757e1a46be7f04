"""The pages for people: what runs, and the API's description to try out. They load nothing from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from gateway.web.api.health import Readiness
from gateway.web.chat.conversation_cookie import is_https
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import Scope, header
from gateway.web.services import Services

_STATIC = Path(__file__).parents[2] / "page"
_PAGE = (_STATIC / "index.html").read_text(encoding="utf-8")
_DOCS = (_STATIC / "docs.html").read_text(encoding="utf-8")
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}


def _headers(content_security_policy: str) -> dict[str, str]:
    return {
        "content-security-policy": f"default-src 'none'; {content_security_policy}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
    }


def _style_hash(page: str) -> str:
    """Which lets in the page's own style element and no other."""
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_PAGE_HEADERS = _headers(f"style-src 'sha256-{_style_hash(_PAGE)}'")
_DOCS_HEADERS = _headers("script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'")


def pages_router(gateway: Services, readiness: Readiness) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> HTMLResponse:
        problems, _ = await readiness.check()
        told = {
            "mode": gateway.modes.mode,
            "state": "; ".join(problems) or "ready",
            "models": ", ".join(gateway.modes.models()) or "not known yet",
            "version": gateway.version,
            "address": address_of(request.scope),
            "root": root_path_of(request.scope),
            "key": "  -H 'Authorization: Bearer YOUR_API_KEY' \\\n" if gateway.keys.closed else "",
        }
        html = re.sub(r"{{(\w+)}}", lambda name: escape(told[name[1]]), _PAGE)
        return HTMLResponse(html, headers=_PAGE_HEADERS)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(_DOCS, headers=_DOCS_HEADERS)

    @router.get("/openapi.json")
    async def description(request: Request) -> JSONResponse:
        root_path = root_path_of(request.scope)
        servers = {"servers": [{"url": root_path}]} if root_path else {}
        return JSONResponse({**request.app.openapi(), **servers})

    for name, media_type in _ASSETS.items():
        router.add_api_route(f"/docs/{name}", _serve(_STATIC / "swagger-ui" / name, media_type))
    return router


_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")


def address_of(scope: Scope) -> str:
    """Return the URL under which the client reached us, safe to paste into a shell, without a final slash.

    The Host header says it; a client that sends none, or one that no shell should see, gets our own address.
    """
    host = header(scope, b"host") or ""
    if not _HOST.fullmatch(host):
        address, port = scope["server"]
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{'https' if is_https(scope) else 'http'}://{host}{root_path_of(scope)}"


def _serve(path: Path, media_type: str) -> Callable[[], FileResponse]:
    headers = {"cache-control": "max-age=86400"}

    def asset() -> FileResponse:
        return FileResponse(path, media_type=media_type, headers=headers)

    return asset
