"""Adapters of the validation room."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def check_captions(
    curated_captions: "pd.DataFrame", gates: dict[str, Any], data_docs: Path
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Lets the captions pass as they are, with the gate's report, or raises GateError."""
    from stablerep.validation.gate import check_captions as check

    report = check(curated_captions, gates["captions"], data_docs)
    return curated_captions, report
