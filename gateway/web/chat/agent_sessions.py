"""Sessions of agents, whose requests contain their whole history but name no session.

Without these, each step of an agent would make a new session.
"""

import re

from gateway.contract.threads import HIDDEN_PREFIX, LASTING_PREFIX
from gateway.web.chat.forms import Post
from gateway.web.chat.session_names import session_id_of
from gateway.web.http.asgi import header
from gateway.web.services import Services

_PRODUCT = re.compile(r"[A-Za-z0-9._@-]{1,64}")


async def agent_session(gateway: Services, post: Post, api: str) -> tuple[int | None, str | None]:
    """Return the id of the session in the header `Sluice-Session`, else the thread of a hidden session.

    There is one hidden session for each user, API and client (the first product in `User-Agent`).
    Raises NotFound if the user has no such session.
    """
    named = header(post.scope, b"sluice-session")
    if named is not None:
        return await session_id_of(gateway.store, post.user_id, named), None
    product = _PRODUCT.match(header(post.scope, b"user-agent") or "")
    client = "unknown" if product is None else product[0].lower()
    return None, f"{HIDDEN_PREFIX}{api}:{client}"


def named_thread(api: str, name: str) -> str:
    """Return the thread for a name that the client chose. It does not expire."""
    return f"{LASTING_PREFIX}{api}:{name}"
