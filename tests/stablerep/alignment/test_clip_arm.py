"""The embedded scorer: its files, and whether it tells captions apart."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from stablerep.alignment.clip_arm import ClipArmScorer
from stablerep.digit_scenes.captioned_scenes import draw_captioned_scenes
from stablerep.digit_scenes.discrimination import area_under_curve, measure_discrimination
from stablerep.errors import ConfigError, DataError
from stablerep.storage.digests import DIGESTS_FILE


@pytest.fixture(scope="module")
def scenes():
    """Scenes of validation hands, which the scorer's training never saw."""
    drawn = draw_captioned_scenes(600, "validation", "test")
    return (drawn.images * 255).round().to(torch.uint8), drawn.texts


@pytest.fixture(scope="module")
def discrimination(shipped_scorer, scenes):
    return measure_discrimination(shipped_scorer, *scenes, seed=1)


# chance is 0.5; measured on 8,000 scenes: see data/06_models/scorer/README.md
@pytest.mark.parametrize(
    ("attribute", "paired", "auc"),
    [("digit", 0.98, 0.97), ("ink", 0.98, 0.97), ("ground", 0.98, 0.98), ("texture", 0.82, 0.76)],
)
def test_the_shipped_scorer_prefers_the_own_caption_to_one_with_a_word_changed(
    discrimination, attribute, paired, auc
):
    found = discrimination[attribute]
    assert found["num"] > 200
    assert found["paired"] >= paired
    assert found["auc"] >= auc


def test_images_of_other_captions_score_lower(shipped_scorer, scenes):
    images, texts = scenes
    own = shipped_scorer.score(images, texts)
    other = shipped_scorer.score(images.roll(1, dims=0), texts)
    assert area_under_curve(own, other) > 0.95


def test_larger_images_are_brought_to_the_encoders_size(shipped_scorer, scenes):
    images, texts = scenes[0][:64], scenes[1][:64]
    # the way back is a little blurred
    large = images.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    torch.testing.assert_close(
        shipped_scorer.score(large, texts), shipped_scorer.score(images, texts), atol=0.06, rtol=0
    )


def test_no_images_have_no_scores(shipped_scorer):
    assert shipped_scorer.score(torch.empty(0, 3, 32, 32, dtype=torch.uint8), []).shape == (0,)


def test_the_id_is_that_of_what_is_read_and_a_card_is_not(shipped_scorer, tmp_path):
    copied = shutil.copytree(shipped_scorer.folder, tmp_path / "copied")
    (copied / "figures.json").write_text("{}")
    (copied / DIGESTS_FILE).unlink()
    assert ClipArmScorer(copied).scorer_id == shipped_scorer.scorer_id
    sizes = copied / "model.json"
    sizes.write_text(sizes.read_text() + "\n")
    assert ClipArmScorer(copied).scorer_id != shipped_scorer.scorer_id


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "tokenizer"])
def test_a_missing_part_is_named(shipped_scorer, tmp_path, name):
    copied = shutil.copytree(shipped_scorer.folder, tmp_path / "copied")
    (copied / name).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"not a complete scorer \\({name} missing\\).*make scorer"):
        ClipArmScorer(copied)


def test_advice_for_a_folder_that_is_not_the_embedded_one_is_to_name_another(tmp_path):
    told = r"nope: not a complete scorer.*such a folder: alignment\.scorer\.folder.*-- data/06_models/scorer"
    with pytest.raises(DataError, match=told) as caught:
        ClipArmScorer(tmp_path / "nope")
    assert f"git checkout {tmp_path}" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "tokenizer/tokenizer.json"])
def test_a_flipped_byte_of_the_shipped_scorer_is_refused_before_anything_is_scored(
    shipped_scorer, tmp_path, name
):
    copied = shutil.copytree(shipped_scorer.folder, tmp_path / "copied")
    data = bytearray((copied / name).read_bytes())
    data[-20] ^= 1
    (copied / name).write_bytes(data)
    scorer, images = ClipArmScorer(copied), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    for use in (scorer.check, lambda: scorer.score(images, ["a nine"])):
        with pytest.raises(
            DataError, match=f"not a complete scorer \\({name} is not the file that SHA256SUMS records"
        ):
            use()


def cut(folder):
    (folder / "model.safetensors").write_bytes(b"short")


def with_weights(change):
    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def with_nan(tensors):
    tensors["text.image_projection.weight"][0, 0] = float("nan")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "SafetensorError"),
        (with_weights(lambda tensors: tensors.pop("text.logit_scale")), "Missing key.*logit_scale"),
        (with_weights(lambda tensors: tensors.update(more=torch.zeros(1))), 'Unexpected key.*"more"'),
        (with_weights(with_nan), r"text\.image_projection\.weight has values that are not finite"),
        (lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(), "not a complete scorer"),
    ],
    ids=["cut", "missing", "left over", "nan", "no tokens"],
)
def test_a_damaged_scorer_is_found_by_a_check_before_images_are_drawn(
    shipped_scorer, tmp_path, damage, message
):
    copied = shutil.copytree(shipped_scorer.folder, tmp_path / "copied")
    (copied / DIGESTS_FILE).unlink()  # one of one's own that has none
    damage(copied)
    scorer = ClipArmScorer(copied)
    with pytest.raises(DataError, match=message):
        scorer.check()


def test_a_whole_scorer_passes_its_check_with_a_warning_where_it_has_no_digests(
    shipped_scorer, tmp_path, caplog
):
    shipped_scorer.check()
    assert not caplog.text
    copied = shutil.copytree(shipped_scorer.folder, tmp_path / "copied")
    (copied / DIGESTS_FILE).unlink()
    ClipArmScorer(copied).check()
    assert "copied: no SHA256SUMS; whether its files changed is not known" in caplog.text


def test_a_batch_size_below_one_is_refused(shipped_scorer):
    with pytest.raises(ConfigError, match=r"alignment\.scorer\.batch_size: got 0; must be >= 1"):
        ClipArmScorer(shipped_scorer.folder, batch_size=0)
