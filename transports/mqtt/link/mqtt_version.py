"""Finds the MQTT version that a broker speaks."""

import asyncio
import ssl

from transports.mqtt.link.link import BrokerAddress

CONNECT_S = 5.0
ANSWER_S = 2.0

_CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"
_CONNECT_3_1_1 = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"


class BrokerSilent(TimeoutError):
    """The broker took the connection, and did not answer in time."""


async def speaks_mqtt_5(address: BrokerAddress, tls: ssl.SSLContext | None = None) -> bool:
    """True if the broker answers a minimal MQTT 5 CONNECT.

    A 3.1.1 broker refuses in a CONNACK of two bytes, disconnects or stays silent; an MQTT 5 CONNACK has at
    least three, even if it refuses. aiomqtt itself treats a 3.1.1 refusal as silence.

    Raises OSError if the broker is unreachable or TLS fails, and BrokerSilent if it is silent to MQTT 3.1.1
    too: it hangs, and may speak MQTT 5.
    """
    answer = await _answers(_CONNECT_5, address, tls)
    if answer is None:
        if await _answers(_CONNECT_3_1_1, address, tls) is None:
            raise BrokerSilent(f"the broker did not answer within {ANSWER_S:g} s")
        answer = await _answers(_CONNECT_5, address, tls)  # it may have hung until now
    return answer is True


async def _answers(connect: bytes, address: BrokerAddress, tls: ssl.SSLContext | None) -> bool | None:
    """Return whether the broker answers `connect` with an MQTT 5 CONNACK; None if it is silent."""
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
    try:
        writer.write(connect)
        async with asyncio.timeout(ANSWER_S):
            head = await reader.readexactly(4)
    except ssl.SSLError:
        raise  # in TLS 1.3 the refusal of our certificate arrives only here
    except TimeoutError:
        return None
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()
    return head[0] == 0x20 and head[1] > 2
