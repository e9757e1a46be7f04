"""Docstrings and comments say it in plain words."""

import pytest

from tests.architecture.plain_words import findings, findings_in

SAYS = {
    '"""What a client is told."""': ["1: opens with `What`"],
    'def f():\n    """Whose ticket this is."""': ["2: opens with `Whose`"],
    'class A:\n    """Who asks."""': ["2: opens with `Who`"],
    'class A:\n    b: int\n    """Whether it is so."""': ["3: opens with `Whether`"],
    "# Whom it asks.": ["1: says `whom`", "1: opens with `Whom`"],
    "a = 1  # Who asks\nb = 2  # Who answers": ["1: opens with `Who`", "2: opens with `Who`"],
    "# A sentence that goes on and on.\n# What follows is its second line.": [],
    "a = 1  # A comment.\n# What is another.": ["2: opens with `What`"],
    '"""The worker to whom it goes."""': ["1: says `whom`"],
    'raise ValueError("whom?")': ["1: says `whom`"],
    '"""Whole replies. Whatsoever."""': [],
    'text = """What a text."""': [],
}


@pytest.mark.parametrize(("text", "expected"), SAYS.items(), ids=SAYS)
def test_the_worst_is_found(text: str, expected: list[str]) -> None:
    assert [str(finding) for finding in findings_in("a.py", text)] == [f"a.py:{says}" for says in expected]


def test_only_whom_is_looked_for_where_there_is_no_code() -> None:
    assert findings_in("a.md", "What is that?\n") == []
    assert len(findings_in("a.md", "The one for whom it is.\n")) == 1


def test_everything_is_said_in_plain_words() -> None:
    assert [str(finding) for finding in findings()] == []
