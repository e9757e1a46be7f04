"""Settings from the environment and `.env`. Only assembly and the command line read them."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.contract.host_lists import hosts_of, networks_of, origins_of
from gateway.contract.host_names import MAX_NAME, filled, host_name
from gateway.contract.host_ports import HOST, without_brackets
from gateway.contract.issuer_urls import checked_issuer_url
from gateway.contract.secrets import password_of_url, secrets_of_url, without_secrets
from gateway.contract.server_urls import (
    checked_internal_url,
    checked_redis_url,
    collector_headers,
    collector_url,
    model_server_roots,
)
from gateway.settings_errors import explain, wrong_line
from gateway.settings_files import check_mqtt_files, password_in

Seconds = Annotated[float, Field(gt=0, le=86_400)]
DATABASE_URLS = r"^(sqlite\+aiosqlite:|postgresql\+asyncpg:[^?@]*(@[^?@]*)?(\?|$))"
"""At most one @ before the query: with two, the password would end at the first, and the rest of it would be
shown as the host."""

SecondsOrOff = Annotated[float, Field(ge=0, le=86_400)]
Port = Annotated[int, Field(ge=0, le=65_535)]
PATH_PREFIX = r"^(/[A-Za-z0-9._~-]+)*/?$"
VISIBLE = r"^[!-~]*$"
"""Characters allowed in an HTTP header value: visible ASCII, without spaces."""
MIN_SECRET_CHARS = 16
MAX_PROCESSES = 256
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _model_servers(text: str) -> str:
    return ",".join(model_server_roots(text))


class SettingsError(Exception):
    """A setting is wrong. One line names it, its value and what is allowed; secrets are removed."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class CannotStart(Exception):
    """A part that the start needs is away: another try may succeed. Secrets are removed from the line."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class Settings(BaseSettings):
    """All settings. The environment variable of a field is its name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", str_strip_whitespace=True)

    llm_comm_mode: Literal["sse", "mqtt", "auto"] = "sse"
    llm_mode_order: Annotated[tuple[Literal["sse", "mqtt"], ...], NoDecode] = ("sse", "mqtt")
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    breaker_open_s: Seconds = 15

    llm_server_url: Annotated[str, AfterValidator(_model_servers)] = "http://127.0.0.1:8080"
    llm_api_key: Annotated[str, Field(pattern=VISIBLE)] = ""
    llm_idle_s: Seconds = 60
    llm_connect_s: Seconds = 3
    unknown_model: Literal["default", "refuse"] = "default"

    mqtt_broker_host: Annotated[str, Field(pattern=rf"^({HOST})?$"), AfterValidator(without_brackets)] = ""
    mqtt_broker_port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    mqtt_username: str = ""
    mqtt_password: str = ""
    mqtt_password_file: str = ""
    mqtt_tls: bool = False
    mqtt_ca_file: str = ""
    mqtt_cert_file: str = ""
    mqtt_key_file: str = ""
    mqtt_protocol: Literal["auto", "5", "3.1.1"] = "auto"
    mqtt_topic_root: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")] = "sluice/v1"
    mqtt_max_payload: Annotated[int, Field(ge=1024, le=268_435_455)] = 262_144
    mqtt_subscribe_qos: Literal[0, 1] = 1
    mqtt_coalesce_s: SecondsOrOff = 0.05
    mqtt_coalesce_bytes: Annotated[int, Field(ge=1, le=65_536)] = 512
    keep_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    gateway_name: str = ""
    workers: Annotated[int, Field(ge=1, le=MAX_PROCESSES)] = 1
    internal_url: str = ""
    process_number: Annotated[int, Field(ge=0, le=MAX_PROCESSES)] = 0

    host: Annotated[str, AfterValidator(without_brackets)] = "127.0.0.1"
    port: Port = 8000
    allow_open: bool = False
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, AfterValidator(hosts_of)] = (
        "localhost",
        "127.0.0.1",
        "[::1]",
    )
    ticket_secret: str = ""
    issuer_url: Annotated[str, AfterValidator(checked_issuer_url)] = ""
    issuer_audience: Annotated[str, Field(pattern=VISIBLE)] = ""
    issuer_scopes_claim: Annotated[str, Field(pattern=VISIBLE)] = "scope"
    cors_origins: Annotated[tuple[str, ...], NoDecode, AfterValidator(origins_of)] = ()
    root_path: Annotated[str, Field(pattern=PATH_PREFIX)] = ""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, AfterValidator(networks_of)] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    log_access: bool = False
    otel_semconv_stability_opt_in: str = ""
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(collector_url)] = ""
    otel_exporter_otlp_headers: Annotated[str, AfterValidator(collector_headers)] = ""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"

    database_url: Annotated[str, Field(pattern=DATABASE_URLS)] = "sqlite+aiosqlite:///sluice.db"
    redis_url: Annotated[str, AfterValidator(checked_redis_url)] = ""
    limits_without_redis: Literal["share", "closed"] = "share"

    reply_deadline_s: Seconds = 120
    idle_s: Seconds = 30
    max_content_chars: Annotated[int, Field(ge=1, le=10_000_000)] = 32_000
    max_attachment_bytes: Annotated[int, Field(ge=0, le=2**30)] = 20 * 1024 * 1024
    max_body_bytes: Annotated[int, Field(ge=1024 * 1024, le=2**31)] = 32 * 1024 * 1024
    history_max_chars: Annotated[int, Field(ge=0, le=100_000_000)] = 24_000
    chunk_size: Annotated[int, Field(ge=1, le=100_000)] = 10
    chunk_delay_s: SecondsOrOff = 0.01
    word_delay_s: SecondsOrOff = 0.03
    resume_grace_s: SecondsOrOff = 30
    journal_ttl_s: SecondsOrOff = 600
    journal_max_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    journal_total_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    sse_ping_s: Seconds = 15
    send_timeout_s: Seconds = 20
    body_timeout_s: Seconds = 30
    drain_s: SecondsOrOff = 20
    adopt_s: Seconds = 10
    rate_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    streams_per_user: Annotated[int, Field(ge=1, le=100_000)] = 20
    sessions_per_user: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000
    attachment_bytes_per_user: Annotated[int, Field(ge=0, le=2**50)] = 1024 * 1024 * 1024
    rooms_per_user: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    room_events_per_s: Annotated[int, Field(ge=1, le=10_000)] = 20
    room_members: Annotated[int, Field(ge=2, le=10_000)] = 200
    templates_per_user: Annotated[int, Field(ge=1, le=10_000)] = 200
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    messages_per_session: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    audit_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    stages: Annotated[tuple[Literal["cache"], ...], NoDecode] = ("cache",)
    cache_ttl_s: SecondsOrOff = 0
    cache_max_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    continue_on_failure: bool = False
    queue_max: Annotated[int, Field(ge=0, le=100_000)] = 200
    worker_max: Annotated[int, Field(ge=1, le=100_000)] = 64

    @field_validator(
        "allowed_hosts", "cors_origins", "llm_mode_order", "stages", "trusted_proxies", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("llm_mode_order", "stages")
    @classmethod
    def _names_each_once(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(set(value)) < len(value) or (not value and info.field_name == "llm_mode_order"):
            raise ValueError("it must be names separated by commas, each once")
        return value

    @field_validator("root_path")
    @classmethod
    def _without_last_slash(cls, value: str) -> str:
        return value.removesuffix("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("ticket_secret")
    @classmethod
    def _is_long(cls, value: str) -> str:
        if value and len(value) < MIN_SECRET_CHARS:
            raise ValueError(
                f"it must have at least {MIN_SECRET_CHARS} characters, such as `openssl rand -hex 32`; "
                "if it is empty, the gateway generates one"
            )
        return value

    @field_validator("gateway_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not value:
            return host_name()
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
            raise ValueError("it must be 1 to 64 of A-Z a-z 0-9 _ . -")
        return value

    @model_validator(mode="after")
    def _name_the_process(self) -> "Settings":
        if self.process_number:
            self.gateway_name = f"{self.gateway_name}-{self.process_number}"
            if len(self.gateway_name) > MAX_NAME:
                raise ValueError(f"GATEWAY_NAME={self.gateway_name} has more than {MAX_NAME} characters")
        self.mqtt_username = filled(self.mqtt_username, self.process_number)
        self.internal_url = checked_internal_url(self.internal_url, self.process_number, self.workers)
        self.mqtt_password_file = filled(self.mqtt_password_file, self.process_number)
        return self

    @model_validator(mode="after")
    def _read_password(self) -> "Settings":
        if self.mqtt_password_file:
            self.mqtt_password = password_in(self.mqtt_password_file)
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if self.llm_comm_mode == "mqtt" and not self.mqtt_broker_host:
            raise ValueError("LLM_COMM_MODE=mqtt needs MQTT_BROKER_HOST, which is empty")
        if self.llm_comm_mode == "auto" and self.llm_mode_order == ("mqtt",) and not self.mqtt_broker_host:
            raise ValueError("LLM_MODE_ORDER=mqtt needs MQTT_BROKER_HOST, which is empty")
        if bool(self.issuer_url) != bool(self.issuer_audience):
            raise ValueError("ISSUER_URL and ISSUER_AUDIENCE need each other: set both, or none of them")
        if self.workers > 1 and self.database_url.startswith("sqlite"):
            raise ValueError(
                f"WORKERS={self.workers} needs PostgreSQL in DATABASE_URL: only one process can use SQLite"
            )
        if self.journal_total_bytes < self.journal_max_bytes:
            raise ValueError("JOURNAL_TOTAL_BYTES must not be less than JOURNAL_MAX_BYTES")
        return self

    @model_validator(mode="after")
    def _can_speak_tls(self) -> "Settings":
        check_mqtt_files(self.mqtt_tls, self.mqtt_ca_file, self.mqtt_cert_file, self.mqtt_key_file)
        return self

    @property
    def model_servers(self) -> tuple[str, ...]:
        """The addresses of LLM_SERVER_URL, at least one."""
        return tuple(self.llm_server_url.split(","))

    @property
    def max_text_body_bytes(self) -> int:
        """Maximum body of a request without attachments. A character takes at most twelve bytes of JSON, a
        pair of \\u escapes."""
        return max(1024 * 1024, 12 * self.max_content_chars)

    @property
    def max_message_bytes(self) -> int:
        """Maximum body of a request that may have attachments."""
        return max(self.max_body_bytes, self.max_text_body_bytes)

    @property
    def secrets(self) -> list[str]:
        """Values that logs and errors must not contain."""
        servers = (
            *self.model_servers,
            self.mqtt_broker_host,
            self.otel_exporter_otlp_endpoint,
            self.redis_url,
        )
        headers = self.otel_exporter_otlp_headers.split(",")
        return [
            self.llm_api_key,
            self.mqtt_password,
            self.ticket_secret,
            password_of_url(self.database_url),
            *(secret for url in servers for secret in secrets_of_url(url)),
            *(header.partition("=")[2].strip() for header in headers),
        ]


def load_settings(**overrides: object) -> Settings:
    """Read the settings. Raises SettingsError for the first wrong one."""
    try:
        if "_env_file" not in overrides and (line := wrong_line(Path(".env"))):
            raise SettingsError(f"The file .env is wrong in line {line}: it must be like NAME=value")
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(explain(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file .env cannot be read: {error}") from None
