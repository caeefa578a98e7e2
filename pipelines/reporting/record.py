"""What is kept of this run for comparisons with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import corpus_of_set
from stablerep.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from torch import Tensor

    from stablerep.corpora.corpus import Corpus
    from stablerep.image_sets.image_set import ImageSet
    from stablerep.reporting.content import ReportContent
    from stablerep.reporting.record import RunRecord


HOW_TO_MAKE = "Make one there with `kedro run --pipelines reporting`; runs of earlier releases have none."


def open_record(folder: Path, whose: str) -> RunRecord:
    """Reads the record of a run.

    Args:
        folder: of the record.
        whose: the run, for the message.

    Raises:
        DataError: the record is missing or damaged.
    """
    from stablerep.reporting.record import read_record

    try:
        return read_record(folder)
    except (OSError, DataError) as error:
        raise DataError(f"{whose}: its record cannot be read ({error}). {HOW_TO_MAKE}") from error


def content_of(record: RunRecord) -> ReportContent:
    """Returns what a record has of the content of its report: figures, arms and image sets."""
    from stablerep.reporting.content import ImageSetFacts, ReportContent

    settings = record.configuration["image_sets"]
    return ReportContent(
        experiment_name=record.experiment_name,
        seeds=record.seeds,
        metrics=record.metrics,
        unit_scores=record.unit_scores,
        num_bootstrap=int(record.configuration["reporting"]["num_bootstrap"]),
        image_sets={
            name: ImageSetFacts(
                str(facts["source"]), facts["num_images"], facts["num_captions"], settings=settings[name]
            )
            for name, facts in record.image_sets.items()
        },
        evaluation_sets={},
        arms=record.configuration["arms"],
    )


def record_run(content: ReportContent, sets: Mapping[str, ImageSet], corpus: Corpus) -> RunRecord:
    """Returns the record of a run.

    Args:
        content: of its report.
        sets: its image sets.
        corpus: of the experiment.
    """
    import pandas as pd

    from stablerep.reporting.record import RunRecord
    from stablerep.reporting.report import find_headline

    headline = find_headline(content)
    size_px = int(content.configuration["encoder"]["backbone"]["size_px"])
    images = [
        _images_of(image_set, corpus_of_set(name, content.configuration, corpus), size_px)
        for name, image_set in sets.items()
    ]
    return RunRecord(
        content.experiment_name,
        content.seeds,
        headline.sentence,
        headline.cautions,
        content.configuration,
        {name: _facts(content, name) for name in sets},
        content.stage_seconds,
        content.metrics,
        content.unit_scores,
        pd.concat(images, ignore_index=True),
    )


def _facts(content: ReportContent, name: str) -> dict[str, Any]:
    each = content.image_sets[name]
    facts: dict[str, Any] = {
        "source": each.source,
        "num_images": each.num_images,
        "num_captions": each.num_captions,
        "guidance_scale": content.guidance_of(name),
    }
    if each.alignment is not None:
        facts["mean_alignment"] = each.alignment.ledger["mean"]
    return facts


def _images_of(image_set: ImageSet, corpus: Corpus, size_px: int) -> pd.DataFrame:
    import pandas as pd

    from stablerep.reporting.gallery import make_gallery, pick_images
    from stablerep.reporting.record import IMAGES_PER_CAPTION, kept_captions

    kept = kept_captions(image_set.images["caption_id"])
    rows = pick_images(image_set.images, kept, IMAGES_PER_CAPTION)
    texts = dict(zip(image_set.captions["caption_id"], image_set.captions["text"], strict=True))
    pictures = read_images_of(image_set, rows, corpus, size_px)
    gallery = make_gallery(pictures, list(rows["caption_id"]), texts)
    found = [
        {"set": image_set.name, "caption_id": caption_id, "text": entry.text, "picture": picture}
        for caption_id, entry in zip(rows["caption_id"].drop_duplicates(), gallery, strict=True)
        for picture in entry.pictures
    ]
    return pd.DataFrame(found)


def read_images_of(image_set: ImageSet, rows: pd.DataFrame, corpus: Corpus, size_px: int) -> list[Tensor]:
    """Reads some images of a set.

    Args:
        image_set: the set.
        rows: of its table of images.
        corpus: reads images that lie in it.
        size_px: of images whose set names no size.
    """
    from stablerep.image_sets.opening import open_image_set

    source = open_image_set(replace(image_set, images=rows), corpus, size_px, 0.0)
    return [source.images.read(row) for row in range(len(rows))]
