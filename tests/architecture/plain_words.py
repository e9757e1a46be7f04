"""Finds the worst of unclear wording: docstrings and comments that open with a question word, and `whom`.

python -m tests.architecture.plain_words lists what it finds and exits with 1 if that is anything.
"""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("gateway", "transports", "tests", "deploy", "benchmarks", "docs")
SUFFIXES = (".py", ".md", ".mjs", ".sh", ".toml", ".yml", ".conf", ".service")

_OPENING = re.compile(r"\W*(What|Who|Whose|Whom|Whether)\b")
_POSSIBLE = re.compile(rf"[\"'#]{_OPENING.pattern}")
"""Matches every file in which a docstring or comment has such an opening: most need not be parsed."""
_WHOM = re.compile(r"\bwhom\b", re.IGNORECASE)
_WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Finding(NamedTuple):
    path: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.why}"


def findings_in(path: str, text: str) -> list[Finding]:
    """Everything in one file that is to be said otherwise. path: from the root of the project."""
    found = [
        Finding(path, number, "says `whom`")
        for number, line in enumerate(text.splitlines(), 1)
        if _WHOM.search(line)
    ]
    if path.endswith(".py") and _POSSIBLE.search(text):
        for number, prose in [*_docstrings(text), *_comments(text)]:
            if opening := _OPENING.match(prose):
                found.append(Finding(path, number, f"opens with `{opening[1]}`"))
    return sorted(found, key=lambda finding: finding.line)


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    """The docstrings of modules, classes, functions and attributes, with their first lines."""
    for node in ast.walk(ast.parse(text)):
        for statement in node.body if isinstance(node, _WITH_DOCSTRINGS) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """The first lines of comments: a comment may go on over several lines."""
    lines = iter(text.splitlines(keepends=True))
    last_line = -1
    for token in tokenize.generate_tokens(lambda: next(lines, "")):
        if token.type != tokenize.COMMENT:
            continue
        number, column = token.start
        alone = not token.line[:column].strip()
        if not (alone and number == last_line + 1):
            yield number, token.string
        last_line = number if alone else -1


def files() -> Iterator[tuple[str, str]]:
    """The paths from the root, and the texts, of all files that people read."""
    loose = [path for path in ROOT.iterdir() if path.suffix in SUFFIXES or path.name == "Makefile"]
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    for path in sorted(loose + inside):
        if "plain_words" not in path.name and "node_modules" not in path.parts:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def findings() -> list[Finding]:
    """Return the findings in all files."""
    return [found for path, text in files() for found in findings_in(path, text)]


def main() -> int:
    found = findings()
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
