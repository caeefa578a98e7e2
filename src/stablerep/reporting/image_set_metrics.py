"""Image-set metrics as the report shows them: a table of whole sets, and pairs of similar images."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

_WHOLE = "all"  # the group of all images of a set
GroupRow = tuple[str, str, list[float | None]]  # group, image set, a value for each metric


@dataclass(frozen=True)
class MetricRow:
    """A metric of every image set.

    Attributes:
        metric: its name.
        extractor: the extractor of its features; `none` if it uses no features.
        values: image set -> value and number of measured images; a set may have none.
    """

    metric: str
    extractor: str
    values: Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class SetMetricsTable:
    """The metrics of the sets of a run.

    Attributes:
        image_sets: in the order of the run.
        reference: the reference set; also a column, for the metrics that it has values of.
        reference_digest: of its measured images.
        num_reference: number of its measured images.
        rows: one per metric.
    """

    image_sets: list[str]
    reference: str
    reference_digest: str
    num_reference: int
    rows: list[MetricRow]


@dataclass(frozen=True)
class NearPair:
    """Two images that are near each other.

    Attributes:
        kind: `training_image` (the generator learned from the other image), `near_duplicate` (both are in the
            set) or `overlap` (the other is in a split of an evaluation set).
        image_id: of the image of the set.
        other: the other set and the image's name in it.
        similarity: cosine of features, or share of bits of the perceptual hash.
        extractor: by whose features they are similar.
        picture: data address of a PNG.
        other_picture: likewise.
    """

    kind: str
    image_id: str
    other: str
    similarity: float
    extractor: str
    picture: str
    other_picture: str


def table_of_set_metrics(metrics: pd.DataFrame, group: str = _WHOLE) -> SetMetricsTable:
    """Returns the metrics of a group as a table, one row per metric and one column per image set.

    Args:
        metrics: see `stablerep.validation.schemas.ImageSetMetrics`; at least one row.
        group: `all`, or a class or a term.
    """
    first = metrics.iloc[0]
    own = metrics[metrics["group"] == group]
    rows = [
        MetricRow(
            str(metric),
            str(found["extractor"].iloc[0]),
            {
                str(name): (float(value), int(number))
                for name, value, number in found[["image_set", "value", "num_images"]].itertuples(index=False)
            },
        )
        for metric, found in own.groupby("metric", sort=False)
    ]
    names = [name for name in metrics["image_set"].unique() if name != first["reference"]]
    number = int(metrics["num_reference"].max())
    return SetMetricsTable(names, first["reference"], first["reference_digest"], number, rows)


def table_of_groups(metrics: pd.DataFrame) -> tuple[list[str], list[GroupRow]] | None:
    """Returns the metrics of classes and groups of the audit, and a row (group, image set, values) for each.

    Args:
        metrics: see `table_of_set_metrics`.

    Returns:
        None where only whole sets were measured.
    """
    parts = metrics[metrics["group"] != _WHOLE]
    if parts.empty:
        return None
    names = [str(name) for name in parts["metric"].unique()]
    rows = []
    for (group, image_set), found in parts.groupby(["group", "image_set"], sort=False):
        values = dict(zip(found["metric"], found["value"], strict=True))
        rows.append((str(group), str(image_set), [values.get(name) for name in names]))
    return names, rows


def near_pairs(near_images: pd.DataFrame) -> dict[str, list[NearPair]]:
    """Returns the pairs by image set and kind, the nearest first.

    Args:
        near_images: see `stablerep.validation.schemas.NearImages`.
    """
    ordered = near_images.sort_values(["kind", "similarity"], ascending=[True, False], kind="stable")
    found: dict[str, list[NearPair]] = {}
    for row in ordered.to_dict("records"):
        found.setdefault(str(row["image_set"]), []).append(
            NearPair(
                row["kind"],
                row["image_id"],
                f"{row['other_set']}: {row['other_id']}",
                row["similarity"],
                row["extractor"],
                _address(row["picture"]),
                _address(row["other_picture"]),
            )
        )
    return found


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
