"""AG-UI's requests of clients that use the names of its Python SDK."""

from pathlib import Path

from gateway.contract.requests import ChatRequest, Turn
from tests.dialects.order import ag_ui
from tests.web.gateway_server import served
from transports.scripted import Step, tokens


async def test_a_run_may_have_the_names_of_ag_uis_python_sdk(tmp_path: Path) -> None:
    """As Microsoft's agent-framework-ag-ui sends it."""
    heard_turns: list[Turn] = []

    def steps(request: ChatRequest) -> list[Step]:
        heard_turns[:] = request.turns
        return list(tokens("x"))

    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"id": "1", "role": "user", "content": "Hi"},
        {"id": "2", "role": "assistant", "tool_calls": [call]},
        {"id": "3", "role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    body = {"thread_id": "t", "run_id": "r", "messages": messages}
    async with served(tmp_path, steps) as gateway:
        answer = await gateway.http.post("/api/ag-ui", json=body)
    assert ag_ui.hear(answer.content).text == "x"
    assert '"threadId":"t","runId":"r"' in answer.text
    assert [(turn.role, len(turn.tool_calls), turn.tool_call_id) for turn in heard_turns] == [
        ("user", 0, None),
        ("assistant", 1, None),
        ("tool", 0, "c1"),
    ]
