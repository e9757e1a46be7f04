"""openai-agents, which asks for Responses unless it is given a model of chat completions."""

import agents
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from case import SCRIPTED, Asking, Received, case, raised, read
from openai_chat import client

agents.set_tracing_disabled(True)
MODELS = {"Responses": OpenAIResponsesModel, "chat completions": OpenAIChatCompletionsModel}


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def agent(ask: Asking, area: str) -> Agent:
    model = MODELS[area](model=SCRIPTED, openai_client=client(ask))
    return Agent(name="it", instructions="Be short.", model=model, tools=[weather])


def cases_of(area: str) -> None:
    @case("openai-agents", area, "run")
    async def run(ask: Asking) -> Received:
        first = await Runner.run(agent(ask, area), ask("say"))
        said = [*first.to_input_list(), {"role": "user", "content": ask("say", " again")}]
        second = await Runner.run(agent(ask, area), said)
        return [("complete", first.final_output), ("complete", second.final_output)]

    @case("openai-agents", area, "streamed run")
    async def streamed(ask: Asking) -> Received:
        result = Runner.run_streamed(agent(ask, area), ask("say"))
        text = ""
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                text += event.data.delta
        assert text == result.final_output
        return [("complete", text)]

    @case("openai-agents", area, "tool round")
    async def tools(ask: Asking) -> Received:
        result = await Runner.run(agent(ask, area), ask("call"))
        assert "sunny" in result.final_output
        return [("complete", result.final_output)]

    @case("openai-agents", area, "tool round, streamed")
    async def tools_streamed(ask: Asking) -> Received:
        result = Runner.run_streamed(agent(ask, area), ask("call"))
        await read(result.stream_events())
        assert "sunny" in result.final_output
        return [("complete", result.final_output)]

    @case("openai-agents", area, "errors")
    async def errors(ask: Asking) -> Received:
        for command in ("refuse", "fail", "break"):
            assert str(await raised(Exception, Runner.run(agent(ask, area), ask(command))))
            streamed = Runner.run_streamed(agent(ask, area), ask(command))
            assert str(await raised(Exception, read(streamed.stream_events())))
        return [("failed", "")]


for area in MODELS:
    cases_of(area)
