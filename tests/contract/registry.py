"""Which implementations the contract suites run against: a new one adds a line here."""

from collections.abc import Callable

from tests.contract.rig_llama import LlamaRig
from tests.contract.rig_mqtt import MqttStreamingRig, MqttWholeRig
from tests.contract.rigs import ScriptedRig, TransportRig

RigFactory = Callable[[], TransportRig]

TRANSPORT_RIGS: list[RigFactory] = [ScriptedRig, LlamaRig, MqttStreamingRig, MqttWholeRig]
