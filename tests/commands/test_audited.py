"""Commands that change the database themselves leave entries in the audit log."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.commands.gateways import sluice_alone
from tests.web.gateway_server import served
from transports.scripted import tokens


async def test_the_audit_log_is_shown_and_read_by_programs(tmp_path: Path) -> None:
    def told(*arguments: str) -> str:
        return sluice_alone(tmp_path, *arguments).stdout

    for name in ("robot-1", "robot-2"):
        await asyncio.to_thread(told, "devices", "add", name, "--user", "anna")
    lines = (await asyncio.to_thread(told, "audit")).splitlines()
    (latest,) = (await asyncio.to_thread(told, "audit", "-n", "1", "--json")).splitlines()
    assert [line.split("\t")[1:3] for line in lines] == [["device.add", "robot-1"], ["device.add", "robot-2"]]
    assert lines[1].endswith("\tuser anna")
    parsed = json.loads(latest)
    assert (parsed["id"], parsed["subject"], parsed["detail"]) == (2, "robot-2", {"user": "anna"})
    assert parsed["by"]["source"].startswith("command line on ")


@pytest.mark.parametrize(
    ("command", "nothing"),
    [("audit", "changes by administrators"), ("keys list", "keys"), ("devices list", "devices")],
)
async def test_an_empty_list_names_the_database(command: str, nothing: str, tmp_path: Path) -> None:
    """A newcomer may have another DATABASE_URL, or be in another folder, than the gateway."""
    result = await asyncio.to_thread(sluice_alone, tmp_path, *command.split())
    said = f"No {nothing} are in {tmp_path / 'gateway.db'}, which is DATABASE_URL."
    assert (result.exit_code, result.stdout) == (0, "")
    assert said in result.stderr.splitlines()


async def test_what_a_command_changes_is_in_the_audit_log(tmp_path: Path) -> None:
    for arguments in (
        ("keys", "create", "--user", "anna", "--name", "laptop", "--scopes", "chat,admin"),
        ("keys", "revoke", "1"),
        ("devices", "add", "robot-1", "--user", "anna"),
        ("devices", "remove", "robot-1"),
        ("devices", "remove", "robot-2"),
        ("keys", "list"),
    ):
        await asyncio.to_thread(sluice_alone, tmp_path, *arguments)
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        changes = await gateway.assembled.gateway.audit_log.changes()
    told = [(stored.change.action, stored.change.subject, stored.change.detail) for stored in changes]
    assert told == [
        ("device.remove", "robot-1", {}),
        ("device.add", "robot-1", {"user": "anna"}),
        ("key.revoke", "1", {}),
        ("key.create", "1", {"user": "anna", "name": "laptop", "scopes": "admin,chat"}),
    ]
    assert all(re.fullmatch(r"command line on \S+", stored.change.actor.source) for stored in changes)
    assert all(stored.change.actor.name for stored in changes)
