"""Checks the certificate files of a TLS client before a connection uses them."""

import ssl
from pathlib import Path


def check_certificates(*, ca_file: str, cert_file: str, key_file: str) -> None:
    """Raise ValueError if a file cannot be read or used. Its text names the setting: MQTT_CA_FILE,
    MQTT_CERT_FILE or MQTT_KEY_FILE.

    Args:
        ca_file: certificates of authorities, in PEM; empty for the system's authorities.
        cert_file: the client's certificate, in PEM; empty for none.
        key_file: the certificate's private key, in PEM; empty if cert_file contains it.
    """
    for setting, path in (("CA", ca_file), ("CERT", cert_file), ("KEY", key_file)):
        try:
            if path:
                Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"MQTT_{setting}_FILE={path} cannot be read: {error.strerror}") from None
    if key_file and not cert_file:
        raise ValueError("MQTT_KEY_FILE needs MQTT_CERT_FILE, the certificate of that key")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise ValueError(f"MQTT_CA_FILE={ca_file} holds no certificate in PEM: {error.reason}") from None
    if not cert_file:
        return
    named = f"MQTT_CERT_FILE={cert_file}" + (f" and MQTT_KEY_FILE={key_file}" if key_file else "")
    try:
        context.load_cert_chain(cert_file, key_file or None, password=_no_passphrase)
    except ssl.SSLError as error:
        raise ValueError(
            f"{named} cannot be used: no certificate with its key in PEM: {error.reason}"
        ) from None
    except _EncryptedError:
        raise ValueError(f"{named} cannot be used: the key must not be encrypted") from None


class _EncryptedError(Exception):
    """The private key has a passphrase. A server cannot prompt for it."""


def _no_passphrase() -> str:
    raise _EncryptedError
