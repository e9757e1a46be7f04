"""Grammars and patterns: what crashed or stalled a llama.cpp server is refused, what people use is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.grammar_limits import grammar_problem, pattern_problem

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
"""


def nested(depth: int) -> str:
    return "root ::= " + "(" * depth + '"a"' + ")" * depth


def chain(rules: int) -> str:
    links = [f"r{number} ::= r{number + 1}" for number in range(rules)]
    return "\n".join(["root ::= r0", *links, f'r{rules} ::= "a"'])


def doubled(rules: int, rule: str) -> str:
    """Each rule stands for the next one twice."""
    lines = [f"x{number} ::= " + rule.replace("x", f"x{number + 1}") for number in range(rules)]
    return "\n".join(["root ::= x0", *lines, f'x{rules} ::= "a"'])


@pytest.mark.parametrize(
    "grammar",
    [
        JSON,
        'root ::= "yes" | "no"',
        "root ::= [0-9]+",
        'root ::= ("a"?)*',
        "root ::= [a-z]{0,100} [0-9]",
        'root ::= "(" ws [a-z]* ws ("," ws [a-z]* ws)* ")" ws\nws ::= [ \\t]*',
        "root ::= " + " ".join(f'("{letter}" ws)?' for letter in "abcdefghijklmnopqrst") + "\nws ::= [ ]*",
        'root ::= sum ("=" sum)*\nsum ::= term ("+" term)*\nterm ::= [0-9]+ ("*" [0-9]+)*',
        'root ::= item{1,50}\nitem ::= [a-z]+ "\\n"',
        "root ::= " + " | ".join(f'"word{number}"' for number in range(3_000)),
        nested(100),
        chain(500),
        'root ::= "(((((" [((((] # ((((\n' * 300,
        "root ::= .* <[1000]> !<[1001]> <think>",
        "not a grammar at all {",
        "",
    ],
)
def test_what_people_use_is_let_through(grammar: str) -> None:
    assert grammar_problem(grammar) is None


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        (nested(201), "nests"),
        (nested(30_000), "nests"),
        (chain(2_100), "rules"),
        ('root ::= "a"{2001}', "repeats something more than"),
        ('root ::= "a"{0,99999999999999999999}', "repeats something more than"),
        ('root ::= "a"{5,4}', "at least 5 and at most 4"),
        ('root ::= (("a"{100}){100}){100}', "elements"),
        ("root ::= " + "(" * 20 + '"a"' + "){10}" * 20, "elements"),
        ("root ::= " + '"a"? ' * 3_000, "neighbours"),
        ("root ::= " + "x " * 3_000 + '\nx ::= "a" |', "neighbours"),
        ("root ::= " + "[a-z]? " * 40, "begin alike"),
        ("root ::= " + "ws " * 40 + "\nws ::= [ ]*", "begin alike"),
        ("root ::= " + '" "? ' * 40, "begin alike"),
        ("root ::= ([a-z]*){40}", "begin alike"),
        ("root ::= ([a-z]* [a-z]*){0,20}", "begin alike"),
        ("root ::= (([a-z]*){4}){4}", "begin alike"),
        ("root ::= [a-z]" + "+" * 8, "repeats repetitions"),
        ("root ::= " + "(" * 8 + "[a-z]" + ")+" * 8, "repeats repetitions"),
        ("root ::= " + "(" * 8 + "[a-z]" + ' "b"?)+' * 8, "repeats repetitions"),
        ("root ::= a+\na ::= b+\nb ::= c+\nc ::= d+\nd ::= [a-z]+", "repeats repetitions"),
        (doubled(30, "x | x"), "can begin in more than"),
        (doubled(30, "x? x?"), "can begin in more than"),
        (doubled(30, "(x | (x))"), "can begin in more than"),
        ('root ::= root "a" | "b"', "begins with itself"),
        ('root ::= x\nx ::= "z"? y\ny ::= (x)', "begins with itself"),
        ("root ::= " + '"a" | ' * 20_000, "signs"),
    ],
)
def test_what_crashes_or_stalls_a_server_is_refused(grammar: str, problem: str) -> None:
    assert problem in (grammar_problem(grammar) or "")


@pytest.mark.parametrize(
    "text", ["{" + " " * 60_000, "{" + "1" * 60_000, "[" * 60_000, '"\\' * 30_000, "<" * 60_000]
)
def test_what_is_not_closed_is_read_once(text: str) -> None:
    """Else the gateway would stand still: for minutes, and for days with the first one."""
    assert grammar_problem(f"root ::= x\n{text}") is None


@pytest.mark.parametrize("pattern", ["^[]({0}]+$", "[]a", "[^]a", "[]"])
def test_brackets_in_brackets_are_let_through(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize("brackets", ["[]", "[^]"])
def test_what_follows_empty_brackets_counts(brackets: str) -> None:
    assert pattern_problem(brackets + "(" * 51) == "nests more than 50 parentheses"


@given(st.text('ab"[]()|*+?{},0129:= \n#\\<>.-', max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    grammar_problem(text)
    pattern_problem(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}$",
        "^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$",
        r"^(?:a|b)+(?=c)(?!d)(?<!e)$",
        "^[]*+?{(]+$",
        r"^\*+\(\?\{$",
        "^a{1,}$",
        r"\p{L}+",
        r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$",
        r"^(\w+\s?)+$",
        r"^\s*[A-Z][a-z]*\s*\d*\s*$",
        "^(a|b|)$",
        "",
    ],
)
def test_patterns_that_people_use_are_let_through(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(" * 51 + "a" + ")" * 51, "nests"),
        ("(?:" * 51 + "a" + ")" * 51, "nests"),
        ("a" * 2_001, "characters"),
        ("^?[0-9]$", "repeats nothing"),
        ("(*a)", "repeats nothing"),
        ("a|+", "repeats nothing"),
        ("^{3}$", "repeats nothing"),
        ("^" + "[a-z]?" * 20 + "$", "begin alike"),
        ("^" + "(a?)" * 40 + "$", "may all be left out"),
        ("^(.*){20}$", "begin alike"),
        ("^((((a)+)+)+)+$", "repeats repetitions"),
        ("^((a{2000}){2000}){2000}$", "elements"),
        ("^a{2,1}$", "at least 2 and at most 1"),
        ("^a{100000}$", "more than 2000"),
        ("^a{1,99999999999}$", "more than 2000"),
    ],
)
def test_patterns_that_crash_or_stall_a_server_are_refused(pattern: str, problem: str) -> None:
    assert problem in (pattern_problem(pattern) or "")
