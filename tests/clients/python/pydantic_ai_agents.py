"""pydantic-ai with OpenAI's Responses, its default, and with chat completions."""

import base64

from case import SCRIPTED, Asking, Received, case, raised
from openai_chat import PIXEL, client
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

MODELS = {"Responses": OpenAIResponsesModel, "chat completions": OpenAIChatModel}


def agent(ask: Asking, area: str, **more) -> Agent:
    made = Agent(MODELS[area](SCRIPTED, provider=OpenAIProvider(openai_client=client(ask))), **more)

    @made.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        return "sunny"

    return made


def cases_of(area: str) -> None:
    @case("pydantic-ai-slim", area, "run")
    async def run(ask: Asking) -> Received:
        first = await agent(ask, area).run(ask("think"))
        second = await agent(ask, area).run(ask("say", " again"), message_history=first.all_messages())
        return [("complete", first.output), ("complete", second.output)]

    @case("pydantic-ai-slim", area, "streamed run")
    async def streamed(ask: Asking) -> Received:
        async with agent(ask, area).run_stream(ask("say")) as result:
            text = "".join([piece async for piece in result.stream_text(delta=True, debounce_by=None)])
        return [("complete", text)]

    @case("pydantic-ai-slim", area, "tool round")
    async def tools(ask: Asking) -> Received:
        result = await agent(ask, area).run(ask("call"))
        assert "sunny" in result.output
        return [("complete", result.output)]

    @case("pydantic-ai-slim", area, "tool round, streamed")
    async def tools_streamed(ask: Asking) -> Received:
        async with agent(ask, area).run_stream(ask("call")) as result:
            text = await result.get_output()
        assert "sunny" in text
        return [("complete", text)]

    @case("pydantic-ai-slim", area, "image")
    async def image(ask: Asking) -> Received:
        picture = BinaryContent(base64.b64decode(PIXEL), media_type="image/png")
        result = await agent(ask, area).run([ask("look"), picture])
        assert "1 image" in result.output
        return [("complete", result.output)]

    @case("pydantic-ai-slim", area, "errors")
    async def errors(ask: Asking) -> Received:
        async def stream(command: str) -> None:
            async with agent(ask, area).run_stream(ask(command)) as result:
                await result.get_output()

        for command in ("refuse", "fail", "break"):
            assert str(await raised(AgentRunError, agent(ask, area).run(ask(command))))
            assert str(await raised(Exception, stream(command)))
        return [("failed", "")]


for area in MODELS:
    cases_of(area)
