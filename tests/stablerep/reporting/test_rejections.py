"""The report's table of rejected captions."""

import polars as pl

from stablerep.reporting.rejections import count_rejections
from tests.stablerep.reporting.content import make_captions


def test_rejections_are_counted_by_reason_with_their_first_examples():
    rejected = make_captions(list("abcdef")).assign(
        filter=["Length"] * 5 + ["Empty"], reason=["too_few_words"] * 5 + ["empty"]
    )
    first, second = count_rejections(pl.from_pandas(rejected).lazy())
    assert (first.reason, first.count, first.examples) == (
        "too_few_words",
        5,
        [(2, "a"), (3, "b"), (4, "c")],
    )
    assert second.count == 1
