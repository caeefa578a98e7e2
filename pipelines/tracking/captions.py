"""Which captions stand behind which encoder, in MLflow: written with each training, read for takedowns.

A training's parent run holds `captions/<image set>.parquet`, one row per caption: its id, source and licence,
the number of its images and what made them. Every arm's run carries the digest of its set's table, and the
generator, as tags.
"""

import hashlib
import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

    from stablerep.image_sets.image_set import ImageSet

logger = logging.getLogger(__name__)

_FOLDER = "captions"
_DIGEST_TAG = "captions.digest"
_GENERATOR_TAG = "captions.generator_id"
_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class TrackedEncoder:
    """An arm's run.

    Attributes:
        arm: its name.
        images: name of the image set that it was trained on.
        run_id: of the arm's run.
        parent: name of the run that it is a part of.
        started: date and time in UTC.
        status: of the arm's run in MLflow, FINISHED where its encoder was kept.
        num_captions: that came from what is asked for; None where the run does not tell its captions.
    """

    arm: str
    images: str
    run_id: str
    parent: str
    started: str
    status: str
    num_captions: int | None

    def __str__(self) -> str:
        end = "" if self.status == "FINISHED" else f", {self.status.lower()}"
        run = f"run {self.run_id} of {self.parent!r}, {self.started} UTC{end}"
        return f"{self.arm} ({self.images} images), {run}"


def captions_of(image_set: "ImageSet") -> "pd.DataFrame":
    """Returns one row per caption of an image set.

    Returns:
        Columns caption_id, source, licence, num_images (that may be trained on), generator_id and model_id
        (empty without generated images), by caption id.
    """
    from stablerep.attribution.find import read_generator
    from stablerep.generation.diffusion.identity import model_id_of

    images = image_set.images
    generators = images["generator_id"].fillna("") if "generator_id" in images else ""
    grouped = images.assign(generator_id=generators).groupby("caption_id")["generator_id"]
    counted = grouped.agg(num_images="size", generator_id="max")
    table = image_set.captions[["caption_id", "source", "licence"]].join(counted, on="caption_id")
    table = table.fillna({"num_images": 0, "generator_id": ""}).astype({"num_images": "int64"})
    stores = [image_set.folder.parent / part for part, kind in image_set.parts.items() if kind == "generated"]
    models = {"": ""}
    for generator_id in set(table["generator_id"]) - {""}:
        known = [facts for store in stores if (facts := read_generator(store, generator_id))]
        models[generator_id] = model_id_of(known[0]) if known else ""
    table["model_id"] = table["generator_id"].map(models)
    return table.sort_values("caption_id", ignore_index=True)


def captions_tags(captions: "pd.DataFrame") -> dict[str, str]:
    """Returns the tags of an arm's run."""
    digest = hashlib.blake2b(captions.to_csv(index=False).encode(), digest_size=16).hexdigest()
    generators = sorted(set(captions["generator_id"]) - {""})
    return {_DIGEST_TAG: digest, _GENERATOR_TAG: ", ".join(generators)}


def log_captions(captions: "pd.DataFrame", images: str, run_id: str) -> None:
    """Logs the table of an image set to a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{images}.parquet")
        captions.to_parquet(path, index=False)
        mlflow.log_artifact(str(path), _FOLDER, run_id=run_id)


def find_encoders(uri: str, kind: str, what: str) -> list[TrackedEncoder]:
    """Finds the encoders that came from a caption, a source or a generator.

    Args:
        uri: of the tracking store; a local file that is missing holds no runs, and is not made.
        kind: see `stablerep.curation.people.takedowns.KINDS`.
        what: likewise.

    Returns:
        Newest first. Runs without a table of their captions, such as those of earlier versions, have
        `num_captions` None.
    """
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        return []
    mlflow.set_tracking_uri(uri)
    runs: list[Run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    arms = [run for run in runs if "arm" in run.data.params and _PARENT in run.data.tags]
    parents = {run.info.run_id: run.data.tags.get(_PARENT) for run in runs}
    names = {run.info.run_id: run.info.run_name for run in runs}
    tables: dict[str, Any] = {}
    found = []
    for run in arms:
        digest = run.data.tags.get(_DIGEST_TAG)
        images = run.data.params.get("images", "")
        if digest is not None and tables.get(digest) is None:
            tables[digest] = _read_captions(_root_of(run, parents), images)
        table = tables.get(digest) if digest is not None else None
        number = None if table is None else _count(table, kind, what)
        if number != 0:
            found.append(_described(run, images, _root_of(run, parents), names, number))
    return sorted(found, key=lambda each: each.started, reverse=True)


def _count(table: "pd.DataFrame", kind: str, what: str) -> int:
    trained = table[table["num_images"] > 0]
    if kind == "generator":
        return int(((trained["generator_id"] == what) | (trained["model_id"] == what)).sum())
    return int((trained["caption_id" if kind == "caption" else "source"] == what).sum())


def _root_of(run: "Run", parents: dict[str, str | None]) -> str:
    """Returns the id of the run that trained an arm: above its own, and above that of all its seeds."""
    root = run.info.run_id
    while above := parents.get(root):
        root = above
    return str(root)


def _described(
    run: "Run", images: str, parent: str, names: dict[str, str], number: int | None
) -> TrackedEncoder:
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return TrackedEncoder(
        arm=run.data.params["arm"],
        images=images,
        run_id=run.info.run_id,
        parent=names.get(parent, parent),
        started=f"{started:%Y-%m-%d %H:%M}",
        status=run.info.status,
        num_captions=number,
    )


def _read_captions(run_id: str, images: str) -> "pd.DataFrame | None":
    import pandas as pd
    from mlflow.exceptions import MlflowException

    file = f"{_FOLDER}/{images}.parquet"
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file, dst_path=folder)
            return pd.read_parquet(path)
        except (MlflowException, OSError, ValueError) as error:
            logger.warning("run %s: its %s cannot be read (%s)", run_id, file, error)
            return None
