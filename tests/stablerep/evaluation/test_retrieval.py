"""Retrieval between images and captions."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stablerep.errors import ConfigError
from stablerep.evaluation import retrieval
from stablerep.evaluation.evaluation import choose_all, evaluate
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.evaluation.retrieval import Retrieval, RetrievalSettings, rank_of_right
from tests.stablerep.evaluation.sets import labelled_set, random, subject

SET = labelled_set()


class Tower:
    """Text "n" is the n-th of the unit vectors that were given; features are embeddings already."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.vectors[[int(text) for text in texts]].astype(np.float32)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        return features / np.linalg.norm(features, axis=1, keepdims=True)


def with_captions(captions: list[list[str]]) -> LabelledSet:
    table = SET.table.assign(unit=SET.table["key"])
    table["captions"] = pd.Series([np.array(each, object) for each in captions], dtype=object)
    return replace(SET, table=table)


def _units(num: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(num, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


NUM = len(SET.table)
OWN = with_captions([[str(image)] for image in range(NUM)])
NAMES = [f"{way}_recall_at_{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)]


def _recalls(of_set: LabelledSet, features: np.ndarray, tower: Tower) -> dict[str, float]:
    metrics = evaluate(subject(of_set, features, text=tower), [Retrieval()], 20, 0).metrics
    assert set(metrics["task"]) == {"captions"}
    assert metrics["validation"].notna().tolist() == [True] + [False] * 5
    return metrics.set_index("metric")["value"].to_dict()


def test_images_at_their_captions_are_all_found() -> None:
    vectors = _units(NUM)
    assert _recalls(OWN, vectors, Tower(vectors)) == dict.fromkeys(NAMES, 1.0)


def test_of_permuted_images_those_that_stay_in_place_are_found() -> None:
    vectors = _units(NUM)
    features = vectors.copy()
    rows = OWN.rows("test")
    features[rows[:30]] = vectors[np.roll(rows[:30], 1)]  # 30 of 90 lie at the caption of another image
    found = _recalls(OWN, features, Tower(vectors))
    assert found["text_to_image_recall_at_1"] == pytest.approx(60 / 90)
    assert found["image_to_text_recall_at_1"] == pytest.approx(60 / 90)


def test_random_and_collapsed_embeddings_find_no_more_than_chance() -> None:
    vectors = _units(NUM)
    for features in (random(SET, 32), np.ones((NUM, 32))):
        found = _recalls(OWN, features, Tower(vectors))
        assert found["text_to_image_recall_at_1"] < 0.06  # chance is 1 of 90
        assert found["image_to_text_recall_at_10"] < 0.25  # and 10 of 90
    flat = _recalls(OWN, np.eye(32)[np.zeros(NUM, int)], Tower(np.eye(32)[np.zeros(NUM, int)]))
    assert flat == dict.fromkeys(NAMES, 0.0), "what is as near as the right one counts as nearer"


@pytest.mark.parametrize("at_a_time", [7, 1024])
def test_ranks_are_those_of_a_slow_loop_over_sorted_items(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "_QUERIES_AT_A_TIME", at_a_time)
    queries, items = _units(50, 1), _units(70, 2)
    rng = np.random.default_rng(3)
    right = [rng.choice(70, rng.integers(1, 4), replace=False) for _ in range(50)]
    slow = []
    for query, of_query in zip(queries, right, strict=True):
        order = sorted(range(70), key=lambda item: -(query @ items[item]))
        first = next(place for place, item in enumerate(order) if item in of_query)
        slow.append(first)  # all before the first right one are wrong
    assert rank_of_right(queries, items, right).tolist() == slow


def test_recalls_are_those_of_torch_topk_on_images_with_five_captions() -> None:
    import torch

    num = len(OWN.rows("test"))
    vectors = _units(5 * NUM)
    captions = [[str(5 * image + n) for n in range(5)] for image in range(NUM)]
    features = vectors.reshape(NUM, 5, 32).mean(axis=1) + 0.1 * random(SET, 32)
    found = _recalls(with_captions(captions), features, Tower(vectors))
    rows = OWN.rows("test")
    images = torch.from_numpy(Tower(vectors).embed_features(features[rows].astype(np.float32)))
    texts = torch.from_numpy(vectors.reshape(NUM, 5, 32)[rows].reshape(-1, 32).astype(np.float32))
    for k in (1, 5, 10):
        nearest = (texts @ images.T).topk(k).indices
        hits = (nearest == torch.arange(num).repeat_interleave(5)[:, None]).any(dim=1)
        assert found[f"text_to_image_recall_at_{k}"] == pytest.approx(float(hits.float().mean()))
        nearest = (images @ texts.T).topk(k).indices // 5
        hits = (nearest == torch.arange(num)[:, None]).any(dim=1)
        assert found[f"image_to_text_recall_at_{k}"] == pytest.approx(float(hits.float().mean()))
    assert 0.1 < found["text_to_image_recall_at_1"] < 0.99


def test_images_that_share_a_text_are_right_for_each_other() -> None:
    # four texts, each of a quarter of the images, which lie at it
    labels = SET.table["label.shape"].tolist()
    of_set, tower = with_captions([[str(n)] for n in labels]), Tower(_units(4))
    assert _recalls(of_set, tower.vectors[labels], tower) == dict.fromkeys(NAMES, 1.0)
    moved = tower.vectors[(np.array(labels) + 1) % 4]
    assert _recalls(of_set, moved, tower)["text_to_image_recall_at_10"] == 0


def test_images_without_captions_are_neither_queries_nor_items() -> None:
    vectors = _units(NUM)
    rows = OWN.rows("test")
    captions = [[str(image)] for image in range(NUM)]
    features = vectors.copy()
    for row in rows[:40]:
        captions[row] = ["", " "]
        features[row] = vectors[rows[-1]]  # would be found before the right image, as all are equally near
    scores = evaluate(subject(with_captions(captions), features, text=Tower(vectors)), [Retrieval()], 20, 0)
    assert (scores.metrics["value"] == 1).all()
    assert (scores.metrics["num_images"] == 50).all()
    assert len(scores.units) == 50 * 6


def test_an_image_counts_once_however_many_captions_it_has() -> None:
    vectors = _units(NUM)
    captions = [[str(image)] for image in range(NUM)]
    rows = OWN.rows("test")
    captions[rows[0]] = [str(row) for row in OWN.rows("train")[:9]] + [str(rows[0])]
    found = _recalls(with_captions(captions), vectors, Tower(vectors))
    # nine of the ten captions of one image lie elsewhere
    assert found["text_to_image_recall_at_1"] == pytest.approx((89 + 0.1) / 90, abs=0.002)
    assert found["image_to_text_recall_at_1"] == 1


def test_a_set_without_captions_is_left_out_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    vectors = _units(NUM)
    for of_set in (SET, with_captions([[] for _ in range(NUM)])):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            choices = choose_all(subject(of_set, vectors, text=Tower(vectors)), [Retrieval()])
        assert choices == {}
        assert (
            "arm: no retrieval, the validation and test images of evaluation set shapes must have captions "
            "but have none; columns.caption of the set names their column" in caplog.text
        )
    with caplog.at_level(logging.INFO):
        assert choose_all(subject(OWN, vectors), [Retrieval()]) == {}
    assert "no retrieval, it has no text tower" in caplog.text


def test_settings_out_of_bounds_name_their_key_and_file() -> None:
    with pytest.raises(
        ConfigError, match=r"evaluation\.retrieval\.num_nearest\[0\]: got 0; must be >= 1\. Set"
    ):
        Retrieval([0])


def test_a_changed_default_is_a_new_version() -> None:
    assert RetrievalSettings().model_dump() == {1: {"num_nearest": (1, 5, 10)}}[Retrieval.version]
