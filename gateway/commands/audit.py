"""`sluice audit`: shows the changes that administrators made."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.database_visit import database_shown, in_store
from gateway.commands.printable import printable

if TYPE_CHECKING:
    from gateway.contract.audit import StoredChange

MOST = 1_000_000


def audit(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MOST, help="Number of the latest changes.")
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """Show the latest changes by administrators, the latest last: time, action, thing, author, details.

    It reads the database of DATABASE_URL, and works with and without a running gateway.
    """
    changes = in_store(lambda store: store.audit_log.changes(limit=limit))
    if not changes:
        typer.echo(
            f"No changes by administrators are in {database_shown()}, which is DATABASE_URL.", err=True
        )
    for stored in reversed(changes):
        typer.echo(_as_json(stored) if as_json else _as_line(stored))


def _as_line(stored: "StoredChange") -> str:
    change = stored.change
    detail = ", ".join(f"{name} {value}" for name, value in change.detail.items())
    columns = (
        f"{stored.at:%Y-%m-%d %H:%M:%S}",
        change.action,
        change.subject,
        str(change.actor),
        detail or "-",
    )
    return "\t".join(map(printable, columns))


def _as_json(stored: "StoredChange") -> str:
    change = stored.change
    return json.dumps(
        {
            "id": stored.id,
            "at": stored.at.isoformat(),
            "by": asdict(change.actor),
            "action": change.action,
            "subject": change.subject,
            "detail": dict(change.detail),
        }
    )
