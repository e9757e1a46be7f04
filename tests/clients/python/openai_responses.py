"""OpenAI's Responses through its own package, of version 2 and of the newest."""

import json

import openai
from case import REAL, SCRIPTED, Asking, Received, case, raised
from openai_chat import PIXEL, City, client

AREA = "Responses"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@case("openai", AREA, "create")
async def create(ask: Asking) -> Received:
    answer = await client(ask).responses.create(model=REAL, input="Tell me about the river.")
    assert (answer.status, answer.error) == ("completed", None)
    again = await client(ask).responses.retrieve(answer.id)
    assert again.output_text == answer.output_text
    items = await client(ask).responses.input_items.list(answer.id)
    assert items.data[0].content[0].text == "Tell me about the river."
    return [("complete", answer.output_text)]


@case("openai", AREA, "stream")
async def stream(ask: Asking) -> Received:
    text, kinds, numbers = "", [], []
    async for event in await client(ask).responses.create(
        model=REAL, input="Tell me about the river.", stream=True
    ):
        kinds.append(event.type)
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert numbers == list(range(len(numbers)))
    return [("complete", text)]


@case("openai", AREA, "stream helper")
async def helper(ask: Asking) -> Received:
    said = ""
    async with client(ask).responses.stream(model=SCRIPTED, input=ask("say")) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                said += event.delta
        final = await events.get_final_response()
    assert said == final.output_text
    return [("complete", said)]


@case("openai", AREA, "parse")
async def parse(ask: Asking) -> Received:
    answer = await client(ask).responses.parse(model=SCRIPTED, input=ask("json"), text_format=City)
    assert answer.output_parsed.city == ask.name
    return [("complete", answer.output_text)]


@case("openai", AREA, "reasoning")
async def reasoning(ask: Asking) -> Received:
    thought = ""
    async with client(ask).responses.stream(model=SCRIPTED, input=ask("think")) as events:
        async for event in events:
            if event.type == "response.reasoning_text.delta":
                thought += event.delta
        final = await events.get_final_response()
    item = final.output[0]
    assert item.type == "reasoning"
    assert item.summary[0].text == item.content[0].text == thought != ""
    return [("complete", final.output_text)]


@case("openai", AREA, "tool round")
async def tools(ask: Asking) -> Received:
    said = [{"role": "user", "content": ask("call")}]
    asked = client(ask).responses
    first = await asked.create(model=SCRIPTED, input=said, tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Paris"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = await asked.create(model=SCRIPTED, input=[*said, *first.output, result], tools=[WEATHER])
    assert "sunny" in second.output_text
    return [("complete", second.output_text)]


@case("openai", AREA, "tool round, streamed, by previous_response_id")
async def tools_streamed(ask: Asking) -> Received:
    asked = client(ask).responses
    async with asked.stream(model=SCRIPTED, input=ask("call"), tools=[WEATHER]) as events:
        first = await events.get_final_response()
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    async with asked.stream(
        model=SCRIPTED, input=[result], tools=[WEATHER], previous_response_id=first.id
    ) as events:
        second = await events.get_final_response()
    assert "sunny" in second.output_text
    return [("complete", second.output_text)]


@case("openai", AREA, "image")
async def image(ask: Asking) -> Received:
    parts = [
        {"type": "input_text", "text": ask("look")},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]
    answer = await client(ask).responses.create(model=SCRIPTED, input=[{"role": "user", "content": parts}])
    assert "1 image" in answer.output_text
    return [("complete", answer.output_text)]


@case("openai", AREA, "background, and resume by starting_after")
async def background(ask: Asking) -> Received:
    asked = client(ask).responses
    events = await asked.create(model=SCRIPTED, input=ask("say"), background=True, stream=True)
    text, at, id = "", 0, ""
    async for event in events:
        at = event.sequence_number
        if event.type == "response.created":
            id = event.response.id
        if event.type == "response.output_text.delta":
            text += event.delta
            break
    await events.close()
    async for event in await asked.retrieve(id, stream=True, starting_after=at):
        assert event.sequence_number == at + 1
        at = event.sequence_number
        if event.type == "response.output_text.delta":
            text += event.delta
    assert event.type == "response.completed"
    assert (await asked.retrieve(id)).output_text == text
    return [("complete", text)]


@case("openai", AREA, "cancel")
async def cancel(ask: Asking) -> Received:
    asked = client(ask).responses
    events = await asked.create(model=SCRIPTED, input=ask("hold"), background=True, stream=True)
    text, id, last = "", "", ""
    async for event in events:
        last = event.type
        if event.type == "response.created":
            id = event.response.id
        if event.type == "response.output_text.delta":
            text += event.delta
            cancelled = await asked.cancel(id)
    assert cancelled.status == "cancelled"
    assert last == "response.completed"
    return [("cancelled", text)]


@case("openai", AREA, "stop")
async def stop(ask: Asking) -> Received:
    events = await client(ask).responses.create(model=SCRIPTED, input=ask("hold"), store=False, stream=True)
    async for event in events:
        if event.type == "response.output_text.delta":
            break
    await events.close()
    return []


@case("openai", AREA, "error before the first token")
async def refused(ask: Asking) -> Received:
    asked = client(ask).responses
    for command, expected in (("refuse", openai.BadRequestError), ("fail", openai.InternalServerError)):
        for streams in (False, True):
            asking = asked.create(model=SCRIPTED, input=ask(command), stream=streams)
            assert (await raised(expected, asking)).type
    return [("failed", "")]


@case("openai", AREA, "error after it")
async def broken(ask: Asking) -> Received:
    text = ""

    async def read_on() -> None:
        nonlocal text
        asked = client(ask).responses
        async for event in await asked.create(model=SCRIPTED, input=ask("break"), stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta

    assert (await raised(openai.APIError, read_on())).message
    return [("failed", text)]
