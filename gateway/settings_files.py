"""The files that settings name: a password, and the certificates of MQTT."""

from pathlib import Path

from gateway.contract.certificates import check_certificates


def password_in(file: str) -> str:
    """Return the password in the file of MQTT_PASSWORD_FILE. Raises ValueError if it cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise ValueError(f"MQTT_PASSWORD_FILE={file} cannot be read: {reason}") from None


def check_mqtt_files(tls: bool, ca_file: str, cert_file: str, key_file: str) -> None:
    """Raise ValueError if the files for TLS do not fit together, or are not used. tls: MQTT_TLS."""
    if tls:
        check_certificates(ca_file=ca_file, cert_file=cert_file, key_file=key_file)
        return  # without TLS nothing is read: the system's certificates take 40 ms
    for name, path in (("CA", ca_file), ("CERT", cert_file), ("KEY", key_file)):
        if path:
            raise ValueError(f"MQTT_{name}_FILE needs MQTT_TLS=1: without TLS it is not used")
