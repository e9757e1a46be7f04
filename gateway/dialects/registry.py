"""All dialects, by their names in `?format=`."""

from collections.abc import Mapping

from gateway.contract.dialect import Dialect
from gateway.dialects.ag_ui import AgUi
from gateway.dialects.ai_sdk import AiSdk
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.completions import Completions
from gateway.dialects.lam import Lam
from gateway.dialects.lunar import Lunar
from gateway.dialects.ollama import Ollama
from gateway.dialects.openai import OpenAI
from gateway.dialects.plain import Plain
from gateway.dialects.printer import Printer
from gateway.dialects.responses import Responses
from gateway.dialects.text import Text
from gateway.dialects.words import Words

LAM: Dialect = Lam()
LUNAR: Dialect = Lunar()
PRINTER: Dialect = Printer()
WORDS: Dialect = Words()
TEXT: Dialect = Text()
OPENAI: Dialect = OpenAI()

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        *(LAM, LUNAR, PRINTER, WORDS, TEXT, OPENAI),
        *(AiSdk(), Anthropic(), Completions(), Responses(), Ollama(), AgUi(), Plain()),
    )
}
