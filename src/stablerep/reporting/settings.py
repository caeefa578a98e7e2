"""Settings of the report: the section `reporting` of the configuration."""

from typing import ClassVar

from pydantic import Field

from stablerep.settings import Settings


class ReportingSettings(Settings):
    """How the report is made."""

    section: ClassVar[str] = "reporting"

    num_bootstrap: int = Field(
        1000, ge=100, description="resamples of the test set's units behind each 95 % interval"
    )
