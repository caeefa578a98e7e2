"""The section `executor`, built; apart from the rooms that draw no images."""

from typing import TYPE_CHECKING, Any

from pipelines.config.arguments import must_be_a
from pipelines.config.build import build

if TYPE_CHECKING:
    from stablerep.generation.executors.executor import Executor


def build_executor(entry: dict[str, Any]) -> "Executor":
    """Returns the executor; it starts nothing until it is given images to draw.

    Raises:
        ConfigError: there is no such class, it does not take its arguments, or it is no executor.
    """
    from stablerep.generation.executors.executor import Executor

    where = "conf/params/executor/<name>.yaml"
    made: Executor = must_be_a(
        Executor, build("executor", entry, where), "executor", entry["_target_"], where
    )
    return made
