"""Finds the MQTT version that a broker speaks."""

import asyncio
import ssl

from transports.mqtt.link.link import BrokerAddress

CONNECT_S = 5.0
ANSWER_S = 2.0

_CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"


async def speaks_mqtt_5(address: BrokerAddress, tls: ssl.SSLContext | None = None) -> bool:
    """True if the broker answers a minimal MQTT 5 CONNECT. Raises OSError if it is unreachable or TLS fails.

    A 3.1.1 broker refuses in a CONNACK of two bytes, disconnects or stays silent; an MQTT 5 CONNACK has at
    least three, even if it refuses. aiomqtt itself treats a 3.1.1 refusal as silence.
    """
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
    try:
        writer.write(_CONNECT_5)
        async with asyncio.timeout(ANSWER_S):
            head = await reader.readexactly(4)
    except ssl.SSLError:
        raise  # in TLS 1.3 the refusal of our certificate arrives only here
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()
    return head[0] == 0x20 and head[1] > 2
