"""One vector played: the counterpart speaks, the party under test is looked at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

from tests.protocol.counterpart import Counterpart, Silence, connected
from tests.protocol.matching import Mismatch, Names
from tests.protocol.parties import GatewayParty, NotPossible, Party, Reader
from tests.protocol.vectors import Step, Vector
from transports.mqtt.link.link import BrokerAddress

WITHIN_MS = 10_000
START_MS = 10_000
NEVER_S = 600.0
LAST_FRAMES = {"end", "reply", "error"}
_STATUS = {"gateway": "$root/gateways/$gateway/status", "worker": "$root/workers/$worker/status"}


async def play(
    vector: Vector, party: Party, address: BrokerAddress, root: str, *, slack_s: float = 60
) -> None:
    """Raises AssertionError with the step that went wrong, NotPossible when the party cannot be tested so.

    slack_s: added to every limit; our own tests must not fail because the machine is slow.
    """
    if address.protocol not in vector.mqtt:
        raise NotPossible(f"is not for MQTT {address.protocol}")
    needs = {*vector.needs, *(["start"] if vector.before else []), *(["settings"] if vector.settings else [])}
    if missing := needs - party.abilities:
        raise NotPossible(f"needs {', '.join(sorted(missing))}")
    role = "worker" if vector.role == "worker" else "gateway"
    names = Names(root=root, **{role: party.name})
    filters = [names.filled(topic_filter) for topic_filter in vector.filters]
    async with AsyncExitStack() as stack:
        scene = Scene(
            await stack.enter_async_context(connected(address, f"counterpart-of-{party.name}", filters)),
            party,
            names,
            slack_s,
        )
        await scene.take(vector.before)
        await stack.enter_async_context(party.running())
        await scene.until_ready(names.filled(_STATUS[role]))
        await scene.take(vector.steps)


class Scene:
    def __init__(self, counterpart: Counterpart, party: Party, names: Names, slack_s: float) -> None:
        self._counterpart = counterpart
        self._party = party
        self._names = names
        self._slack_s = slack_s
        self._readers: dict[str, Reader] = {}
        self._heard_events: dict[str, int] = {}
        self._verbs: dict[str, Callable[[Any, Step], Awaitable[None]]] = {
            "publish": self._publish,
            "next": self._next,
            "later": self._later,
            "quiet": self._quiet,
            "reply": self._reply,
            "known": self._known,
            "ask": self._ask,
            "embed": self._embed,
            "hears": self._hears,
            "ends": self._ends,
            "stop": self._stop,
            "take_over": self._take_over,
            "terminate": self._terminate,
            "dropped": self._dropped,
        }

    async def until_ready(self, status_topic: str) -> None:
        await self._later(status_topic, {"payload": {"state": "ready"}, "within_ms": START_MS})

    async def take(self, steps: Sequence[Step]) -> None:
        for number, step in enumerate(steps, 1):
            verb, subject = next(iter(step.items()))
            try:
                await self._verbs[verb](subject, step)
            except AssertionError as exc:
                raise AssertionError(f"step {number} ({verb} {subject}): {exc}") from exc

    async def _publish(self, topic: str, step: Step) -> None:
        payload = self._names.payload(step)
        retain, qos = step.get("retain", False), step.get("qos", 1)
        await self._counterpart.publish(self._names.filled(topic), payload, retain=retain, qos=qos)

    async def _next(self, topic: str, step: Step) -> None:
        said = await self._counterpart.next(self._names.filled(topic), self._within_s(step))
        self._names.match(step["payload"], said)

    async def _later(self, topic: str, step: Step) -> None:
        async with self._in_time(step, lambda: f"never said on {topic}"):
            while True:
                said = await self._counterpart.next(self._names.filled(topic), NEVER_S)
                with suppress(Mismatch):
                    return self._names.match(step["payload"], said)

    async def _quiet(self, topic: str, step: Step) -> None:
        try:
            said = await self._counterpart.next(self._names.filled(topic), step["for_ms"] / 1000)
        except Silence:
            return
        raise AssertionError(f"somebody said {said}")

    async def _reply(self, topic: str, step: Step) -> None:
        """A whole reply with this id, frame by frame: numbers without holes, and the length it says."""
        frame_id = self._names.filled(step["id"])
        text = ""
        expected: tuple[int, ...] = (0, 1)
        async with self._in_time(step, lambda: f"no end of the reply; so far {text!r}"):
            while True:
                frame = await self._counterpart.next(self._names.filled(topic), NEVER_S)
                self._names.match({"id": frame_id}, frame)
                if "seq" in frame:
                    assert frame["seq"] in expected, f"seq {frame['seq']} instead of {expected}: {frame}"
                    expected = (frame["seq"] + 1,)
                if frame["type"] in {"chunk", "reply"}:
                    text += frame["text"]
                if frame["type"] in LAST_FRAMES:
                    break
        if "length" in frame:
            assert frame["length"] == len(text), f"the length is {len(text)}: {frame}"
        assert step.get("text", text) == text, f"the text is {text!r}"
        self._names.match(step.get("last", {}), frame)

    async def _known(self, workers: list[str], step: Step) -> None:
        gateway = cast(GatewayParty, self._party)
        async with self._in_time(step, lambda: "not those"):
            await gateway.until_known(set(workers))

    async def _ask(self, reader: str, step: Step) -> None:
        gateway = cast(GatewayParty, self._party)
        self._readers[reader] = gateway.ask(step["content"], step.get("model"))

    async def _embed(self, reader: str, step: Step) -> None:
        gateway = cast(GatewayParty, self._party)
        self._readers[reader] = gateway.embed(step["input"], step.get("model"))

    async def _hears(self, name: str, step: Step) -> None:
        reader = self._readers[name]
        if "text" in step:
            await self._until(reader, lambda: len(reader.text) >= len(step["text"]), step)
            assert reader.text == step["text"], f"the text is {reader.text!r}"
            return
        position = self._heard_events.get(name, 0)
        self._heard_events[name] = position + 1
        await self._until(reader, lambda: len(reader.told) > position, step)
        self._names.match(step["event"], reader.told[position])

    async def _ends(self, name: str, step: Step) -> None:
        reader = self._readers[name]
        await self._until(reader, lambda: reader.last is not None, step)
        self._names.match(step["event"], {**(reader.last or {}), "text": reader.text})

    async def _until(self, reader: Reader, condition: Callable[[], bool], step: Step) -> None:
        async with self._in_time(step, lambda: f"heard {reader.text!r}, {reader.told}, {reader.last}"):
            while not condition():
                await reader.news()

    async def _stop(self, name: str, step: Step) -> None:
        await self._readers[name].stop()

    async def _take_over(self, client_id: str, step: Step) -> None:
        await self._counterpart.take_over(self._names.filled(client_id))

    async def _terminate(self, _: object, step: Step) -> None:
        await self._party.terminate()

    async def _dropped(self, count: int, step: Step) -> None:
        dropped = self._party.dropped()
        assert dropped in (None, count), f"{dropped} were"

    @asynccontextmanager
    async def _in_time(self, step: Step, otherwise: Callable[[], str]) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._within_s(step)):
                yield
        except TimeoutError:
            raise Silence(f"{otherwise()} (within {self._within_s(step):g} s)") from None

    def _within_s(self, step: Step) -> float:
        return float(step.get("within_ms", WITHIN_MS)) / 1000 + self._slack_s
