"""httpx-sse, which reads the gateway's own stream."""

import httpx
from case import REAL, SCRIPTED, Asking, Received, case
from httpx_sse import aconnect_sse

AREA = "/messages/stream"


async def heard(ask: Asking, **body: object) -> list[dict]:
    async with (
        httpx.AsyncClient(base_url=ask.url, trust_env=False, timeout=30) as http,
        aconnect_sse(http, "POST", AREA, json=body) as source,
    ):
        return [event.json() async for event in source.aiter_sse()]


@case("httpx-sse", AREA, "stream")
async def stream(ask: Asking) -> Received:
    received = []
    for model, question in ((REAL, "Tell me about the river."), (SCRIPTED, ask("say"))):
        events = await heard(ask, content=question, model=model)
        text = "".join(event["content"] for event in events if event["type"] == "chunk")
        assert text == events[-1]["full_content"]
        received.append(("complete", text))
    return received


@case("httpx-sse", AREA, "errors")
async def errors(ask: Asking) -> Received:
    refused = await heard(ask, content=ask("refuse"), model=SCRIPTED)
    broken = await heard(ask, content=ask("break"), model=SCRIPTED)
    assert [events[-1]["type"] for events in (refused, broken)] == ["error", "error"]
    return [("failed", events[-1]["full_content"]) for events in (refused, broken)]


@case("httpx-sse", AREA, "drop and resume by Last-Event-ID")
async def resume(ask: Asking) -> Received:
    async with httpx.AsyncClient(base_url=ask.url, trust_env=False, timeout=30) as http:
        body = {"content": ask("say"), "model": SCRIPTED, "resumable": True}
        async with aconnect_sse(http, "POST", AREA, json=body) as source:
            path = f"{AREA}/{source.response.headers['sluice-stream-id']}"
            text, last = "", ""
            async for event in source.aiter_sse():
                last = event.id
                if event.json()["type"] == "chunk":
                    text = event.json()["content"]
                    break
        async with aconnect_sse(http, "GET", path, headers={"last-event-id": last}) as source:
            events = [event.json() async for event in source.aiter_sse() if event.data]
    text += "".join(event["content"] for event in events if event["type"] == "chunk")
    assert text == events[-1]["full_content"]
    return [("complete", text)]
