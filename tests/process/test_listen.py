"""The gateway's listening socket."""

import pytest

from gateway.process.serve import listen
from gateway.settings import Settings, SettingsError


def test_of_two_gateways_that_start_at_once_on_one_port_the_second_says_so() -> None:
    with listen(Settings(_env_file=None, host="127.0.0.1", port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(SettingsError, match=f"PORT={port} cannot be used: Address already in use"):
            listen(Settings(_env_file=None, host="127.0.0.1", port=port))
