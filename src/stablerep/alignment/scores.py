"""Scores the images of a set, only those that have no score yet, and keeps the scores beside them.

A score is that of an image's bytes, a text and a scorer, so all three are its key: an image that was drawn
again, an edited caption or other weights have none. No threshold is applied here.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stablerep.alignment.scorer import Scorer
from stablerep.errors import DataError
from stablerep.storage.shards import INTACT, REJECTED_MISALIGNED, read_images
from stablerep.storage.whole_files import written_whole

logger = logging.getLogger(__name__)

SCORES_FILE = "alignment_scores.parquet"
SCORE_COLUMNS = (
    "caption_id",
    "image_index",
    "text",
    "digest",
    "generator_id",
    "scorer_id",
    "alignment",
)
_KEY = ["digest", "text", "scorer_id"]
# a score's rounding: kernels differ in the last bits, and a table is to be the same on a second run
_DECIMALS = 5
_WRITE_EVERY_S = 60.0


def score_image_set(
    manifest: pd.DataFrame, texts: Mapping[str, str], store: Path, scorer: Scorer
) -> tuple[pd.DataFrame, int]:
    """Scores the stored images of a manifest, and writes the scores to the image set's folder.

    After a kill at any moment the next call continues from what was written within the last minute.

    Args:
        manifest: as `stablerep.generation.image_sets.manifest.make_manifest` returns it.
        texts: caption id -> what was drawn.
        store: the image set's folder; its scores lie in `alignment_scores.parquet`.
        scorer: asked only where a score is missing.

    Returns:
        One row per stored image, by caption id and index, with `SCORE_COLUMNS`; and the number computed now.

    Raises:
        DataError: an image is missing or damaged, a caption has no text, a score is no cosine, or the disk
            refuses.
    """
    from stablerep.validation.schemas import AlignmentScores  # takes a second

    stored = manifest[manifest["state"].isin([INTACT, REJECTED_MISALIGNED])].reset_index(drop=True)
    wanted = stored.assign(
        text=_texts_of(stored, texts), scorer_id=pd.Series(scorer.scorer_id, stored.index, dtype="str")
    )
    known = read_scores(store).drop_duplicates(_KEY)[[*_KEY, "alignment"]]
    table = wanted.merge(known, on=_KEY, how="left")
    missing = table[table["alignment"].isna()]
    if len(missing):
        _fill(table, missing, store, scorer)
    scores = table[list(SCORE_COLUMNS)].sort_values(["caption_id", "image_index"], ignore_index=True)
    AlignmentScores.validate(scores)
    write_scores(store, scores)
    return scores, len(missing)


def _texts_of(stored: pd.DataFrame, texts: Mapping[str, str]) -> pd.Series:
    found = stored["caption_id"].map(texts).astype("str")
    nameless = stored.loc[found.isna(), "caption_id"]
    if len(nameless):
        raise DataError(
            f"caption {nameless.iloc[0]!r}: the caption set has no text for it, and {len(nameless)} images "
            "of the manifest need one; must be the set that they were made of. Run "
            "`kedro run --pipelines image_sets`."
        )
    return found


def _fill(table: pd.DataFrame, missing: pd.DataFrame, store: Path, scorer: Scorer) -> None:
    """Computes scores shard by shard, in place."""
    started = last_written = time.monotonic()
    done = 0
    for _, rows in missing.groupby("shard", sort=True):
        images, _ = read_images(store, rows)
        values = scorer.score(images, rows["text"].tolist())
        table.loc[rows.index, "alignment"] = values.double().numpy().round(_DECIMALS)
        done += len(rows)
        now = time.monotonic()
        if now - last_written > _WRITE_EVERY_S:
            write_scores(store, table.loc[table["alignment"].notna(), list(SCORE_COLUMNS)])
            last_written = now
            left = (now - started) / done * (len(missing) - done)
            logger.info("%d of %d images scored, about %.0f s left", done, len(missing), left)
    logger.info("%d images scored in %.1f s", done, time.monotonic() - started)


def read_scores(store: Path) -> pd.DataFrame:
    """Returns the scores beside an image set; no row where there are none, or none that can be read."""
    path = store / SCORES_FILE
    if not path.is_file():
        return no_scores()
    try:
        return pd.read_parquet(path, columns=list(SCORE_COLUMNS))
    except (OSError, ValueError) as error:
        logger.warning("%s: cannot be read (%s); every image is scored again", path, error)
        return no_scores()


def no_scores() -> pd.DataFrame:
    """Returns a table of scores without a row."""
    kinds = dict.fromkeys(SCORE_COLUMNS, "str") | {"image_index": "int64", "alignment": "float64"}
    return pd.DataFrame(columns=list(SCORE_COLUMNS)).astype(kinds)


def write_scores(store: Path, scores: pd.DataFrame) -> None:
    """Writes the scores beside an image set, whole or not at all.

    Raises:
        DataError: the disk refuses.
    """
    path = store / SCORES_FILE
    advice = "The images are kept; free some space or fix the permissions and run again."
    with written_whole(path, advice) as beside:
        scores.to_parquet(beside, index=False)
