"""docs/ names every dialect and every endpoint that a client may call."""

import re
from pathlib import Path

from gateway.dialects.registry import DIALECTS
from gateway.web.endpoints.table import ENDPOINTS

DOCS = Path(__file__).parents[2] / "docs"
OF_THE_PAGES = {"/docs/{asset}", "/page/{version}/{path:path}"}
OTHER_NAMES = {
    "/api/chatbot/messages/stream/{stream_id}",
    "/api/chatbot/messages/stream/{stream_id}/stop",
    "/v1/models/{model:path}",
}
"""Paths of which docs/http.md describes another form."""


def test_the_list_of_formats_has_every_dialect() -> None:
    page = (DOCS / "http.md").read_text(encoding="utf-8")
    listed = re.search(r"`\?format=lam`(?:[^.]|\n)+\.", page)
    assert listed is not None
    assert {*DIALECTS} - {"lam"} == {*re.findall(r"`([a-z-]+)`", listed[0])}


def test_every_endpoint_is_described() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    described = re.sub(r"\{[^}]*\}|(?<=/)[A-Z_]{2,}", "{}", pages)
    paths = {endpoint.path for endpoint in ENDPOINTS} - OF_THE_PAGES - OTHER_NAMES
    assert sorted(path for path in paths if re.sub(r"\{[^}]*\}", "{}", path) not in described) == []
