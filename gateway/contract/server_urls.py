"""The address of a model server as people write it."""

import re
from urllib.parse import urlsplit

_ENDPOINTS = frozenset(
    {"completions", "completion", "models", "embeddings", "responses", "health", "props", "slots", "generate"}
)


def model_server_roots(text: str) -> tuple[str, ...]:
    """The addresses in a list that is separated by commas, each once; see model_server_root.

    Raises ValueError, which names the wrong one if there are several.
    """
    urls = [url.strip() for url in text.split(",")]
    roots = []
    for url in urls:
        try:
            roots.append(model_server_root(url))
        except ValueError as problem:
            if len(urls) == 1:
                raise
            raise ValueError(f"{without_password(url) or 'an empty address'}: {problem}") from None
    return tuple(dict.fromkeys(roots))


def without_password(text: str) -> str:
    """The text without a user and password that stand in an address."""
    return re.sub(r"//[^@/]*@", "//…@", text)


def model_server_root(text: str) -> str:
    """The address without the `/v1` or slash that may be at its end; a path before it is a proxy's prefix.

    Raises ValueError, with what is wrong, for an address under which no request could find the server.
    """
    url = text.strip()
    if re.search(r"[^!-~]", url):
        raise ValueError("it holds a character that no address has")
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise ValueError("it must begin with http:// or https://, such as http://127.0.0.1:8080")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"it is not an address: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password in it is not sent; set LLM_API_KEY instead")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", parts.hostname or "") or port == 0:
        raise ValueError("it names no host, or a port that is none")
    if "?" in url or "#" in url:
        raise ValueError("it must not have a query (?) or a fragment (#)")
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[-1] == "v1":
        segments.pop()
    server = f"{parts.scheme}://{parts.netloc}"
    if "v1" in segments or segments[-1:] == ["chat"] or _ENDPOINTS.intersection(segments[-1:]):
        raise ValueError(f"{parts.path} is an endpoint; the server alone is enough, such as {server}")
    return "/".join([server, *segments])
