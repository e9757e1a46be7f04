"""A device that asks a question and prints the answer as it arrives: MicroPython with umqtt.simple.

Reads sluice.json: {"name": "robot-1", "broker": "192.168.1.2", "port": 1883, "password": "..."}
Under plain Python: pip install paho-mqtt, and run it unchanged (the folder umqtt replaces umqtt.simple).
"""

import json
import os
import time
from binascii import hexlify

from umqtt.simple import MQTTClient, MQTTException

with open("sluice.json") as file:
    config = json.load(file)
name, root, password = config["name"], config.get("root", "sluice/v1"), config.get("password")
UP, DOWN, STATUS = [f"{root}/devices/{name}/{last}".encode() for last in ("up", "down", "status")]
READY, LOST = [json.dumps({"type": "status", "state": state}).encode() for state in ("ready", "lost")]
heard = []  # frames, oldest first


def hear(_, payload):
    try:
        frame = json.loads(payload)
        heard.append((frame["id"], frame["type"], frame))
    except (ValueError, KeyError, TypeError, RuntimeError):
        print("not understood:", payload[:80])


def connect():
    client = MQTTClient(name, config["broker"], config.get("port", 1883), password and name, password)
    client.set_callback(hear)
    client.set_last_will(STATUS, LOST, retain=True, qos=1)
    client.connect()
    client.subscribe(DOWN, 1)
    client.publish(STATUS, READY, retain=True, qos=1)
    return client


def ask(client, chat_id, text):
    """Print the answer to `text`. Without an `accept` in 5 s, send the chat again under the same id."""
    chat = json.dumps({"type": "chat", "id": chat_id, "text": text, "stream": True}).encode()
    seq, sent = -1, time.time() - 10
    while True:
        if seq < 0 and time.time() - sent > 5:
            sent = time.time()
            client.publish(UP, chat, qos=1)
        client.check_msg()
        if not heard:
            time.sleep(0.02)
            continue
        said, kind, frame = heard.pop(0)
        if said != chat_id or frame.get("seq", seq + 1) <= seq:
            continue  # of another chat, or repeated by QoS 1
        seq = frame.get("seq", seq)
        if kind in ("chunk", "reply"):
            print(frame["text"], end="")
        elif kind == "error":
            print(f"[{frame['code']}] {frame['message']}", end="")
        if kind in ("end", "reply", "error"):
            print()
            return


client = None
try:
    while True:
        text, chat_id = input("> "), hexlify(os.urandom(8)).decode()
        while text:
            try:
                client = client or connect()
                ask(client, chat_id, text)
                break
            except (OSError, MQTTException) as error:
                print("no broker:", error)
                client = None
                time.sleep(2)
except EOFError:
    if client:  # a clean DISCONNECT makes the broker drop the will, so publish it first
        client.publish(STATUS, LOST, retain=True, qos=1)
        client.disconnect()
