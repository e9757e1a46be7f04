"""OpenAI clients send a request again after a 5xx; one that two servers broke off over must not come back."""

from pathlib import Path

import openai
import pytest

from gateway.contract.crashing_requests import ask_again
from gateway.contract.errors import UpstreamFailed
from tests.contract.rigs import broke_off, chat_request
from tests.web.gateway_server import served


def final_error() -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as final:
        ask_again(ask_again(chat_request("hi"), broke_off()), broke_off())
    return final.value


@pytest.mark.parametrize("stream", [True, False])
async def test_a_suspect_request_is_not_sent_again(tmp_path: Path, stream: bool) -> None:
    async with served(tmp_path, lambda _: [final_error()]) as gateway:
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=2)
        async with client:
            with pytest.raises(openai.APIStatusError, match="2 model servers broke off") as failed:
                await client.chat.completions.create(
                    model="default", messages=[{"role": "user", "content": "hi"}], stream=stream
                )
        assert failed.value.status_code == 502
        assert len(gateway.transport.seen_requests) == 1
