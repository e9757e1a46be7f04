"""`/api/admin/workers`: lists the MQTT workers with their rules, and changes the rules."""

from datetime import datetime
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.contract.transport import WorkerInfo
from gateway.core.worker_rules import RuledWorker
from gateway.web.api.admin.authors import Author, author_of
from gateway.web.api.dependencies import ActorIs, Gateway
from gateway.web.http.bodies import WHOLE, parse
from gateway.web.http.endpoint import read_request

MAX_REQUESTS = 100_000


class WorkerRuleBody(BaseModel):
    """Absent fields stay as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1})

    disabled: Annotated[bool, Field(description="True: it gets no new requests.")] = False
    max_requests: Annotated[
        Annotated[int, Field(ge=1, le=MAX_REQUESTS), WHOLE] | None,
        Field(description="Requests of this gateway at the same time; null: no limit."),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> "WorkerRuleBody":
        if not self.model_fields_set:
            raise ValueError("must have disabled or max_requests")
        return self


class RuledWorkerView(BaseModel):
    """A worker and its rule. worker: null if it is not there. by, at: of the rule; null without one."""

    name: str
    disabled: bool
    max_requests: int | None
    by: Author | None
    at: datetime | None
    worker: WorkerInfo | None


async def list_ruled_workers(gateway: Gateway) -> list[RuledWorkerView]:
    return [_view(worker) for worker in gateway.worker_rules.workers()]


async def change_worker(request: Request, gateway: Gateway, actor: ActorIs, name: str) -> RuledWorkerView:
    body = parse(await read_request(gateway, request.scope, request.receive), WorkerRuleBody)
    given = body.model_fields_set
    return _view(
        await gateway.worker_rules.change(
            name,
            actor,
            disabled=body.disabled if "disabled" in given else None,
            max_requests=body.max_requests if "max_requests" in given else "unchanged",
        )
    )


def _view(worker: RuledWorker) -> RuledWorkerView:
    kept = worker.kept
    return RuledWorkerView(
        name=worker.name,
        disabled=worker.rule.disabled,
        max_requests=worker.rule.max_requests,
        by=None if kept is None else author_of(kept.set_by),
        at=None if kept is None else kept.set_at,
        worker=worker.info,
    )
