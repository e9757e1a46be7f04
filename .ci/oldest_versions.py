"""Prints pip constraints: the oldest version of every dependency that pyproject.toml allows."""

import re
import sys
import tomllib
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?>=(?P<oldest>[\w.]+)[^;]*(?P<marker>;.*)?")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"].values()
for requirement in [*project["dependencies"], *(one for extra in extras for one in extra)]:
    match = REQUIREMENT.fullmatch(requirement)
    if match is None:
        sys.exit(f"{requirement!r} names no oldest version")
    sys.stdout.write(f"{match['name']}=={match['oldest']}{match['marker'] or ''}\n")
