"""The requests of Open WebUI 0.6 in their order, to a server of Ollama's API and to one of OpenAI's."""

import json
from collections.abc import AsyncIterator

import httpx
from case import REAL, SCRIPTED, Asking, Received, case

OPTIONS = {"temperature": 0.7, "num_ctx": 2048, "top_k": 40, "mirostat": 0, "repeat_last_n": 64}
"""Model settings that its page offers."""
FOLLOW_UPS = "### Task: Suggest a title for the chat as JSON."
"""Open WebUI asks for a title, tags and follow-up questions after the first answer."""


async def lines(http: httpx.AsyncClient, path: str, body: dict) -> AsyncIterator[str]:
    async with http.stream("POST", path, json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for chunk in response.aiter_bytes():
            for line in chunk.split(b"\n"):
                if line:
                    yield line.decode()


@case("Open WebUI's requests", "Ollama", "version, tags, ps, chat, title, error")
async def ollama(ask: Asking) -> Received:
    async with httpx.AsyncClient(base_url=ask.url, trust_env=False, timeout=30) as http:
        assert (await http.get("/api/version")).json()["version"].replace(".", "").isdigit()
        tags = (await http.get("/api/tags")).json()["models"]
        assert {model["model"] for model in tags} == {REAL, SCRIPTED}
        assert all(model["digest"] and model["details"]["family"] for model in tags)
        assert (await http.get("/api/ps")).json()["models"]
        assert (await http.get("/")).status_code == 200
        body = {"model": SCRIPTED, "messages": [{"role": "user", "content": ask("say")}], "stream": True}
        parts = [json.loads(line) async for line in lines(http, "/api/chat", {**body, "options": OPTIONS})]
        text = "".join(part["message"]["content"] for part in parts)
        assert parts[-1]["done"]
        assert parts[-1]["eval_count"]
        title = {
            "model": REAL,
            "messages": [{"role": "user", "content": FOLLOW_UPS}],
            "stream": False,
            "keep_alive": "5m",
        }
        titled = (await http.post("/api/chat", json=title)).json()["message"]["content"]
        body["messages"] += [
            {"role": "assistant", "content": text},
            {"role": "user", "content": ask("say", " again")},
        ]
        parts = [json.loads(line) async for line in lines(http, "/api/chat", body)]
        again = "".join(part["message"]["content"] for part in parts)
        refused = await http.post(
            "/api/chat", json={"model": SCRIPTED, "messages": [{"role": "user", "content": ask("refuse")}]}
        )
        assert refused.json()["error"]
    return [("complete", text), ("complete", titled), ("complete", again), ("failed", "")]


@case("Open WebUI's requests", "OpenAI", "models, chat, title, error")
async def openai(ask: Asking) -> Received:
    headers = {"authorization": "Bearer none", "x-openwebui-user-name": "Ada"}
    async with httpx.AsyncClient(
        base_url=f"{ask.url}/v1", headers=headers, trust_env=False, timeout=30
    ) as http:
        models = (await http.get("/models")).json()
        assert {model["id"] for model in models["data"]} == {REAL, SCRIPTED}
        said = [{"role": "user", "content": ask("say")}]
        body = {
            "model": SCRIPTED,
            "messages": said,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        received = [line async for line in lines(http, "/chat/completions", body)]
        assert received[-1] == "data: [DONE]"
        chunks = [json.loads(line[6:]) for line in received[:-1] if line.startswith("data: ")]
        text = "".join(
            choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
        )
        title = {
            "model": REAL,
            "messages": [{"role": "user", "content": FOLLOW_UPS}],
            "stream": False,
            "max_completion_tokens": 1000,
        }
        titled = (await http.post("/chat/completions", json=title)).json()
        refused = await http.post(
            "/chat/completions",
            json={"model": SCRIPTED, "messages": [{"role": "user", "content": ask("refuse")}]},
        )
        assert refused.json()["error"]["message"]
    return [
        ("complete", text),
        ("complete", titled["choices"][0]["message"]["content"]),
        ("failed", ""),
    ]
