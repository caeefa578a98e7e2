"""What the library computes passes its table's schema, and its gate, at the ends of each range.

Rounding takes a share of all above 1 and a cosine of equals above 1; a finished run would be refused for it.
"""

import itertools
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.alignment.audit import audit_terms
from stablerep.alignment.scorer import score_pairs
from stablerep.caption_ids import caption_id_of
from stablerep.curation.audit import Audit
from stablerep.curation.settings import AuditSettings
from stablerep.errors import GateError
from stablerep.evaluation.bootstrap import Interval, interval_over_units, mean_per_unit
from stablerep.generation.image_sets.inspect import inspect_images
from stablerep.image_sets.generated_set import from_generator
from stablerep.storage.shards import SHARDS_FOLDER, digest_of, encode_image, member_name, write_shard
from stablerep.tuning.guidance import Outcome, run_study
from stablerep.tuning.settings import TuningSettings
from stablerep.validation.gate import check_captions
from stablerep.validation.schemas import (
    AlignmentScores,
    GuidanceTrials,
    ImageAudit,
    ImageSetImages,
    Metrics,
    UnitScores,
)

CAPTION_ID = caption_id_of("a nine")
ENCODER = {"arm": "a", "seed": 0, "set": "s", "task": "t", "evaluation": "knn"}


@pytest.mark.parametrize("asked", [0, 1])
def test_a_term_that_every_image_or_none_shows_passes_in_sets_of_any_size(asked: int) -> None:
    audit = Audit(
        AuditSettings(groups={"digit": {"one": ["one"], "two": ["two"]}}, prompts={"digit": "a {}"}, pairs=[])
    )
    names = ["a one", "a two"]
    tables = []
    for num in range(1, 200):
        for drawn in (0, 1):
            shown = np.zeros((num, 2), dtype=bool)
            shown[:, drawn] = True
            tables.append(audit_terms([names[asked]] * num, shown, audit))
    table = ImageAudit.validate(pd.concat(tables, ignore_index=True))
    assert set(table["drawn"]) == {0, 1} and set(table["gap"]) == {-1, 0, 1}
    assert (table["low"] <= table["drawn"]).all() and (table["drawn"] <= table["high"]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sign", [1, -1])
def test_cosines_of_equal_and_of_opposite_embeddings_pass(dtype: torch.dtype, sign: int) -> None:
    drawn = torch.randn(2_000, 65, generator=torch.Generator().manual_seed(0))
    unit = F.normalize(drawn.to(dtype), dim=1)
    images = torch.arange(2_000).view(-1, 1, 1, 1)

    def embed_images(batch: Tensor) -> Tensor:
        return unit[batch.flatten()]

    def embed_texts(texts: list[str]) -> Tensor:
        return sign * unit[[int(text) for text in texts]]

    cosines = score_pairs(images, [str(row) for row in range(2_000)], embed_images, embed_texts, 256)
    table = pd.DataFrame(
        {
            "caption_id": CAPTION_ID,
            "image_index": range(2_000),
            "text": "a nine",
            "digest": "0" * 32,
            "generator_id": "g-1",
            "scorer_id": "a-" + "0" * 16,
            "alignment": cosines.double().numpy(),
        }
    )
    assert AlignmentScores.validate(table)["alignment"].mean() == pytest.approx(sign, abs=0.01)


def test_images_of_one_colour_and_of_two_halves_pass_in_any_size(tmp_path: Path) -> None:
    sizes = [*itertools.product(range(1, 12), repeat=2), (33, 31), (512, 512), (1024, 768)]
    data = {}
    for height, width in sizes:
        halves = torch.zeros(3, height * width, dtype=torch.uint8)
        halves[:, ::2] = 255
        data[len(data)] = encode_image(halves.view(3, height, width))
        grey = torch.full((3, height, width), 85, dtype=torch.uint8)
        data[len(data)] = encode_image(grey)
    record = {"caption_id": CAPTION_ID, "images": [{"image_index": index} for index in data]}
    write_shard(tmp_path / SHARDS_FOLDER / "00000.tar", [(record, data)])
    manifest = pd.DataFrame(
        {
            "caption_id": CAPTION_ID,
            "image_index": list(data),
            "seed": 0,
            "generator_id": "g-1",
            "shard": "00000.tar",
            "digest": [digest_of(each) for each in data.values()],
            "member": [member_name(CAPTION_ID, index) for index in data],
            "width_px": [width for _, width in sizes for _ in range(2)],
            "height_px": [height for height, _ in sizes for _ in range(2)],
            "state": "intact",
            "alignment": 1.0,
        }
    )
    captions = pd.DataFrame({"caption_id": [CAPTION_ID], "text": ["a nine"]})
    images, _ = inspect_images(tmp_path, manifest, captions)
    health = images[["caption_id", "image_index", "pixel_std", "hash_distance_bits"]]
    known = captions.assign(source="s", licence="l")
    finished = from_generator("synthetic", manifest, health, known, tmp_path, {}, {}, {})
    table = ImageSetImages.validate(finished.images)
    assert set(table["pixel_std"][1::2]) == {0}
    assert table["pixel_std"].max() == 0.5
    _, of_copies = inspect_images(tmp_path, manifest[1::2], captions)
    assert 0 <= of_copies["diversity"].item() < 1e-5


@pytest.mark.parametrize("num_units", [1, 2, 3, 7, 21, 450, 1_797])
@pytest.mark.parametrize("right_of_three", [0, 1, 2, 3])
def test_accuracies_and_their_intervals_pass_where_units_are_alike(
    num_units: int, right_of_three: int
) -> None:
    right = np.tile(np.arange(3) < right_of_three, num_units)
    units = np.repeat([f"unit {number}" for number in range(num_units)], 3)
    scores = mean_per_unit(right, units)
    UnitScores.validate(scores.reset_index().assign(**ENCODER, metric="accuracy"))
    assert len(Metrics.validate(_metrics(interval_over_units(scores, 300, 0)))) == 1


@pytest.mark.parametrize("num_bootstrap", [1, 2, 40])
def test_intervals_of_few_resamples_pass(num_bootstrap: int) -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        scores = pd.Series(rng.integers(0, 4, size=1 + seed) / 3)
        assert len(Metrics.validate(_metrics(interval_over_units(scores, num_bootstrap, seed)))) == 1


def _metrics(found: Interval) -> pd.DataFrame:
    row: dict[str, object] = {**ENCODER, "method": "simclr", "images": "real", **asdict(found)}
    row |= {"version": 1, "metric": "accuracy", "num_images": 3 * found.num_units}
    return pd.DataFrame([row | {"validation": found.value, "chosen": "{}"}])


class _SetBack(datetime):
    """A clock that is set back by an hour each time that it is read, as in autumn."""

    reads = itertools.count()

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime(2026, 10, 25, 3) - timedelta(hours=next(cls.reads))


def test_trials_pass_though_the_clock_is_set_back_and_the_scale_is_at_its_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna.storages._rdb.storage.datetime", _SetBack)
    settings = TuningSettings(
        num_scales=6, low=1.0, high=100.0, num_captions=2, images_per_caption=2, num_images=8, seeds=(0, 1)
    )
    ends = Outcome(np.zeros(3), 1.0), Outcome(np.ones(3), 2.0)
    trials = run_study(lambda point, _: ends[point.guidance_scale < 50], settings, tmp_path, "a", 5)
    assert next(_SetBack.reads) > len(trials)
    GuidanceTrials.validate(trials)
    assert trials["guidance_scale"].agg(["min", "max"]).tolist() == [1, 100]
    assert trials["seconds"].notna().all()


def _gates(table: str, **kwargs: object) -> dict[str, object]:
    words = {word: [word] for word in ("one", "two", "three", "four")}
    rule = {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "fail"}
    empty: dict[str, object] = {"captions": {}, "terms": {}, "term_pairs": {}}
    return {"groups": {"digit": words}} | empty | {table: {"bound": rule}}


@pytest.mark.parametrize("tens", [1, 2, 9, 29])
def test_a_share_that_is_its_bound_passes_the_gate(tens: int, tmp_path: Path) -> None:
    words = [*["one", "two", "three"] * 3, "four"] * tens
    texts = [f"a {word} {number}" for number, word in enumerate(words)]
    gates = _gates("terms", column="share", max_value=0.3)
    assert check_captions(_captions(texts), gates, tmp_path)["success"]
    with pytest.raises(GateError, match="1 rows"):
        check_captions(_captions([*texts, "another one"]), gates, tmp_path)


@pytest.mark.parametrize("of", [20, 140, 340])
@pytest.mark.parametrize("mostly", [0.05, 0.35, 0.95])
def test_a_rule_that_just_as_many_rows_keep_as_it_asks_for_passes(
    mostly: float, of: int, tmp_path: Path
) -> None:
    num = round(mostly * of)
    texts = [f"a {'one' if number < num else 'nine'} {number}" for number in range(of)]
    gates = _gates("captions", column="num_groups", min_value=1, mostly=mostly)
    assert check_captions(_captions(texts), gates, tmp_path)["success"]
    with pytest.raises(GateError, match="bound"):
        check_captions(_captions([*texts, "a nine"]), gates, tmp_path)


def _captions(texts: list[str]) -> pd.DataFrame:
    ids = [caption_id_of(text) for text in texts]
    line = range(1, len(texts) + 1)
    return pd.DataFrame({"caption_id": ids, "text": texts, "source": "s", "licence": "l", "line": line})
