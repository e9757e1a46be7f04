"""docs/guarantees.md names tests, and each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
COLUMNS = ["fault", "moment", "the reader receives", "the database contains", "test"]
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.(?:py|json))(?:::(\w+))?", PAGE)))


def rows_of_the_first_table() -> list[list[str]]:
    """The cells of every row, the header first and without the line of dashes."""
    lines = PAGE.partition("\n|")[2].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert set("".join(rows.pop(1))) <= set("-| ")
    return rows


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_first_table_has_a_row_for_each_fault_and_moment() -> None:
    header, *rows = rows_of_the_first_table()
    assert header == COLUMNS
    assert rows
    for row in rows:
        assert len(row) == len(COLUMNS), row
        assert all(row), row


def test_every_row_names_a_test() -> None:
    for row in rows_of_the_first_table()[1:]:
        assert "tests/" in row[-1], row


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_the_page_names_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"docs/guarantees.md names {path}, which is not there"
    if name:
        assert name in functions_in(path), f"docs/guarantees.md names {name}, which {path} does not have"
