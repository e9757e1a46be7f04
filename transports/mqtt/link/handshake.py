"""Prepares a connection: the TLS context, and the MQTT version that the broker speaks."""

import asyncio
import ssl

from transports.mqtt.link.link import BrokerAddress

CONNECT_S = 5.0
ANSWER_S = 2.0

_CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """Return the TLS context; None without TLS. Raises OSError or ssl.SSLError for an unreadable file."""
    if not address.tls:
        return None
    context = ssl.create_default_context(cafile=address.ca_file)
    if address.cert_file is not None:
        context.load_cert_chain(address.cert_file, address.key_file)
    return context


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


def refusal(why: Exception, *, tls: bool) -> str:
    """Return the reason to log for a broker that refused the connection: most just disconnect."""
    if not isinstance(why, ConnectionError | ssl.SSLEOFError):
        return str(why)
    guess = "does it refuse our certificate, or miss one?" if tls else "does it want TLS?"
    return f"it hung up on us ({why}); {guess}"
