"""`sluice --version`."""

from importlib.metadata import version

from typer.testing import CliRunner

from gateway.cli import app


def test_the_version_is_that_of_the_package() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output) == (0, f"sluice {version('sluice-gateway')}\n")
