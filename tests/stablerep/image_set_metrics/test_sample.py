"""Which images are measured, with which labels, and in which groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stablerep.curation.audit import Audit
from stablerep.curation.settings import AuditSettings
from stablerep.evaluation.labelled_set import LabelledSet
from stablerep.generation.pretraining.captioned_pixels import FixedPixels, in_chunks
from stablerep.image_set_metrics.groups import groups_of
from stablerep.image_set_metrics.sample import Sample, sample_image_set, sample_split
from stablerep.image_set_metrics.training_images import training_images
from stablerep.image_sets.image_set import ImageSet
from stablerep.image_sets.opening import open_image_set
from stablerep.storage.pixels import ImagesInMemory
from tests.stablerep.image_set_metrics.samples import random_images, sample
from tests.stablerep.image_sets.sets import Colours, rendered

CLASSES = {"animal": ("dog", "cat")}


def sampled(image_set: ImageSet, max_images: int, **labels_of: Colours) -> Sample:
    def pixels(part: ImageSet):
        return open_image_set(part, Colours(), 4, 0.0).images

    return sample_image_set(image_set, pixels, max_images, CLASSES, labels_of)


def test_sets_of_the_same_captions_are_measured_on_the_same_captions(tmp_path: Path) -> None:
    few, many = rendered(tmp_path, "few", 2), rendered(tmp_path, "many", 4)
    first, second = sampled(few, 2), sampled(many, 4)
    assert (len(first), len(second)) == (2, 4)
    assert set(first.table["caption_id"]) == set(second.table["caption_id"])
    assert first.table["caption_id"].nunique() == 1, "all images of a caption come together"
    assert len(sampled(few, 100)) == 6
    assert first.set_digests == set(few.images["digest"]), "also of images that are not measured"


def test_a_sample_has_the_pixels_the_captions_and_the_labels_of_its_images(tmp_path: Path) -> None:
    found = sampled(rendered(tmp_path), 4)
    texts = rendered(tmp_path).captions.set_index("caption_id")["text"]
    assert found.texts == texts[found.table["caption_id"]].tolist()
    assert found.labels["animal"].tolist() == [0 if "dog" in text else 1 for text in found.texts]
    again = Colours().render(found.texts[:1], 2, "rendered", 0).pixels
    assert found.pixels.read(0).equal(again[0])
    assert not found.table["generated"].any()


def test_labels_of_a_reference_with_other_classes_come_from_the_captions(tmp_path: Path) -> None:
    class Felines(Colours):
        def labels_of(self, texts):
            return {"animal": [7 if "cat" in text else None for text in texts]}

    found = sampled(rendered(tmp_path), 6, animal=Felines())
    assert found.labels["animal"].tolist() == [7 if "cat" in text else -1 for text in found.texts]


def test_the_digest_of_a_sample_depends_on_images_and_captions() -> None:
    digests = {
        sample("a", 3).digest,
        sample("a", 4).digest,
        sample("a", 3, texts=["x", "", ""]).digest,
        sample("b", 3).digest,
    }
    assert len(digests) == 4
    assert sample("a", 3).digest == sample("a", 3).digest


def labelled(num: int = 30) -> LabelledSet:
    table = pd.DataFrame(
        {
            "key": [f"k{row}" for row in range(num)],
            "split": (["train", "validation", "test"] * num)[:num],
            "unit": "u",
            "digest": [f"d{row}" for row in range(num)],
            "captions": [[f"text {row}", "another"] if row % 2 else [] for row in range(num)],
            "label.animal": np.arange(num) % 2,
        }
    )
    return LabelledSet("real", CLASSES, {}, table)


def test_a_split_is_sampled_by_a_hash_of_its_keys(tmp_path: Path) -> None:
    opened: list[pd.DataFrame] = []

    def pixels(table: pd.DataFrame) -> ImagesInMemory:
        opened.append(table)
        return ImagesInMemory(random_images(len(table)))

    whole, part = (sample_split(labelled(), "validation", pixels, most) for most in (100, 4))
    assert (len(whole), len(part), part.name) == (10, 4, "real.validation")
    assert (
        set(part.table["image_id"]) < set(whole.table["image_id"]) <= {f"k{row}" for row in range(1, 30, 3)}
    )
    assert part.set_digests == whole.set_digests
    rows = [int(each.removeprefix("k")) for each in part.table["image_id"]]
    assert rows == sorted(rows)
    assert rows != list(range(1, 12, 3)), "not the first ones"
    assert opened[1]["key"].tolist() == part.table["image_id"].tolist()
    assert part.texts == [f"text {row}" if row % 2 else "" for row in rows]
    assert part.labels["animal"].tolist() == [row % 2 for row in rows]


def test_groups_are_classes_and_terms_of_the_audit_with_enough_images() -> None:
    tasks = {"shape": ("round", "square")}
    of_set = sample("a", 6, labels=[0, 0, 0, 1, -1, -1], texts=["a big cat"] * 4 + ["small", "bigger"])
    real = sample("real", 4, labels=[0, 1, 1, 1], texts=["big", "", "big dog", "small"])
    settings = AuditSettings.read(
        {
            "groups": {"size": {"big": ["big"], "small": ["small"]}, "shape": {"round": ["cat"]}},
            "prompts": {"size": "a {} thing", "shape": "a {}"},
            "pairs": [],
        }
    )
    groups = {each.name: each for each in groups_of(of_set, real, tasks, Audit(settings), 2)}
    assert list(groups) == ["all", "shape=round", "size=big"]
    assert groups["shape=round"].rows.tolist() == [0, 1, 2]
    assert groups["shape=round"].reference_rows.tolist() == [0]
    assert groups["size=big"].rows.tolist() == [0, 1, 2, 3], "as a whole word"
    assert groups["size=big"].reference_rows.tolist() == [0, 2]
    assert groups["all"].reference_rows.tolist() == [0, 1, 2, 3]
    several = groups_of(of_set, real, tasks, None, 1)
    assert [each.name for each in several] == ["all", "shape=round", "shape=square"]


class Stream:
    """Images whose brightness is their number; a chunk's images follow from its start and its length."""

    size_px = 4

    def count(self) -> None:
        return None

    def take(self, start: int, num: int, seed: int):
        values = (torch.arange(start, start + num) % 256) / 255
        return values[:, None, None, None].expand(-1, 3, 4, 4), torch.tensor([[num]] * num)


def test_training_images_of_a_stream_are_the_first_that_the_denoiser_learned_from() -> None:
    found = training_images(Stream(), "mine", 2000, 0)(600)
    assert found.name == "training images of mine"
    assert [int(found.pixels.read(row)[0, 0, 0]) for row in (0, 255, 599)] == [0, 255, 599 % 256]
    assert len(found) == 600
    assert len(training_images(Stream(), "mine", 100, 0)(600)) == 100, "the pool has no more"
    assert [len(keys) for _, keys in in_chunks(Stream(), 1100, 0)] == [512, 512, 76]


def test_training_images_of_a_fixed_set_are_spread_over_it_and_its_mirrored_images() -> None:
    pixels = random_images(50)
    fixed = FixedPixels(pixels, [["x"]] * 50, mirrored=True)
    found = training_images(fixed, "mine", 1, 0)
    every = found(1000)
    assert len(every) == 100
    assert every.pixels.read(10).equal(pixels[10])
    assert every.pixels.read(60).equal(pixels[10].flip(-1))
    few = found(3)
    for row, place in enumerate((0, 50, 99)):
        assert few.pixels.read(row).equal(every.pixels.read(place))


def test_generated_images_of_a_set_are_marked(tmp_path: Path) -> None:
    made = replace(rendered(tmp_path), parts={"rendered": "generated"})
    images = ImagesInMemory(random_images(6))
    found = sample_image_set(made, lambda part: images, 6, CLASSES, {})
    assert found.table["generated"].all()
