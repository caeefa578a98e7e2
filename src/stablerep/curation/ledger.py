"""What curation did, in numbers and tables that outlive the run."""

from typing import Any

import pandas as pd
import polars as pl

from stablerep.curation.audit import Audit
from stablerep.curation.curate import Curation

WHENS = ("before", "after")


def ledger_of(curation: Curation) -> dict[str, Any]:
    """Returns counts: in, kept, rejected, replaced, and by filter and reason."""
    return {
        "num_read": curation.num_read,
        "num_kept": curation.num_kept,
        "num_rejected": curation.num_rejected,
        "num_replaced": curation.num_replaced,
        "filters": [
            {"filter": step.filter, "num_in": step.num_in, "reasons": dict(sorted(step.reasons.items()))}
            for step in curation.steps
        ],
    }


def balance_table(curation: Curation) -> pd.DataFrame:
    """Returns entry, before, after, the most frequent first; no row without a filter that balances."""
    empty = pl.DataFrame(schema={"entry": pl.String, "before": pl.Int64, "after": pl.Int64})
    table = empty if curation.balance is None else curation.balance
    return table.to_pandas().astype({"entry": "str"})


def audit_table(curation: Curation, audit: Audit) -> pd.DataFrame:
    """Returns the verdicts before and after, told apart by the column `when`."""
    parts = [
        audit.verdicts(counts).assign(when=when)
        for when, counts in zip(WHENS, (curation.before, curation.after), strict=True)
        if counts is not None
    ]
    return pd.concat(parts, ignore_index=True)
