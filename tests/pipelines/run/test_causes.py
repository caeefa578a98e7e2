"""What an error was raised from, and what merely was handled when it was raised."""

import pytest
import requests
from kedro.io import DatasetError

from pipelines.run.causes import causes, first_cause
from stablerep.errors import ConfigError, StableRepError

OF_OURS = {"__name__": "stablerep.example", "ConfigError": ConfigError, "DatasetError": DatasetError}


def error_of(code: str, module: dict[str, object]) -> BaseException:
    """Returns what a function raises that handles a user's fault, in a module of ours or of a library."""
    lines = ["try:", "    raise ConfigError('seed: got -1')", "except ConfigError as error:", f"    {code}"]
    with pytest.raises(Exception) as raised:
        exec("\n".join(lines), dict(module))
    return raised.value


def test_what_a_library_wraps_without_saying_from_is_found() -> None:
    library = OF_OURS | {"__name__": "kedro.example"}
    found = first_cause(error_of("raise DatasetError('while handling')", library), StableRepError)
    assert isinstance(found, ConfigError)


def test_the_systems_error_is_found_in_one_of_requests() -> None:
    session = requests.Session()
    session.trust_env = False
    with pytest.raises(requests.ConnectionError) as raised:
        session.get("http://127.0.0.1:1", timeout=5)
    assert first_cause(raised.value, ConnectionRefusedError)


@pytest.mark.parametrize(
    "code",
    [
        "{}['x']",
        "raise ValueError('while handling')",
        "raise KeyError from None",
        "raise DatasetError('raised by a library that our code calls')",
    ],
)
def test_a_fault_of_ours_while_a_users_fault_is_handled_is_ours(code: str) -> None:
    error = error_of(code, OF_OURS)
    assert list(causes(error)) == [error]


def test_a_fault_of_ours_while_a_library_handles_a_users_fault_is_ours() -> None:
    # as in a hook that Kedro calls when a node has failed
    error = error_of("{}['x']", OF_OURS | {"__name__": "kedro.example"})
    assert first_cause(error, StableRepError) is None


@pytest.mark.parametrize("module", ["stablerep.example", "kedro.example"])
def test_what_is_wrapped_with_from_is_found(module: str) -> None:
    error = error_of("raise RuntimeError('wrapped') from error", OF_OURS | {"__name__": module})
    assert isinstance(first_cause(error, StableRepError), ConfigError)
