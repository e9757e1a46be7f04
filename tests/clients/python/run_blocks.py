"""Runs programs in one process: reads a JSON list of sources, and prints a JSON list of their outputs."""

import contextlib
import io
import json
import sys

outputs = []
for source in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(source, "<page>", "exec"), {"__name__": "page"})  # noqa: S102 - our own page
    outputs.append(said.getvalue())
json.dump(outputs, sys.stdout)
