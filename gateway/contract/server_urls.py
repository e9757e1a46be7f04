"""Parses addresses of model servers, of a trace collector, of Redis and of this gateway from settings."""

import re
from urllib.parse import parse_qsl, urlsplit

from gateway.contract.host_names import filled
from gateway.contract.host_ports import HOST, address_of, is_host, without_brackets

_ENDPOINTS = frozenset(
    {"completions", "completion", "models", "embeddings", "responses", "health", "props", "slots", "generate"}
)

_COLLECTOR_HEADER = r"[A-Za-z0-9!#-'*+.^_`|~-]+[ \t]*=[ !#-+\--:<-\[\]-~\t]*"
"""Source: OpenTelemetry's `parse_env_headers`, which does not take `"`, `;` and `\\` in a value."""

_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""Options of REDIS_URL: paths of PEM files."""


def model_server_roots(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of addresses with model_server_root, without duplicates.

    Raises ValueError. If there are several addresses, it names the wrong one.
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
    """Return the text with `…` in place of a user and password in an address."""
    return re.sub(r"//[^@/]*@", "//…@", text)


def model_server_root(text: str) -> str:
    """Return the address without a `/v1` or slash at its end; a path before it is kept as a proxy's prefix.

    Raises ValueError, whose text says what is wrong, for an address that cannot be that of a model server.
    """
    url = text.strip()
    if re.search(r"[^!-~]", url):
        raise ValueError("it contains a character that is not allowed in an address")
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise ValueError("it must begin with http:// or https://, such as http://127.0.0.1:8080")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"it is not an address: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password in it is not sent; set LLM_API_KEY instead")
    if not is_host(parts.hostname) or port == 0:
        raise ValueError("it has no valid host or port")
    if "?" in url or "#" in url:
        raise ValueError("it must not have a query (?) or a fragment (#)")
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[-1] == "v1":
        segments.pop()
    server = f"{parts.scheme}://{parts.netloc}"
    if "v1" in segments or segments[-1:] == ["chat"] or _ENDPOINTS.intersection(segments[-1:]):
        raise ValueError(f"{parts.path} is an endpoint; the server alone is enough, such as {server}")
    return "/".join([server, *segments])


def collector_url(text: str) -> str:
    """Return the base address of a trace collector; empty for none. Raises ValueError."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and is_host(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or re.search(r"[^!-~]|[?#]", text):
        raise ValueError("it must be the address of an OTLP/HTTP collector, such as http://127.0.0.1:4318")
    return text


def collector_headers(text: str) -> str:
    """Return headers for a trace collector as they are. Raises ValueError, whose text shows none of them.

    OpenTelemetry would leave out those that it cannot read, and log them with their secrets.
    """
    if not all(re.fullmatch(_COLLECTOR_HEADER, part.strip()) for part in text.split(",") if part.strip()):
        raise ValueError("it must be name=value, separated by commas, values encoded as in a URL")
    return text


def checked_internal_url(text: str, number: int, workers: int) -> str:
    """Return the address of process `number` without a slash at its end; empty if `text` is empty. Raises
    ValueError, also if several workers would have the same one.

    An IPv6 address may lack its brackets, since the port is never left out: a variable such as Kubernetes'
    POD_IP has none.
    """
    if workers > 1 and text and "{n}" not in text:
        raise ValueError(
            f"INTERNAL_URL={without_password(text)} is one address for WORKERS={workers}: each process needs "
            "a port of its own by {n}, its number, such as http://10.0.0.5:910{n}"
        )
    text = filled(text, number)
    if not text:
        return ""
    parts = re.fullmatch(rf"http://(?P<host>{HOST}):(?P<port>[0-9]{{1,5}})/?", text)
    if parts is None or not 0 < int(parts["port"]) <= 65_535:
        raise ValueError(
            f"INTERNAL_URL={without_password(text)} is not allowed: it must be http, a host and a port, such "
            "as http://10.0.0.5:8001"
        )
    return f"http://{address_of(without_brackets(parts['host']), int(parts['port']))}"


def checked_redis_url(text: str) -> str:
    """Return the address of Redis; empty for none. Raises ValueError, without the address in its text."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        names = dict(parse_qsl(parts.query, strict_parsing=True)).keys() if parts.query else set()
        is_valid = parts.port != 0 and text.count("@") <= 1 and not re.search(r"[^!-~]|#", text)
    except ValueError:
        parts, names, is_valid = urlsplit(""), set(), False
    if parts.scheme == "unix":
        is_valid = is_valid and len(parts.path) > 1 and not parts.netloc.rpartition("@")[2]
    else:
        is_valid = is_valid and parts.scheme in ("redis", "rediss") and is_host(parts.hostname)
        is_valid = is_valid and re.fullmatch(r"(/[0-9]{0,4})?", parts.path) is not None
    if not is_valid or names - (_TLS_OPTIONS | {"db"} if parts.scheme == "rediss" else {"db"}):
        raise ValueError(
            "it must be like redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path, with %40 "
            f"for an @ in the password; options are db and, with rediss, {', '.join(sorted(_TLS_OPTIONS))}"
        )
    return text
