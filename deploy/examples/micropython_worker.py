"""A worker on a microcontroller: MicroPython with umqtt.simple. What it answers is in `answer`.

Reads sluice.json: {"name": "esp-1", "broker": "192.168.1.2", "port": 1883, "password": "..."}
Under plain Python: pip install paho-mqtt, and start it as it is (the folder umqtt beside it stands in).
"""

import json
import time

from umqtt.simple import MQTTClient, MQTTException

with open("sluice.json") as file:
    config = json.load(file)
name, root, password = config["name"], config.get("root", "sluice/v1"), config.get("password")
STATUS, INBOX = [f"{root}/workers/{name}/{last}".encode() for last in ("status", "inbox")]
KEEPALIVE_S = 30
requests = []  # the first one is being answered
news = []  # reasons to say again that we are there


def answer(question):
    """The pieces of an answer; on a real board this would read a sensor."""
    yield "You said:"
    for word in question.split(" "):
        yield " " + word


def hear(topic, payload):
    """Only note what came: to publish from here would be to wait for the broker inside of waiting for it."""
    try:
        frame = json.loads(payload)
        if topic == STATUS:
            news.extend(["an old connection's will"] if frame["state"] == "lost" else [])
        elif frame["type"] == "cancel":
            for request in requests:
                request["cancelled"] = request.get("cancelled") or request["id"] == frame["id"]
        elif frame["type"] == "request" and frame["id"] not in [request["id"] for request in requests]:
            gateway, _, own = frame["reply_to"].partition("/replies/")
            if gateway.startswith(root + "/gateways/") and own == name and len(requests) < 4:
                requests.append(frame)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        print("not understood:", payload[:80])


def reply(client, request):
    def say(kind, **fields):
        frame = dict(type=kind, id=request["id"], **fields)
        client.publish(request["reply_to"].encode(), json.dumps(frame).encode(), qos=1)

    seq = length = 0
    say("accept", seq=0)
    for piece in answer(request["messages"][-1]["content"]):
        client.check_msg()
        if request.get("cancelled"):
            say("error", code="cancelled", message="stopped as asked", retryable=False)
            return
        seq, length = seq + 1, length + len(piece)
        say("chunk", seq=seq, text=piece)
    say("end", seq=seq + 1, reason="stop", length=length)


def serve():
    port = config.get("port", 1883)
    client = MQTTClient(name, config["broker"], port, password and name, password, KEEPALIVE_S)
    client.set_callback(hear)
    client.set_last_will(STATUS, b'{"type":"status","state":"lost"}', retain=True, qos=1)
    client.connect()
    client.subscribe(INBOX, 1)
    client.subscribe(STATUS, 1)
    news.append("connected")
    heard_from = time.time()
    while True:
        client.check_msg()
        if news:
            news.clear()
            status = {"type": "status", "state": "ready", "stream": True, "accept_s": 5, "models": [name]}
            client.publish(STATUS, json.dumps(status).encode(), retain=True, qos=1)
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
    except (OSError, MQTTException) as error:
        print("no broker:", error)
        requests.clear()
        time.sleep(2)
