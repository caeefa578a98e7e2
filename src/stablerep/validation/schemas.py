"""The tables at the boundaries between stages: columns, types, ranges, keys.

Named in the catalog as `validator: stablerep.validation.schemas.<Model>`, so that a wrong table stops at
the node that made it. Row counts are the gates' affair: an empty table passes here.
Source of the mechanism: https://pandera.readthedocs.io/en/stable/dataframe_models.html
"""

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import polars as pl
from pandera.errors import SchemaErrors
from pandera.typing import Series

from stablerep.caption_ids import CAPTION_ID_PATTERN
from stablerep.errors import DataError
from stablerep.storage.lazy_tables import parts_of

_NUM_SHOWN = 5  # rows of a check in a message
_MAX_VALUE_LENGTH = 60  # characters of one value in a message
_WHOLE_TABLE = "DataFrameSchema"  # pandera's word for the checks of several columns
_CAPTION_ID = rf"^{CAPTION_ID_PATTERN}$"
_DIGEST = r"^[0-9a-f]{32}$"  # stablerep.storage.shards.digest_of
_DIGEST_OR_NONE = r"^([0-9a-f]{32})?$"
_ENCODER_KEY = ["arm", "seed", "set", "task", "evaluation"]
_NOT_EMPTY = {"min_value": 1}


_VERDICTS = ["balanced", "skewed", "unclear", "too_few"]


class Table(pa.DataFrameModel):
    """A table whose faults come out as a DataError that names column, check and rows."""

    class Config:
        """No column more, none less, no silent change of types."""

        strict = True
        coerce = False

    @classmethod
    def validate(cls, check_obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the table when it is as the model says.

        Args:
            check_obj: a pandas DataFrame; or a polars LazyFrame, of which memory holds a part at a time and
                of a unique column eight bytes a row. A model with another check across rows does not take it.
            args: pandera's.
            kwargs: pandera's.

        Raises:
            DataError: it is not.
        """
        if isinstance(check_obj, pl.LazyFrame):
            cls._validate_parts(check_obj)
            return check_obj
        if not isinstance(check_obj, pd.DataFrame):
            raise DataError(
                f"table {cls.__name__}: got {type(check_obj).__name__}; must be a pandas DataFrame or a "
                "polars LazyFrame."
            )
        kwargs["lazy"] = True  # every fault at once
        try:
            return super().validate(check_obj, *args, **kwargs)
        except SchemaErrors as error:
            raise DataError(_describe(cls.__name__, error.failure_cases, check_obj)) from error

    @classmethod
    def _validate_parts(cls, table: pl.LazyFrame) -> None:
        schema = cls.to_schema()
        if schema.unique or schema.checks:
            raise DataError(
                f"table {cls.__name__}: got a polars LazyFrame; must be a pandas DataFrame: its checks "
                "look across rows."
            )
        unique = [name for name, column in schema.columns.items() if column.unique]
        hashes: dict[str, list[pl.Series]] = {name: [] for name in unique}
        num_before = 0
        for part in parts_of(table):
            frame = part.to_pandas()
            frame.index += num_before  # messages name rows of the whole table
            cls.validate(frame)
            num_before += len(frame)
            for name in unique:
                hashes[name].append(part[name].hash())
        for name in unique:
            # rows whose values have a hash in common, wherever they stand, are looked at together
            places = pl.concat(hashes[name]).is_duplicated().arg_true().to_list()
            if places:
                alike = table.with_row_index("place").filter(pl.col("place").is_in(places))
                cls.validate(alike.collect().to_pandas().set_index("place"))


def _describe(name: str, cases: pd.DataFrame, frame: pd.DataFrame) -> str:
    # a check of several columns comes as one case for each column of each row
    several = (cases["schema_context"] == _WHOLE_TABLE) & cases["column"].isin(frame.columns)
    lines = [
        _describe_column(str(column), str(check), group, frame)
        for (column, check), group in cases[~several].groupby(["column", "check"], sort=False, dropna=False)
    ]
    lines += [
        _describe_columns(str(check), group, frame)
        for check, group in cases[several].groupby("check", sort=False, dropna=False)
    ]
    plural = "check" if len(lines) == 1 else "checks"
    return f"table {name}: {len(lines)} {plural} failed:\n" + "\n".join(lines)


def _describe_column(column: str, check: str, group: pd.DataFrame, frame: pd.DataFrame) -> str:
    values = group["failure_case"].tolist()
    if check == "column_in_dataframe":
        return f"- column {values[0]!r}: missing; the columns are {list(frame)}"
    if check == "column_in_schema":
        return f"- column {values[0]!r}: unknown; must not be there"
    if check.startswith("dtype("):
        return f"- column {column!r}: got type {frame[column].dtype}; must be {check[6:-1]}"
    # a check that could not be computed, for instance on the wrong type, has no row
    rows = [
        _shown(value) if pd.isna(index) else f"{_row_name(index, frame)}: {_shown(value)}"
        for index, value in zip(group["index"], values, strict=True)
    ]
    return f"- column {column!r}: {check}: {_first(rows)}"


def _describe_columns(check: str, group: pd.DataFrame, frame: pd.DataFrame) -> str:
    rows = []
    for index, cells in group.groupby("index", sort=False):
        pairs = zip(cells["column"], cells["failure_case"], strict=True)
        values = ", ".join(f"{column} {_shown(value)}" for column, value in pairs)
        rows.append(f"{_row_name(index, frame)}: {values}")
    return f"- rows: {check}: {_first(rows)}"


def _first(rows: list[str]) -> str:
    more = f"; and {len(rows) - _NUM_SHOWN} more" if len(rows) > _NUM_SHOWN else ""
    return "; ".join(rows[:_NUM_SHOWN]) + more


def _row_name(index: Any, frame: pd.DataFrame) -> str:
    if "caption_id" in frame and frame.index.is_unique:
        return f"row {index} ({frame.loc[index, 'caption_id']})"
    return f"row {index}"


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _MAX_VALUE_LENGTH else text[:_MAX_VALUE_LENGTH] + "..."


class CaptionsIn(Table):
    """Captions as people wrote them; a text may still be empty."""

    caption: Series[str]
    source: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    licence: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    line: Series[int] = pa.Field(ge=1)


class EvaluationCaptions(Table):
    """Captions of the evaluation set; none where its images have no captions."""

    caption: Series[str] = pa.Field(str_length=_NOT_EMPTY)


class Takedowns(Table):
    """What is to be made and kept no more."""

    what: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    kind: Series[str] = pa.Field(isin=["caption", "source", "generator"])
    reason: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    date: Series[str] = pa.Field(str_matches=r"^\d{4}-?\d{2}-?\d{2}$")
    who: Series[str] = pa.Field(str_length=_NOT_EMPTY)


class CorpusImages(Table):
    """The real images of a corpus; columns: `stablerep.corpora.corpus.IMAGE_COLUMNS`."""

    key: Series[str] = pa.Field(unique=True, str_length=_NOT_EMPTY)
    path: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    offset: Series[int] = pa.Field(ge=-1)
    size_bytes: Series[int] = pa.Field(ge=-1)
    row: Series[int] = pa.Field(ge=-1)
    file_bytes: Series[int] = pa.Field(ge=-1)
    mtime_ns: Series[int]
    digest: Series[str] = pa.Field(str_matches=_DIGEST)
    captions: Series[object]
    split: Series[str] = pa.Field(isin=["train", "validation", "test"])
    split_given: Series[bool]
    unit: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    width_px: Series[int] = pa.Field(ge=1)
    height_px: Series[int] = pa.Field(ge=1)
    label: Series[int] | None = pa.Field(alias=r"^label\..+$", regex=True, ge=-1)

    @pa.check("captions", name="a list of texts")
    @classmethod
    def captions_are_lists_of_texts(cls, captions: pd.Series) -> "pd.Series[bool]":
        """Checks each row; Parquet gives arrays back."""
        return captions.map(
            lambda texts: (
                isinstance(texts, list | np.ndarray) and all(isinstance(text, str) for text in texts)
            )
        ).astype(bool)

    @pa.dataframe_check(name="no unit in two splits")
    @classmethod
    def no_unit_is_in_two_splits(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Checks that no unit is trained and tested on."""
        return frame.groupby("unit")["split"].transform("nunique") == 1


class CuratedCaptions(Table):
    """Captions that every filter kept; also those that passed the gate."""

    caption_id: Series[str] = pa.Field(unique=True, str_matches=_CAPTION_ID)
    text: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    source: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    licence: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    line: Series[int] = pa.Field(ge=1)


class RejectedCaptions(Table):
    """Captions that a filter dropped, and why; equal ones may stand there more than once."""

    caption_id: Series[str] = pa.Field(str_matches=_CAPTION_ID)
    text: Series[str]
    source: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    licence: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    line: Series[int] = pa.Field(ge=1)
    filter: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    reason: Series[str] = pa.Field(str_matches=r"^[a-z][a-z0-9_]*$")
    score: Series[float] = pa.Field(nullable=True)  # none where people or the reader rejected it


class CaptionScores(Table):
    """What each filter found in each caption that was kept; a list of rewriters alone finds nothing."""

    caption_id: Series[str] = pa.Field(str_matches=_CAPTION_ID)
    score: Series[float] | None = pa.Field(alias=r"^score\.[a-z0-9_]+$", regex=True, nullable=True)


class ConceptBalance(Table):
    """How many captions hold each concept, before and after the balance."""

    entry: Series[str] = pa.Field(str_length=_NOT_EMPTY, unique=True)
    before: Series[int] = pa.Field(ge=0)
    after: Series[int] = pa.Field(ge=0)

    @pa.dataframe_check(name="after <= before")
    @classmethod
    def balance_adds_nothing(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Checks that a balance only takes away."""
        return frame["after"] <= frame["before"]


class _TermPairs(Table):
    """Two terms of two groups: how often each and both stand in a caption, in bits whether by chance."""

    group_a: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    term_a: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    group_b: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    term_b: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    num_a: Series[int] = pa.Field(ge=0)
    num_b: Series[int] = pa.Field(ge=0)
    num_both: Series[int] = pa.Field(ge=0)
    pmi: Series[float] = pa.Field(nullable=True)
    low: Series[float] = pa.Field(nullable=True)
    high: Series[float] = pa.Field(nullable=True)
    verdict: Series[str] = pa.Field(isin=_VERDICTS)


class CaptionAudit(_TermPairs):
    """The audit of captions, before and after curation."""

    when: Series[str] = pa.Field(isin=["before", "after"])


class ImageAudit(Table):
    """What captions ask for, what images show of it, and the gap; shares in [0, 1]."""

    group: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    term: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    num_asked: Series[int] = pa.Field(ge=0)
    asked: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    num_drawn: Series[int] = pa.Field(ge=0)
    drawn: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    low: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    high: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    gap: Series[float] = pa.Field(ge=-1, le=1, nullable=True)
    matched: Series[float] = pa.Field(ge=0, le=1, nullable=True)


class ImageAuditPairs(_TermPairs):
    """The audit of pairs in the captions and in the images."""

    num_a_drawn: Series[int] = pa.Field(ge=0)
    num_b_drawn: Series[int] = pa.Field(ge=0)
    num_both_drawn: Series[int] = pa.Field(ge=0)
    pmi_drawn: Series[float] = pa.Field(nullable=True)
    low_drawn: Series[float] = pa.Field(nullable=True)
    high_drawn: Series[float] = pa.Field(nullable=True)
    verdict_drawn: Series[str] = pa.Field(isin=_VERDICTS)


class ImageManifest(Table):
    """One row an image of the image set; what the safety checker blanked has no digest and no size."""

    caption_id: Series[str] = pa.Field(str_matches=_CAPTION_ID)
    image_index: Series[int] = pa.Field(ge=0)
    seed: Series[int] = pa.Field(ge=0)
    generator_id: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    shard: Series[str] = pa.Field(str_endswith=".tar")
    digest: Series[str] = pa.Field(str_matches=_DIGEST_OR_NONE)
    member: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    width_px: Series[int] = pa.Field(ge=0)
    height_px: Series[int] = pa.Field(ge=0)
    state: Series[str] = pa.Field(isin=["intact", "rejected_unsafe", "rejected_misaligned"])
    alignment: Series[float] = pa.Field(ge=-1, le=1, nullable=True)  # none where nothing was scored

    class Config(Table.Config):
        """An image is a caption's and an index's."""

        unique = ["caption_id", "image_index"]

    @pa.dataframe_check(name="a misaligned image has a score")
    @classmethod
    def misaligned_images_have_a_score(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Checks that nothing is rejected for a score that it does not have."""
        return (frame["state"] != "rejected_misaligned") | frame["alignment"].notna()


class AlignmentScores(Table):
    """How well each stored image matches its caption: the cosine of the two, as a scorer has it."""

    caption_id: Series[str] = pa.Field(str_matches=_CAPTION_ID)
    image_index: Series[int] = pa.Field(ge=0)
    text: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    digest: Series[str] = pa.Field(str_matches=_DIGEST)
    generator_id: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    scorer_id: Series[str] = pa.Field(str_matches=r"^a-[0-9a-f]{16}$")
    alignment: Series[float] = pa.Field(ge=-1, le=1)

    class Config(Table.Config):
        """An image is a caption's and an index's."""

        unique = ["caption_id", "image_index"]


class ImageSetImages(Table):
    """One row per image of a finished image set; its source adds where the pixels are, and labels."""

    image_id: Series[str] = pa.Field(str_length=_NOT_EMPTY, unique=True)
    caption_id: Series[str] = pa.Field(str_matches=_CAPTION_ID)
    part: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    digest: Series[str] = pa.Field(str_matches=_DIGEST)
    label: Series[int] | None = pa.Field(alias=r"^label\..+$", regex=True, ge=-1)

    class Config(Table.Config):
        """Columns of the set's source may stand beside these."""

        strict = False


class ImageSetCaptions(Table):
    """The captions of a finished image set; the text is empty for images without captions."""

    caption_id: Series[str] = pa.Field(unique=True, str_matches=_CAPTION_ID)
    text: Series[str]
    source: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    licence: Series[str] = pa.Field(str_length=_NOT_EMPTY)


class Metrics(Table):
    """What each encoder scores on each task of each evaluation set, with 95 % intervals over units."""

    arm: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    seed: Series[int] = pa.Field(ge=0)
    method: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    images: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    # evaluation.features.encoder_digest; a table of an earlier release has none
    encoder: Series[str] | None = pa.Field(str_matches=_DIGEST)
    set: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    task: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    evaluation: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    version: Series[int] = pa.Field(ge=1)  # of the evaluation's protocol
    metric: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    value: Series[float]
    low: Series[float]
    high: Series[float]
    num_units: Series[int] = pa.Field(ge=1)
    num_images: Series[int] = pa.Field(ge=1)
    validation: Series[float] = pa.Field(nullable=True)  # none where nothing was chosen on it
    chosen: Series[str]

    class Config(Table.Config):
        """One row per encoder, task, evaluation and metric."""

        unique = [*_ENCODER_KEY, "metric"]

    @pa.dataframe_check(name="low <= value <= high")
    @classmethod
    def interval_holds_the_value(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Checks that the bounds are around the value."""
        return (frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])


class UnitScores(Table):
    """Each encoder's score on each unit of a test split by each metric, for paired intervals."""

    arm: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    seed: Series[int] = pa.Field(ge=0)
    set: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    task: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    evaluation: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    metric: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    unit: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    score: Series[float]

    class Config(Table.Config):
        """One row per encoder, task, evaluation, metric and unit."""

        unique = [*_ENCODER_KEY, "metric", "unit"]


class ImageSetMetrics(Table):
    """What each image set is like, against the reference; see stablerep.image_set_metrics.metric.Measured."""

    image_set: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    metric: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    group: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    value: Series[float]
    num_images: Series[int] = pa.Field(ge=1)
    reference: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    reference_digest: Series[str] = pa.Field(str_matches=_DIGEST)
    num_reference: Series[int] = pa.Field(ge=0)
    extractor: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    version: Series[int] = pa.Field(ge=1)  # of the metric's protocol

    class Config(Table.Config):
        """One row per set, metric and group."""

        unique = ["image_set", "metric", "group"]


class NearImages(Table):
    """Images that are near each other, with pictures as PNG files."""

    image_set: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    kind: Series[str] = pa.Field(isin=["near_duplicate", "training_image", "overlap"])
    image_id: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    other_set: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    other_id: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    similarity: Series[float] = pa.Field(ge=-1, le=1)
    extractor: Series[str] = pa.Field(str_length=_NOT_EMPTY)
    picture: Series[object]
    other_picture: Series[object]


class GuidanceTrials(Table):
    """The trials of the guidance scale's study; what failed has no accuracy."""

    trial: Series[int] = pa.Field(ge=0, unique=True)
    guidance_scale: Series[float] = pa.Field(ge=0)
    num_inference_steps: Series[int] = pa.Field(ge=1)
    seed: Series[int] = pa.Field(ge=0)
    validation_accuracy: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    passes_per_image: Series[float] = pa.Field(gt=0, nullable=True)
    state: Series[str] = pa.Field(isin=["complete", "fail"])
    seconds: Series[float] = pa.Field(ge=0, nullable=True)
    unit_scores: Series[object] = pa.Field(nullable=True)

    @pa.dataframe_check(name="a complete trial has an accuracy")
    @classmethod
    def complete_trials_have_an_accuracy(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Checks that what is complete was scored."""
        return (frame["state"] != "complete") | frame["validation_accuracy"].notna()
