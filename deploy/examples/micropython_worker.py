"""A worker on a microcontroller: MicroPython with umqtt.simple. `answer` makes its answers.

Reads sluice.json: {"name": "esp-1", "broker": "192.168.1.2", "port": 1883, "password": "..."}
Under plain Python: pip install paho-mqtt, and run it unchanged (the folder umqtt replaces umqtt.simple).
"""

import json
import re
import time

from umqtt.simple import MQTTClient, MQTTException

with open("sluice.json") as file:
    config = json.load(file)
name, root, password = config["name"], config.get("root", "sluice/v1"), config.get("password")
STATUS, INBOX = [f"{root}/workers/{name}/{last}".encode() for last in ("status", "inbox")]
status = {"type": "status", "state": "ready", "stream": True, "accept_s": 5, "models": [name]}
READY, LOST = json.dumps(status).encode(), b'{"type":"status","state":"lost"}'
GATEWAYS = root + "/gateways/"
ROLES = ("system", "user", "assistant", "tool")
KEEPALIVE_S = 30
requests = []  # the first one is in progress
taken, cancelled = [], []  # ids, the latest last: QoS 1 may bring a message twice, or a cancel first
stands = []  # our status as last received by this connection


def answer(question):
    """Return the pieces of an answer. On a real board this would read a sensor."""
    yield "You said:"
    for word in question.split(" "):
        yield " " + word


def fits(request):
    """True if the request is valid and its reply topic is below our own name."""
    turns, kinds = request["messages"], [("id", str), ("stream", bool), ("params", dict), ("model", str)]
    place = re.match("[-A-Za-z0-9_.]+/replies/", request["reply_to"][len(GATEWAYS) :])
    return (
        place
        and request["reply_to"] == GATEWAYS + place.group(0) + name
        and all(request.get(field) is None or isinstance(request[field], kind) for field, kind in kinds)
        and turns
        and all(turn["role"] in ROLES and isinstance(turn["content"], (str, list)) for turn in turns)
        and request.get("v", 1) == 1
        and min(request.get("deadline_s", 1), request.get("idle_s", 1)) > 0
    )


def hear(topic, payload):
    """Only store the message: umqtt.simple cannot publish from within its own wait for messages."""
    try:
        if topic == STATUS:
            stands[:] = [payload]
            return
        frame = json.loads(payload)
        kind, id = frame["type"], frame["id"]
        if kind == "cancel":
            cancelled.append(id)
        elif kind == "request" and stands and fits(frame) and id and id not in taken + cancelled:
            requests.append(frame)
            taken.append(id)
        del taken[:-20], cancelled[:-20], requests[4:]
    except (ValueError, LookupError, TypeError, RuntimeError, MemoryError):
        print("not understood:", payload[:80])


def reply(client, request):
    def say(kind, **fields):
        frame = dict(type=kind, id=request["id"], **fields)
        client.publish(request["reply_to"].encode(), json.dumps(frame).encode(), qos=1)

    if any(isinstance(turn["content"], list) for turn in request["messages"]):
        say("error", code="unsupported_content", message="This worker takes only text.", retryable=False)
        return
    seq = length = 0
    say("accept", seq=0)
    for piece in answer(request["messages"][-1]["content"]):
        client.check_msg()
        if request["id"] in cancelled:
            say("error", code="cancelled", message="stopped as asked", retryable=False)
            return
        seq, length = seq + 1, length + len(piece)
        say("chunk", seq=seq, text=piece)
    say("end", seq=seq + 1, reason="stop", length=length)


def serve():
    port = config.get("port", 1883)
    client = MQTTClient(name, config["broker"], port, password and name, password, KEEPALIVE_S)
    client.set_callback(hear)
    client.set_last_will(STATUS, LOST, retain=True, qos=1)
    client.connect()
    client.subscribe(INBOX, 1)  # messages before our own status are retained, so old
    client.subscribe(STATUS, 1)
    requests.clear()
    stands.clear()
    client.publish(STATUS, READY, retain=True, qos=1)
    heard_from = time.time()
    while True:
        client.check_msg()
        if stands and stands[0] != READY:  # an old connection's will, or the status was cleared
            stands[0] = READY
            client.publish(STATUS, READY, retain=True, qos=1)
        elif requests:
            reply(client, requests[0])
            requests.pop(0)
        elif time.time() - heard_from > KEEPALIVE_S / 2:
            heard_from = time.time()
            client.ping()
        else:
            time.sleep(0.02)


while True:
    try:
        serve()
    except (OSError, MQTTException, MemoryError) as error:
        print("no broker:", error)
        time.sleep(2)
