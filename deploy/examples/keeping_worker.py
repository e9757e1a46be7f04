"""A worker whose replies outlive their gateway. `answer` makes its answers. Needs paho-mqtt.

usage: python keeping_worker.py NAME BROKER:PORT
"""

import json
import re
import sys
import threading
import time

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

name, broker = sys.argv[1:]
host, _, port = broker.rpartition(":")
STATUS, INBOX = [f"sluice/v1/workers/{name}/{last}" for last in ("status", "inbox")]
GATEWAYS = "sluice/v1/gateways/+/status"
OURS = re.compile(f"sluice/v1/gateways/([-A-Za-z0-9_.]+)/replies/{re.escape(name)}")
KEEP_BYTES, GRACE_S, MAX = 4 * 2**20, 5.0, 8
SERVED_ONCE_S = 60  # QoS 1 may repeat a request
INCARNATION = time.time_ns() // 1_000_000
replies, lives, lost_at = {}, {}, {}  # replies by id; of each gateway: incarnation, time of its `lost`
lock = threading.RLock()


def answer(question):
    """Yield the pieces of an answer."""
    for word in ("You", " said:", *(f" {word}" for word in question.split())):
        yield word
        time.sleep(0.05)


class Reply:
    """The frames of one reply, kept. topic: gets them. until: time at which they are dropped."""

    def __init__(self, request):
        self.request, self.id, self.topic = request, request["id"], request["reply_to"]
        self.keep_s, self.idle_s = request.get("keep_s", 0), request.get("idle_s", 30)
        self.deadline = time.monotonic() + request.get("deadline_s", 120)
        self.epoch, self.incarnation = 0, lives.get(self.gateway, 0)
        self.frames, self.sent, self.size, self.seq = [], 0, 0, 0
        self.attached, self.ended, self.until, self.said_at = True, False, None, time.monotonic()

    @property
    def gateway(self):
        return OURS.fullmatch(self.topic)[1]

    def say(self, kind, **fields):
        """Keep a frame, and send it if a gateway receives the reply. paho paces what is sent."""
        frame = json.dumps({"type": kind, "id": self.id, **fields})
        self.frames.append(frame)
        self.size += len(frame)
        self.said_at = time.monotonic()
        if self.size > KEEP_BYTES:
            self.keep_s = 0  # it goes on with its gateway alone
        if self.attached:
            self.send()

    def say_next(self, kind, **fields):
        self.seq += 1
        self.say(kind, seq=self.seq, **fields)

    def send(self):
        for frame in self.frames[self.sent :]:
            client.publish(self.topic, frame, 1)
        self.sent = len(self.frames)

    def end(self, kind, **fields):
        """Say the last frame. Later calls do nothing."""
        if not self.ended:
            self.say_next(kind, **fields) if kind == "end" else self.say(kind, **fields)
            self.ended, self.until = True, time.monotonic() + max(self.keep_s, SERVED_ONCE_S)

    def stop(self, code, message):
        self.end("error", code=code, message=message, retryable=code != "cancelled")

    def detach(self):
        if not self.keep_s:
            self.stop("worker_lost", "the gateway or the broker was lost")
        elif self.attached:
            self.attached = False
            self.until = time.monotonic() + self.keep_s

    def attach(self, resume):
        self.topic, self.epoch = resume["reply_to"], resume.get("epoch", 0)
        self.incarnation = resume.get("incarnation") or lives.get(self.gateway, 0)
        self.frames[0] = json.dumps({"type": "accept", "id": self.id, "seq": 0, "epoch": self.epoch})
        self.attached, self.sent = True, 0
        self.until = time.monotonic() + max(self.keep_s, SERVED_ONCE_S) if self.ended else None
        self.send()

    def run(self):
        try:
            self.write_answer()
        except Exception as error:  # noqa: BLE001  # the gateway would wait until its deadline
            print(f"request {self.id} failed: {error!r}", flush=True)
            with lock:
                self.stop("upstream_error", "the worker failed on this request")

    def write_answer(self):
        text = ""
        for piece in answer(self.request["messages"][-1]["content"]):
            with lock:
                if self.ended:
                    return
                text += piece
                self.say_next("chunk", text=piece)
        with lock:
            self.end("end", reason="stop", length=len(text))


def refuse(frame, code):
    error = {"type": "error", "id": frame["id"], "code": code, "retryable": code == "overloaded"}
    client.publish(frame["reply_to"], json.dumps(error), 1)


def hear_frame(frame):
    reply, epoch = replies.get(frame["id"]), frame.get("epoch", 0)
    if type(epoch) is not int or not 0 <= epoch < 2**53 or type(frame["id"]) is not str or not frame["id"]:
        raise ValueError("epoch or id")
    if frame["type"] in ("request", "resume") and not OURS.fullmatch(frame["reply_to"]):
        raise ValueError("reply_to")
    overtaken = reply is not None and epoch < reply.epoch
    if frame["type"] == "request" and reply is None:
        if sum(not reply.ended for reply in replies.values()) >= MAX:
            refuse(frame, "overloaded")
            return
        replies[frame["id"]] = reply = Reply(frame)
        reply.say("accept", seq=0)
        threading.Thread(target=reply.run, daemon=True).start()
    elif frame["type"] == "resume" and not overtaken:
        if reply is None:
            refuse(frame, "unknown")
        elif not reply.keep_s:
            refuse(frame, "gone" if reply.size > KEEP_BYTES else "unknown")
        elif epoch > reply.epoch or frame["reply_to"] == reply.topic:
            reply.attach(frame)
    elif frame["type"] in ("cancel", "forget") and reply and not overtaken:
        reply.stop("cancelled", "stopped as asked")
        if frame["type"] == "forget":
            del replies[frame["id"]]


def hear_status(gateway, status):
    life = status.get("incarnation", 0)
    if status["state"] == "lost":
        if life in (0, lives.get(gateway, life)):
            lost_at.setdefault(gateway, time.monotonic())
        return
    lost_at.pop(gateway, None)
    if lives.get(gateway, life) != life:
        for reply in replies.values():
            if reply.gateway == gateway and reply.incarnation != life:
                reply.detach()
    lives[gateway] = life


def hear(_, __, message):
    try:
        frame = json.loads(message.payload)
        with lock:
            if message.topic == STATUS:
                if frame["state"] != "ready":  # an old connection's will
                    announce()
            elif message.topic == INBOX and not message.retain:
                hear_frame(frame)
            elif message.topic != INBOX:
                hear_status(message.topic.split("/")[-2], frame)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"a message was dropped: {error!r}", flush=True)


def announce():
    busy = sum(not reply.ended for reply in replies.values())
    status = {"type": "status", "state": "ready", "name": name, "incarnation": INCARNATION, "stream": True}
    status |= {"accept_s": 2, "heartbeat_s": 10, "max": MAX, "busy": busy, "keep": True, "models": [name]}
    client.publish(STATUS, json.dumps(status), 1, retain=True)


def connected(*_):
    client.subscribe([(INBOX, 1), (STATUS, 1), (GATEWAYS, 1)])
    announce()


def disconnected(*_):
    with lock:
        for reply in replies.values():
            reply.detach()


def watch():
    """Ten times a second: gateways that stay away, and replies that are silent, too slow or too old."""
    now = time.monotonic()
    for gateway in [gateway for gateway, since in lost_at.items() if now - since > GRACE_S]:
        del lost_at[gateway]
        for reply in replies.values():
            if reply.gateway == gateway:
                reply.detach()
    for reply in list(replies.values()):
        if reply.until is not None and now > reply.until:
            reply.stop("worker_lost", "no gateway has resumed the reply")
            del replies[reply.id]
        elif not reply.ended and now > reply.deadline:
            reply.stop("timeout", "the deadline is over")
        elif not reply.ended and reply.attached and now - reply.said_at > reply.idle_s / 3:
            reply.say_next("alive")


client = Client(CallbackAPIVersion.VERSION2, client_id=name)
lost = {"type": "status", "state": "lost", "incarnation": INCARNATION}
client.will_set(STATUS, json.dumps(lost), 1, retain=True)
client.on_connect, client.on_message, client.on_disconnect = connected, hear, disconnected
client.connect(host, int(port))
client.loop_start()
for tick in range(sys.maxsize):
    time.sleep(0.1)
    with lock:
        watch()
        if tick % 10 == 0:
            announce()
