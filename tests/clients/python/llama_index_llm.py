"""llama-index's class for servers with OpenAI's API, with chat completions."""

from case import REAL, SCRIPTED, Asking, Received, case, raised, read
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

CLIENT = "llama-index-llms-openai-like"
AREA = "chat completions"


def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def model(ask: Asking, name: str = SCRIPTED, **more) -> OpenAILike:
    return OpenAILike(
        model=name,
        api_base=f"{ask.url}/v1",
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
        **more,
    )


@case(CLIENT, AREA, "whole")
async def whole(ask: Asking) -> Received:
    answer = await model(ask, REAL).achat([ChatMessage(role="user", content="Tell me about the river.")])
    return [("complete", answer.message.content)]


@case(CLIENT, AREA, "stream")
async def stream(ask: Asking) -> Received:
    text = ""
    async for piece in await model(ask).astream_chat([ChatMessage(role="user", content=ask("say"))]):
        text += piece.delta or ""
    return [("complete", text)]


@case(CLIENT, AREA, "tool round")
async def tools(ask: Asking) -> Received:
    weather_tool = FunctionTool.from_defaults(weather)
    answer = await model(ask).apredict_and_call([weather_tool], user_msg=ask("call"))
    assert str(answer) == "sunny"
    llm, said = model(ask), [ChatMessage(role="user", content=ask("call", " again"))]
    first = await llm.achat_with_tools([weather_tool], chat_history=said)
    (call,) = llm.get_tool_calls_from_response(first)
    result = ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": call.tool_id})
    second = await llm.achat_with_tools([weather_tool], chat_history=[*said, first.message, result])
    assert "sunny" in second.message.content
    return [("complete", second.message.content)]


@case(CLIENT, AREA, "errors")
async def errors(ask: Asking) -> Received:
    async def stream(said: list[ChatMessage]) -> None:
        await read(await model(ask).astream_chat(said))

    for command in ("refuse", "fail", "break"):
        said = [ChatMessage(role="user", content=ask(command))]
        assert str(await raised(Exception, model(ask).achat(said)))
        assert str(await raised(Exception, stream(said)))
    return [("failed", "")]
