"""The certificate files of a TLS client, tried before anything connects with them."""

import ssl
from pathlib import Path


def check_certificates(*, ca_file: str, cert_file: str, key_file: str) -> None:
    """Raise ValueError for a file that cannot be read or used. The text names the setting: MQTT_CA_FILE,
    MQTT_CERT_FILE or MQTT_KEY_FILE.

    Args:
        ca_file: authorities in PEM; empty for the system's.
        cert_file: our certificate in PEM; empty for none.
        key_file: its key in PEM; empty if it stands in cert_file.
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
    """The key has a passphrase, which nobody is there to type."""


def _no_passphrase() -> str:
    raise _EncryptedError
