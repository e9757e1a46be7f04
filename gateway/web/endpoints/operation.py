"""Endpoints for usage, workers, metrics, health and the pages."""

from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response

from gateway.web.api import health, metrics, page_files, pages, prometheus, usage, workers
from gateway.web.http.endpoint import CHAT_OR_ADMIN, METRICS, PUBLIC, Endpoint, JsonEndpoint

_ASSETS = {media_type: {"schema": {"type": "string"}} for media_type in pages.ASSETS.values()}
_PAGE_FILES = {media_type.partition(";")[0] for media_type in page_files.MEDIA_TYPES.values()}

OPERATION: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path="/api/chatbot/usage",
        handler=usage.used_tokens,
        name="used_tokens",
        summary="Used tokens",
        description="By day (UTC, the oldest first), by model and, with the parameter `user`, by user.",
        tag="usage",
        scopes=CHAT_OR_ADMIN,
        answer=list[usage.UsageView],
    ),
    JsonEndpoint(
        method="GET",
        path="/api/chatbot/workers",
        handler=workers.list_workers,
        name="list_workers",
        summary="The MQTT workers",
        description="All known workers, sorted by name; empty without MQTT.",
        tag="workers",
    ),
    JsonEndpoint(
        method="GET",
        path="/api/metrics",
        handler=metrics.metrics,
        name="metrics",
        summary="The gateway's figures",
        description="For a monitoring panel that polls every few seconds.",
        tag="health",
        scopes=METRICS,
    ),
    JsonEndpoint(
        method="GET",
        path="/metrics",
        handler=prometheus.prometheus,
        name="prometheus",
        summary="Metrics for Prometheus",
        description="In Prometheus' text format, version 0.0.4. docs/operations.md lists the names.",
        tag="health",
        scopes=METRICS,
        without_database=True,
        response_class=PlainTextResponse,
    ),
    JsonEndpoint(
        method="GET",
        path="/health",
        handler=health.health,
        name="health",
        summary="Liveness",
        description="200 while the process runs.",
        tag="health",
        scopes=PUBLIC,
    ),
    JsonEndpoint(
        method="GET",
        path="/ready",
        handler=health.ready,
        name="ready",
        summary="Readiness",
        description="200 if the database can be written to and the current mode can answer, else 503 with "
        "the problems in `missing`. Results are cached for one second.",
        tag="health",
        scopes=PUBLIC,
        answer=health.Ready,
        responses={503: {"model": health.NotReady}},
    ),
    JsonEndpoint(
        method="GET",
        path="/",
        handler=pages.page,
        name="page",
        summary="The gateway's page",
        description="State of the gateway, and an example request. Without `text/html` in the header Accept: "
        "`Ollama is running`, which clients of Ollama look for.",
        tag="pages",
        scopes=PUBLIC,
        response_class=HTMLResponse,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    ),
    JsonEndpoint(
        method="GET",
        path="/page/{version}/{path:path}",
        handler=page_files.page_file,
        name="page_file",
        summary="A file of the page",
        description="A script, a style sheet, an image or a font. `version` is in the page's links.",
        tag="pages",
        scopes=PUBLIC,
        response_class=Response,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _PAGE_FILES}}},
    ),
    JsonEndpoint(
        method="GET",
        path="/docs",
        handler=pages.docs,
        name="docs",
        summary="This document as a page",
        description="Shows this document and can call the endpoints.",
        tag="pages",
        scopes=PUBLIC,
        response_class=HTMLResponse,
    ),
    JsonEndpoint(
        method="GET",
        path="/docs/{asset}",
        handler=pages.docs_asset,
        name="docs_asset",
        summary="A file of that page",
        description="A script or a style sheet.",
        tag="pages",
        scopes=PUBLIC,
        response_class=FileResponse,
        responses={
            200: {"content": {kind: {"schema": {"type": "string"}} for kind in pages.ASSETS.values()}}
        },
    ),
    JsonEndpoint(
        method="GET",
        path="/openapi.json",
        handler=pages.openapi_document,
        name="openapi_document",
        summary="This document",
        description="OpenAPI 3.1.",
        tag="pages",
        scopes=PUBLIC,
        response_class=JSONResponse,
        responses={
            200: {"content": {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}}}
        },
    ),
)
