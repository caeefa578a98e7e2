"""A generated set: what is in its table of what was made."""

from pathlib import Path

import pandas as pd
import pytest

from stablerep.errors import DataError
from stablerep.image_sets.generated_set import from_generator, from_manifest
from stablerep.image_sets.image_set import ImageSet
from stablerep.validation.schemas import ImageManifest, ImageSetCaptions, ImageSetImages
from tests.stablerep.image_sets.sets import TEXTS, amounts, caption_table

NUM_IMAGES = 2


def made(rejected: dict[int, str] | None = None) -> pd.DataFrame:
    """Returns the manifest of two images of each caption; row -> state of those that were rejected."""
    ids = [caption_id for caption_id in caption_table()["caption_id"] for _ in range(NUM_IMAGES)]
    states = ["intact"] * len(ids)
    for row, state in (rejected or {}).items():
        states[row] = state
    return ImageManifest.validate(
        pd.DataFrame(
            {
                "caption_id": ids,
                "image_index": list(range(NUM_IMAGES)) * len(TEXTS),
                "seed": 0,
                "generator_id": "g-1",
                "shard": "00000.tar",
                "digest": ["" if state == "rejected_unsafe" else "0" * 32 for state in states],
                "member": [f"{row}.png" for row in range(len(ids))],
                "width_px": 4,
                "height_px": 4,
                "state": states,
                "alignment": 0.5,
            }
        )
    )


def finished(manifest: pd.DataFrame, place: Path, labels=None, **given: int) -> ImageSet:  # type: ignore[no-untyped-def]
    health = manifest.iloc[::-1][["caption_id", "image_index"]].assign(pixel_std=0.2)
    return from_generator(
        "synthetic", manifest, health, caption_table(), place, labels or {}, amounts(**given), {"cost": 7}
    )


def test_rejected_images_are_in_the_manifest_and_not_in_the_table(tmp_path: Path) -> None:
    manifest = made({1: "rejected_unsafe", 2: "rejected_misaligned"})
    image_set = finished(manifest, tmp_path)
    images = ImageSetImages.validate(image_set.images)
    assert images["member"].tolist() == ["0.png", "3.png", "4.png", "5.png"]
    first, second, *_ = caption_table()["caption_id"]
    assert images["image_id"].tolist()[:2] == [f"{first}.0", f"{second}.1"]
    assert set(images["part"]) == {"synthetic"} and (images["pixel_std"] == 0.2).all()
    assert image_set.manifest is not None and len(image_set.manifest) == 6
    assert image_set.facts == {"num_images": 4, "cost": 7}
    ImageSetCaptions.validate(image_set.captions)


def test_images_have_the_labels_of_their_captions(tmp_path: Path) -> None:
    labels = {"animal": [0, 1, None], "place": [None, None, None]}
    image_set = finished(made(), tmp_path, labels)
    assert image_set.tasks == ["animal"]
    assert ImageSetImages.validate(image_set.images)["label.animal"].tolist() == [0, 0, 1, 1, -1, -1]


def test_no_more_images_than_asked_for_are_kept(tmp_path: Path) -> None:
    assert finished(made(), tmp_path, num_images=3).images["member"].tolist() == ["0.png", "1.png", "2.png"]


def test_fewer_images_than_asked_for_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image_set = finished(made({0: "rejected_misaligned"}), tmp_path, num_images=6)
    assert len(image_set.images) == image_set.facts["num_images"] == 5
    assert "image set synthetic: has 5 images; image_sets.synthetic asks for 6" in caplog.text


def test_a_set_of_rejected_images_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image set 'synthetic': has no image"):
        finished(made(dict.fromkeys(range(6), "rejected_misaligned")), tmp_path)


def test_a_trials_set_has_every_image_that_was_not_rejected(tmp_path: Path) -> None:
    image_set = from_manifest("trial", made({0: "rejected_unsafe"}), caption_table(), tmp_path)
    assert len(ImageSetImages.validate(image_set.images)) == 5
