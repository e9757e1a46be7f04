"""A worker that only makes embeddings, with any server of OpenAI's API. Needs paho-mqtt.

usage: python embedding_worker.py NAME BROKER:PORT SERVER_URL

For example: llama-server -m model.gguf --embeddings --port 8080, and SERVER_URL http://127.0.0.1:8080
"""

import json
import re
import sys
import urllib.error
import urllib.request

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

name, broker, server = sys.argv[1:]
host, _, port = broker.rpartition(":")
STATUS, INBOX = [f"sluice/v1/workers/{name}/{last}" for last in ("status", "inbox")]
OURS = re.compile(f"sluice/v1/gateways/[-A-Za-z0-9_.]+/replies/{re.escape(name)}")


def answer(request):
    """Return the last frame for an `embed`: its vectors, or an error."""
    body = json.dumps({"input": request["input"]}).encode()
    post = urllib.request.Request(f"{server}/v1/embeddings", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(post, timeout=request.get("deadline_s", 120)) as response:
            made = json.load(response)
    except urllib.error.HTTPError as error:
        is_ours = error.code < 500  # the request is at fault, with every worker
        code = "model_refused" if is_ours else "upstream_error"
        return {"type": "error", "code": code, "message": f"status {error.code}", "retryable": not is_ours}
    except OSError as error:
        return {"type": "error", "code": "unreachable", "message": str(error), "retryable": True}
    vectors = [[round(number, 7) for number in item["embedding"]] for item in made["data"]]
    frame = {"type": "vectors", "vectors": vectors, "usage": made.get("usage") or {}}
    if len(json.dumps(frame)) > 250_000:  # a message may have 256 KiB: the gateway then sends fewer texts
        return {"type": "error", "code": "too_large", "message": "too many vectors for one message"}
    return frame


def hear(client, _, message):
    try:
        request = json.loads(message.payload)
        if request["type"] != "embed" or message.retain or not OURS.fullmatch(request["reply_to"]):
            return
        frame = {"id": request["id"], **answer(request)}
    except (ValueError, KeyError, TypeError) as error:
        print(f"a message was dropped: {error!r}", flush=True)
        return
    client.publish(request["reply_to"], json.dumps(frame), 1)


def connected(client, *_):
    client.subscribe(INBOX, 1)
    ready = {"type": "status", "state": "ready", "embeds": True, "models": [f"{name}-embeddings"]}
    client.publish(STATUS, json.dumps(ready), 1, retain=True)


client = Client(CallbackAPIVersion.VERSION2, client_id=name)
client.will_set(STATUS, '{"type":"status","state":"lost"}', 1, retain=True)
client.on_connect, client.on_message = connected, hear
client.connect(host, int(port))
client.loop_forever()
