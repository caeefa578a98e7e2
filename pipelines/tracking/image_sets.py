"""What a run records of an image set in MLflow: numbers of its ledgers and gate, pictures of its images."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import mlflow

from pipelines.tracking.values import metrics_of

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.image_sets.image_set import ImageSet

_NUM_GRID_CAPTIONS = 8  # rows of the picture of captions with their images


def log_image_set(image_set: "ImageSet") -> None:
    """Logs a finished image set to the active run, every name under the set's own."""
    mlflow.log_metrics({f"{image_set.name}.{key}": value for key, value in _numbers(image_set)})
    if image_set.manifest is not None:
        _log_grid(image_set)
        _log_extremes(image_set, image_set.manifest)


def log_set_metrics(metrics: "pd.DataFrame") -> None:
    """Logs the metrics of whole image sets to the active run, and the table with their groups as a file."""
    whole = metrics[metrics["group"] == "all"]
    values = {f"{row['image_set']}.{row['metric']}": row["value"] for row in whole.to_dict("records")}
    finite = {metric.key: metric.value for metric in metrics_of(values)}
    mlflow.log_metrics(finite)
    mlflow.log_text(metrics.to_csv(index=False), "image_set_metrics.csv")


def _numbers(image_set: "ImageSet") -> Iterator[tuple[str, float]]:
    yield "num_images", float(len(image_set.images))
    yield "num_captions", float(image_set.images["caption_id"].nunique())
    for ledger in ("generation", "alignment"):
        facts: Mapping[str, Any] = image_set.facts.get(ledger) or {}
        flat = {**facts, **facts.get("quantiles", {})}
        for name, value in flat.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{ledger}.{name}", float(value)


def _log_extremes(image_set: "ImageSet", manifest: "pd.DataFrame") -> None:
    """Logs a picture of the worst images over that of the best."""
    import torch

    from stablerep.reporting.alignment import pick_extremes
    from stablerep.storage.shards import read_images

    parts = [rows for rows in pick_extremes(manifest) if len(rows)]
    if parts:
        images = torch.cat([read_images(image_set.folder, rows)[0] for rows in parts])
        _log_picture(images, len(parts[0]), f"{image_set.name}/worst_and_best_aligned.png")


def _log_grid(image_set: "ImageSet") -> None:
    from stablerep.storage.shards import read_images

    stored: pd.DataFrame = image_set.images
    wanted = stored["caption_id"].drop_duplicates().head(_NUM_GRID_CAPTIONS)
    rows = stored[stored["caption_id"].isin(wanted)]
    images, _ = read_images(image_set.folder, rows)
    width = int(rows.groupby("caption_id").size().max())
    _log_picture(images, width, f"{image_set.name}/images_of_captions.png")


def _log_picture(images: Any, width: int, file: str) -> None:
    from torchvision.utils import make_grid

    grid = make_grid(images, nrow=width)
    mlflow.log_image(grid.permute(1, 2, 0).numpy(), artifact_file=file)
