"""A sensor in a room. It says its readings, asks the model about high ones, and prints what the others say.

usage: python room_sensor.py NAME BROKER:PORT ROOM
ROOM is the room's key, and NAME one of its members. Each line of the input is a reading. Needs paho-mqtt.
"""

import json
import sys
import threading
import uuid
from collections import deque

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

name, broker, room = sys.argv[1:]
host, _, port = broker.rpartition(":")
UP, DOWN, STATUS = [f"sluice/v1/devices/{name}/{last}" for last in ("up", "down", "status")]
READY, LOST = [json.dumps({"type": "status", "state": state}) for state in ("ready", "lost")]
HIGH = 60.0
AGAIN_S = 5
waiting = {}  # by the id of an own message: the event that its answer sets
replies = {}  # by the id of a running reply: its text so far
printed = deque(maxlen=100)  # ids of messages and replies: a frame may come twice


def say(text, ask):
    """Send a message to the room, again under its id until the gateway answers: it is stored once."""
    id = uuid.uuid4().hex
    waiting[id] = threading.Event()
    chat = {"type": "chat", "id": id, "session": room, "text": text, "ask": ask, "stream": False}
    while True:
        client.publish(UP, json.dumps(chat), 1)
        if waiting[id].wait(AGAIN_S):
            del waiting[id]
            return


def put(id, text):
    """Print one line, once for each id."""
    if id not in printed:
        printed.append(id)
        print(text, flush=True)


def answered(kind, id, frame):
    """Take a frame about an own message. A message that asks nothing is answered by an empty reply."""
    if kind == "reply" and frame["text"]:
        put(id, f"the model to me: {frame['text']}")
    elif kind == "error":
        put(id, f"refused: {frame['code']}, {frame['message']}")
    if kind in ("reply", "error") and (event := waiting.get(id)):
        event.set()


def heard(kind, id, frame):
    """Take a frame about the others in the room."""
    if kind == "message":
        put(id, f"{frame['author']['name']}: {frame['text']}")
    elif kind == "chunk":
        replies[id] = replies.get(id, "")[: frame["position"]] + frame["text"]
    elif kind in ("end", "error"):
        text = replies.pop(id, "")
        lost = "" if len(text) == frame["length"] else " (a frame was lost)"
        put(id, f"the model: {text}{lost}")


def on_message(client, _, message):
    try:
        frame = json.loads(message.payload)
        take = heard if frame.get("room") == room else answered
        take(frame["type"], frame.get("id"), frame)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"a frame was dropped: {error!r}", flush=True)


def on_connect(client, *_):
    client.subscribe(DOWN, 1)
    client.publish(STATUS, READY, 1, retain=True)


client = Client(CallbackAPIVersion.VERSION2, client_id=name)
client.will_set(STATUS, LOST, 1, retain=True)
client.on_connect, client.on_message = on_connect, on_message
client.connect(host, int(port))
client.loop_start()
for line in sys.stdin:
    degrees = float(line)
    if degrees < HIGH:
        say(f"It is {degrees:g} °C.", ask=False)
    else:
        say(f"It is {degrees:g} °C. Is that too hot?", ask=True)
client.publish(STATUS, LOST, 1, retain=True).wait_for_publish()  # a clean DISCONNECT drops the will
client.disconnect()
client.loop_stop()
