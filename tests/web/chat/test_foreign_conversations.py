"""Only its own user can continue a conversation, whatever id or cookie another user sends."""

from collections.abc import Iterable
from pathlib import Path

from gateway.contract.requests import ChatRequest
from tests.web.gateway_server import Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step, tokens

CHAT = "/api/chat/stream"
WORDS = "/api/v1/chat/unified/stream"
Headers = dict[str, str]


def counts(request: ChatRequest) -> Iterable[Step]:
    return tokens(str(len(request.turns)))


async def ann_and_eve(gateway: Served) -> tuple[Headers, Headers]:
    """Return the authorization headers of two users."""
    return bearer(await make_key(gateway, "ann")), bearer(await make_key(gateway, "eve"))


async def test_a_user_id_in_the_body_reaches_no_other_user(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        ann, eve = await ann_and_eve(gateway)
        told = [
            (await gateway.http.post(WORDS, json={"message": "Hi", "user_id": "ann"}, headers=headers)).text
            for headers in (ann, eve, ann, eve)
        ]
    assert told == ['data: "1"\n\n', 'data: "1"\n\n', 'data: "3"\n\n', 'data: "3"\n\n']


async def test_a_stolen_cookie_names_nothing_of_its_owner(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        ann, eve = await ann_and_eve(gateway)
        first = await gateway.http.post(CHAT, json={"message": "Hi"}, headers=ann)
        # The client keeps the cookie of the first response.
        theirs = await gateway.http.post(CHAT, json={"message": "Hi"}, headers=eve)
        second = await gateway.http.post(CHAT, json={"message": "Hi"}, headers=ann)
        nobody = await gateway.http.post(CHAT, json={"message": "Hi"})
    assert theirs.headers["set-cookie"] == first.headers["set-cookie"]
    assert '"content":"1"' in theirs.text
    assert '"content":"3"' in second.text
    assert nobody.status_code == 401
    assert nobody.json()["error"] == nobody.json()["detail"]


async def test_a_foreign_conversation_id_is_like_an_unknown_one(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        ann, eve = await ann_and_eve(gateway)
        await gateway.http.post(CHAT, json={"user_message": "Hi"}, headers=ann)
        (session,) = (await gateway.http.get("/api/chatbot/sessions", headers=ann)).json()
        unknown = session["uuid"][:-4] + ("0000" if session["uuid"][-4:] != "0000" else "1111")
        foreign, missing = [
            await gateway.http.post(CHAT, json={"user_message": "Hi", "conversation_id": uuid}, headers=eve)
            for uuid in (session["uuid"], unknown)
        ]
    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)
    assert foreign.status_code == 404
