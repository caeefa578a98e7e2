"""The form of a gate's report as it lies on the disk between the gate and the pages that show it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stablerep.errors import DataError


class _Rule(BaseModel):
    """What pages show of a rule; the rest is for readers of the file."""

    model_config = ConfigDict(strict=True)

    name: str
    severity: Literal["warn", "fail"]
    success: bool
    observed: Any


class _Report(BaseModel):
    model_config = ConfigDict(strict=True)

    success: bool
    rules: list[_Rule]


def check_gate_report(report: Any) -> None:
    """Raises DataError unless a report is as `stablerep.validation.gate.check_captions` returns it."""
    try:
        _Report.model_validate(report)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"])) or "the whole"
        told = fault["msg"].partition(" or instance of")[0]
        raise DataError(f"report of a gate: {key}: {told}; got {fault['input']!r:.60}") from error
