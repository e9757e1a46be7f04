"""Settings from the environment and `.env`; read by assembly and the command line only."""

import socket
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=86_400)]
SecondsOrOff = Annotated[float, Field(ge=0, le=86_400)]
Port = Annotated[int, Field(ge=0, le=65_535)]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(Exception):
    """One line that names the setting, its value and what is allowed; never a secret."""


class Settings(BaseSettings):
    """Field names in capitals are the variables' names."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", str_strip_whitespace=True)

    llm_comm_mode: Literal["sse", "mqtt"] = "sse"

    llm_server_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = "http://127.0.0.1:8080"
    llm_api_key: str = ""
    llm_idle_s: Seconds = 60
    llm_connect_s: Seconds = 3
    unknown_model: Literal["default", "refuse"] = "default"

    mqtt_broker_host: str = ""
    mqtt_broker_port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    mqtt_username: str = ""
    mqtt_password: str = ""
    mqtt_tls: bool = False
    mqtt_ca_file: str = ""
    mqtt_cert_file: str = ""
    mqtt_key_file: str = ""
    mqtt_protocol: Literal["auto", "5", "3.1.1"] = "auto"
    mqtt_topic_root: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")] = "sluice/v1"
    mqtt_max_payload: Annotated[int, Field(ge=1024, le=268_435_455)] = 262_144
    gateway_name: str = ""

    host: str = "127.0.0.1"
    port: Port = 8000
    allow_open: bool = False
    ticket_secret: str = ""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    database_url: str = "sqlite+aiosqlite:///sluice.db"

    reply_deadline_s: Seconds = 120
    idle_s: Seconds = 30
    max_content_chars: Annotated[int, Field(ge=1, le=10_000_000)] = 32_000
    history_max_chars: Annotated[int, Field(ge=0, le=100_000_000)] = 24_000
    chunk_size: Annotated[int, Field(ge=1, le=100_000)] = 10
    chunk_delay_s: SecondsOrOff = 0.01
    resume_grace_s: SecondsOrOff = 30
    journal_ttl_s: SecondsOrOff = 600
    journal_max_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    journal_total_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    sse_ping_s: Seconds = 15
    send_timeout_s: Seconds = 20
    drain_s: SecondsOrOff = 20
    queue_max: Annotated[int, Field(ge=0, le=100_000)] = 200

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("gateway_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        return value or "".join(c if c.isalnum() or c in "_.-" else "-" for c in socket.gethostname())[:64]

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if self.llm_comm_mode == "mqtt" and not self.mqtt_broker_host:
            raise ValueError("LLM_COMM_MODE=mqtt needs MQTT_BROKER_HOST, which is empty")
        if self.host not in LOOPBACK and not self.allow_open:
            raise ValueError(
                f"HOST={self.host} would let other machines in without authentication; "
                "use a loopback address, or set ALLOW_OPEN=1 if something else guards the door"
            )
        return self


def load_settings(**overrides: object) -> Settings:
    """The settings in force; SettingsError if one of them is wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0]).upper()
    secret = any(word in name for word in ("PASSWORD", "KEY", "SECRET", "DATABASE_URL"))
    return f"{name}={'…' if secret else first['input']} is not allowed: {message}"
