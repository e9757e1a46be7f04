"""langchain-openai with and without its option for Responses."""

from case import SCRIPTED, Asking, Received, case, raised, read
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai_chat import PIXEL, City

AREAS = {"Responses": True, "chat completions": False}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def model(ask: Asking, area: str) -> ChatOpenAI:
    return ChatOpenAI(
        model=SCRIPTED,
        base_url=f"{ask.url}/v1",
        api_key="none",
        max_retries=0,
        use_responses_api=AREAS[area],
    )


def cases_of(area: str) -> None:
    @case("langchain-openai", area, "invoke")
    async def invoke(ask: Asking) -> Received:
        first = await model(ask, area).ainvoke(ask("say"))
        second = await model(ask, area).ainvoke([("user", "hi"), first, ("user", ask("say", " again"))])
        assert second.usage_metadata["input_tokens"] > 0
        return [("complete", first.text), ("complete", second.text)]

    @case("langchain-openai", area, "stream")
    async def stream(ask: Asking) -> Received:
        text = "".join([piece.text async for piece in model(ask, area).astream(ask("say"))])
        return [("complete", text)]

    async def tool_round(ask: Asking, answer) -> Received:
        bound = model(ask, area).bind_tools([weather])
        said = [("user", ask("call"))]
        first = await answer(bound, said)
        (call,) = first.tool_calls
        assert call["args"] == {"city": "Paris"}
        second = await answer(bound, [*said, first, await weather.ainvoke(call)])
        assert "sunny" in second.text
        return [("complete", second.text)]

    @case("langchain-openai", area, "tool round")
    async def tools(ask: Asking) -> Received:
        return await tool_round(ask, lambda bound, said: bound.ainvoke(said))

    @case("langchain-openai", area, "tool round, streamed")
    async def tools_streamed(ask: Asking) -> Received:
        async def joined(bound, said):
            whole = None
            async for piece in bound.astream(said):
                whole = piece if whole is None else whole + piece
            return whole

        return await tool_round(ask, joined)

    @case("langchain-openai", area, "structured output")
    async def structured(ask: Asking) -> Received:
        answer = await (
            model(ask, area)
            .with_structured_output(City, method="json_schema", include_raw=True)
            .ainvoke(ask("json"))
        )
        assert answer["parsed"].city == ask.name
        return [("complete", answer["raw"].text)]

    @case("langchain-openai", area, "image")
    async def image(ask: Asking) -> Received:
        parts = [
            {"type": "text", "text": ask("look")},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ]
        answer = await model(ask, area).ainvoke([{"role": "user", "content": parts}])
        assert "1 image" in answer.text
        return [("complete", answer.text)]

    @case("langchain-openai", area, "errors")
    async def errors(ask: Asking) -> Received:
        for command in ("refuse", "fail", "break"):
            assert str(await raised(Exception, model(ask, area).ainvoke(ask(command))))
            assert str(await raised(Exception, read(model(ask, area).astream(ask(command)))))
        return [("failed", "")]


for area in AREAS:
    cases_of(area)
