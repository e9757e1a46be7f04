"""TLS to the broker: the context from the settings, and the reason of a refused connection."""

import ssl

from transports.mqtt.link.link import BrokerAddress


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """Return the TLS context; None without TLS. Raises OSError or ssl.SSLError for an unreadable file."""
    if not address.tls:
        return None
    context = ssl.create_default_context(cafile=address.ca_file)
    if address.cert_file is not None:
        context.load_cert_chain(address.cert_file, address.key_file)
    return context


def refusal(why: Exception, *, tls: bool) -> str:
    """Return the reason to log for a broker that refused the connection: most just disconnect."""
    if not isinstance(why, ConnectionError | ssl.SSLEOFError):
        return str(why)
    guess = "does it refuse our certificate, or miss one?" if tls else "does it want TLS?"
    return f"it hung up on us ({why}); {guess}"
