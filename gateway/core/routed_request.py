"""A question as the store and a transport get it."""

from msgspec import Struct

from gateway.contract.continued import ReplySoFar
from gateway.contract.events import Delivery
from gateway.contract.exchanges import NewExchange
from gateway.contract.requests import ChatRequest
from gateway.core.failover import Route
from gateway.core.question import Question
from gateway.core.stored_handle import StoredHandle
from gateway.core.titles import title_of


class RoutedRequest(Struct, frozen=True):
    """A request and the transport that gets it first.

    Attributes:
        delivery: how the reply is expected to arrive.
        goes_on: the stored reply that the request continues; None for a new one.
    """

    request: ChatRequest
    route: Route
    delivery: Delivery
    goes_on: ReplySoFar | None


def new_exchange(question: Question, routed: RoutedRequest, handle: StoredHandle | None) -> NewExchange:
    """Return what the store begins. handle: of the reply; None if it ends with this gateway."""
    return NewExchange(
        user_id=question.user_id,
        session_id=question.session_id,
        title=title_of(question.content),
        content=question.content,
        stream_id=routed.request.id,
        mode=routed.route.info.name,
        delivery=routed.delivery,
        idempotency=question.idempotency,
        thread=question.thread,
        author=question.author,
        client_id=question.client_id,
        request=question.request,
        branch=question.branch,
        continues=routed.goes_on,
        handle=None if handle is None else handle.as_json(),
    )
