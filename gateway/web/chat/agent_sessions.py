"""The sessions of agents, whose requests bring their whole history and name no session.

Without this, each step of an agent would make a session of its own.
"""

import re

from gateway.contract.threads import HIDDEN_PREFIX, LASTING_PREFIX
from gateway.web.chat.forms import Post
from gateway.web.chat.session_names import session_id_of
from gateway.web.http.asgi import header
from gateway.web.services import Services

_PRODUCT = re.compile(r"[A-Za-z0-9._@-]{1,64}")


async def agent_session(gateway: Services, post: Post, api: str) -> tuple[int | None, str | None]:
    """The session's id where the header `Sluice-Session` names one, else the thread of the hidden session.

    The hidden session belongs to a user, an API and a client, by the product that its User-Agent names first.
    Raises NotFound for a session that is unknown or somebody else's.
    """
    named = header(post.scope, b"sluice-session")
    if named is not None:
        return await session_id_of(gateway.store, post.user_id, named), None
    product = _PRODUCT.match(header(post.scope, b"user-agent") or "")
    client = "unknown" if product is None else product[0].lower()
    return None, f"{HIDDEN_PREFIX}{api}:{client}"


def named_thread(api: str, name: str) -> str:
    """The thread of the session that a client names itself; it never ends."""
    return f"{LASTING_PREFIX}{api}:{name}"
