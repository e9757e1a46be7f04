"""The HTML pages: state of the gateway and API documentation. They load nothing from other hosts."""

import re
from html import escape
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse

from gateway.contract.errors import NotFound
from gateway.web.api.dependencies import Gateway
from gateway.web.api.health import ReadinessOf
from gateway.web.api.page_files import files_version
from gateway.web.chat.conversation_cookie import is_https
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import Scope, header

_STATIC = Path(__file__).parents[2] / "page"
_PAGE = (_STATIC / "index.html").read_text(encoding="utf-8")
_DOCS = (_STATIC / "docs.html").read_text(encoding="utf-8")
ASSETS = {
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


_PAGE_HEADERS = _headers(
    "script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types dompurify"
)
_DOCS_HEADERS = _headers("script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'")


OLLAMA_LINE = "Ollama is running"
"""The answer to clients of Ollama, which look for it at this path."""

_HTML = re.compile(r"text/html\s*(;(?!\s*q=0(\.0*)?\s*(;|$)).*)?", re.IGNORECASE)


def _accepts_html(scope: Scope) -> bool:
    """Return whether the header Accept names HTML, as browsers' does; `*/*` does not."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    return any(_HTML.fullmatch(kind.strip()) for kind in ",".join(named).split(","))


async def page(request: Request, gateway: Gateway, readiness: ReadinessOf) -> Response:
    if not _accepts_html(request.scope):
        return PlainTextResponse(OLLAMA_LINE, headers={"vary": "Accept"})
    problems, mode, _ = await readiness.check()
    told = {
        "mode": mode,
        "state": "; ".join(problems) or "ready",
        "models": ", ".join(gateway.modes.models()) or "not known yet",
        "version": gateway.version,
        "file_bytes": str(gateway.max_attachment_bytes),
        "address": address_of(request.scope),
        "root": root_path_of(request.scope),
        "files": f"{root_path_of(request.scope)}/page/{files_version()}",
        "closed": "yes" if gateway.keys.closed else "no",
        "key": "  -H 'Authorization: Bearer YOUR_API_KEY' \\\n" if gateway.keys.closed else "",
    }
    html = re.sub(r"{{(\w+)}}", lambda name: escape(told[name[1]]), _PAGE)
    return HTMLResponse(html, headers={**_PAGE_HEADERS, "vary": "Accept"})


async def docs() -> HTMLResponse:
    return HTMLResponse(_DOCS, headers=_DOCS_HEADERS)


async def docs_asset(asset: str) -> FileResponse:
    if asset not in ASSETS:
        raise NotFound(f"There is no file /docs/{asset[:100]}.")
    return FileResponse(
        _STATIC / "swagger-ui" / asset,
        media_type=ASSETS[asset],
        headers={"cache-control": "max-age=86400"},
    )


async def openapi_document(request: Request) -> JSONResponse:
    root_path = root_path_of(request.scope)
    servers = {"servers": [{"url": root_path}]} if root_path else {}
    return JSONResponse({**request.app.openapi(), **servers})


_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")


def address_of(scope: Scope) -> str:
    """Return the gateway's URL for the client, safe to paste into a shell, without a slash at its end.

    It uses the Host header, or the server's own address if that is absent or has unusual characters.
    """
    host = header(scope, b"host") or ""
    if not _HOST.fullmatch(host):
        address, port = scope["server"]
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{'https' if is_https(scope) else 'http'}://{host}{root_path_of(scope)}"
