"""Checks the database: that it can be opened, its schema, the API keys that HOST requires, and their
expiry."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

from gateway.commands.database_visit import database_shown
from gateway.commands.doctor.files import AS_ITS_USER
from gateway.commands.doctor.findings import Finding, failure, ok, warning
from gateway.contract.errors import StorageFailed
from gateway.process.door_check import admits_others
from gateway.settings import Settings
from gateway.store.inspection import HEAD, Inspection, inspect_database, psql_of, sqlite_path

NEAR_EXPIRY = timedelta(days=7)


async def database(settings: Settings) -> Sequence[Finding]:
    """Read the database without creating, upgrading or locking it."""
    file = sqlite_path(settings.database_url)
    try:
        found = await inspect_database(settings.database_url)
    except (StorageFailed, ValueError) as error:
        return [failure(str(error), _way_back(settings, file, error.__cause__))]
    return [_schema(settings, found, file), *_door(settings, found), *_expiry(found)]


def _way_back(settings: Settings, file: Path | None, cause: BaseException | None) -> str:
    if file is None:
        return f"{psql_of(settings.database_url)}, and correct DATABASE_URL or start the server"
    if isinstance(cause, OSError):
        return AS_ITS_USER
    name = getattr(getattr(cause, "orig", cause), "sqlite_errorname", "")
    if name.startswith("SQLITE_BUSY"):
        return f"sudo fuser -v {quote(str(file))}; end all programs but sluice, or wait until they are done"
    if name.startswith(("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN")):
        where = quote(str(file.parent))
        return f"df -h {where}; df -i {where}, and remove what is not needed; dmesg has faults of the disk"
    return f"stop the gateway, and copy a backup to {file}; or: sqlite3 {file} .recover"


def _schema(settings: Settings, found: Inspection, file: Path | None) -> Finding:
    shown = database_shown(settings)
    users = ", ".join(found.gateways) or found.used_by
    used = f"; used by {users}" if users else ""
    if found.read_only:
        return failure(
            f"{shown} takes no changes: {found.read_only}", "correct DATABASE_URL: it must be the primary"
        )
    if found.revision == HEAD:
        return ok(f"{shown} has the newest schema, {HEAD}, and {found.keys} API keys{used}")
    if found.revision is not None and found.revision > HEAD:
        return failure(
            f"{shown} has schema {found.revision} of a newer Sluice, and this one knows {HEAD}",
            "install that newer Sluice again: `pip install .` in its source",
        )
    if found.revision is None and file is not None:
        return ok(f"{shown} has no schema yet: the first start creates it")
    behind = f"{shown} has schema {found.revision or 'none'}, and the newest is {HEAD}"
    if file is not None:
        return warning(f"{behind}: the next start upgrades it", f"sluice db backup {file}.{found.revision}")
    return failure(f"{behind}: no gateway can start", "sluice db upgrade")


def _door(settings: Settings, found: Inspection) -> Sequence[Finding]:
    keys_unknown = found.keys is None and found.revision is not None
    admitting = admits_others(settings)
    if admitting is None or found.keys or keys_unknown:
        return []
    name, host = admitting
    return [
        failure(
            f"{name}={host} admits other machines, and there is no API key: no gateway can start",
            "sluice keys create --user NAME",
        )
    ]


def _expiry(found: Inspection) -> Sequence[Finding]:
    if found.next_expiry is None:
        return []
    key_id, user, at = found.next_expiry
    if at - datetime.now(UTC) > NEAR_EXPIRY:
        return []
    return [
        warning(
            f"key {key_id} of {user} expires at {at:%Y-%m-%d %H:%M} UTC",
            f"sluice keys set {key_id} --expires 90d",
        )
    ]
