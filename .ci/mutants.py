"""Change the code of one part in small ways with mutmut, and count the changes that the part's tests miss.

`make mutants PART=journals` runs this, in a copy of the tree: .mutants/PART. Each part has its own tests:
mutmut first runs all tests that it is given, to learn which of them reach which function, and with the tests
of all parts it never came to that end.
"""

import shutil
import subprocess
import sys
from pathlib import Path

PARTS = {
    "core": ("gateway/core/*", ["tests/core"]),
    "journals": ("gateway/journals/*", ["tests/contract/test_journals.py"]),
    "llama": ("transports/llama/*", ["tests/transports/llama"]),
    "mqtt": ("transports/mqtt/*", ["tests/transports/mqtt"]),
}
SETTINGS = """
[tool.mutmut]
source_paths = ["gateway", "transports"]
only_mutate = ["{code}"]
also_copy = ["benchmarks", "deploy", "docs", "Makefile", "README.md", "mosquitto.conf"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not live"]
track_dependencies = false
use_git_change_detection = false
"""


def main(part: str, *names: str) -> int:
    """names: patterns of mutants, such as gateway.core.pacing*; none for all of the part."""
    code, tests = PARTS[part]
    folder = Path(".mutants", part)
    shutil.rmtree(folder, ignore_errors=True)
    for name in subprocess.check_output(["git", "ls-files"], text=True).splitlines():
        if Path(name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, folder / name)
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write(SETTINGS.format(code=code, tests=tests))
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    code_of_run = subprocess.run([mutmut, "run", "--max-children", "1", *names], cwd=folder).returncode
    subprocess.run([mutmut, "export-cicd-stats"], cwd=folder)
    subprocess.run([mutmut, "results"], cwd=folder)
    print((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
    return code_of_run


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
