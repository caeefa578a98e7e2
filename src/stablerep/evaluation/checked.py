"""Settings of evaluations: pydantic models whose faults are reported as every setting's are."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stablerep.errors import ConfigError

Model = TypeVar("Model", bound="Settings")


class Settings(BaseModel):
    """Settings that are checked once and never change: no conversion of types, no unknown key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def checked(model: type[Model], name: str, **values: Any) -> Model:
    """Returns the settings of an evaluation.

    Args:
        model: their class.
        name: the evaluation's, for the message and its file.
        **values: as the configuration gives them; lists become tuples.

    Raises:
        ConfigError: a value is of the wrong type or out of its bounds; names the key.
    """
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return model(**tuples)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(["evaluation", name, *map(str, first["loc"])])
        allowed = first["msg"].replace("Input should be", "must be")
        raise ConfigError(
            f"{key}: got {first['input']!r}; {allowed}. Set it in conf/params/evaluation/{name}.yaml."
        ) from error
