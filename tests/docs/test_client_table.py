"""The table of docs/clients.md: its clients and versions are those of the lock files."""

from tests.live.client_table import SETS, client_of, locked_versions, rows_of, rows_on_page


def test_every_row_names_a_locked_version() -> None:
    locked = {version for packages in SETS for version in locked_versions(packages).values()}
    unlocked = [row for row in rows_on_page() if client_of(row) not in locked and client_of(row)[1] != "-"]
    assert unlocked == [], "make clients"


def test_calls_with_the_same_result_share_a_row() -> None:
    results = [
        {"client": "openai", "area": "chat", "call": call, "mode": mode, "result": result}
        for call, mode, result in [
            ("whole", "sse", "yes"),
            ("stream", "sse", "yes"),
            ("stop", "sse", "yes"),
            ("whole", "mqtt", "yes"),
            ("stream", "mqtt", "yes"),
            ("stop", "mqtt", "no: HTTP 501"),
        ]
    ]
    name, version = locked_versions("newest")["openai"]
    assert rows_of("newest", results) == [
        f"| {name} | {version} | chat | whole; stream | yes | yes |",
        f"| {name} | {version} | chat | stop | yes | no: HTTP 501 |",
    ]
