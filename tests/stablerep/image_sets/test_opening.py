"""A finished set is opened: pixels, captions and labels belong together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablerep.corpora.corpus import Rendered
from stablerep.errors import DataError
from stablerep.image_sets.corpus_set import from_corpus
from stablerep.image_sets.mixture import mix
from stablerep.image_sets.opening import open_image_set
from stablerep.image_sets.rendered_set import from_renderer
from tests.stablerep.image_sets.sets import (
    Colours,
    amounts,
    caption_table,
    corpus_table,
    no_takedowns,
    rendered,
)


def test_a_rendered_set_is_rendered_again_with_the_same_pixels(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    source = open_image_set(made, Colours(), 4, 1.0)
    wanted = Colours().render(list(made.captions["text"]), 2, "rendered", 0).pixels
    assert torch.equal(torch.stack([source.images.read(row) for row in range(6)]), wanted)
    assert source.caption_rows.tolist() == [0, 0, 1, 1, 2, 2]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 1, 0, 0]


def test_a_corpus_that_renders_otherwise_than_before_is_refused(tmp_path: Path) -> None:
    made = rendered(tmp_path)
    changed = replace(made, images=made.images.assign(digest="0" * 32))
    with pytest.raises(DataError, match="rendered with other pixels"):
        open_image_set(changed, Colours(), 4, 1.0)


class ByPlace(Colours):
    """Renders a caption by its place in the list, which breaks the contract of `Corpus.render`."""

    def render(self, texts: Sequence[str], images_per_caption: int, name: str, seed: int) -> Rendered:
        values = torch.arange(len(texts) * images_per_caption, dtype=torch.uint8)
        pixels = values[:, None, None, None].expand(-1, 3, 4, 4).contiguous()
        return Rendered(pixels, {"animal": torch.zeros(len(values), dtype=torch.int64)})


def test_a_corpus_whose_images_depend_on_the_other_captions_is_refused(tmp_path: Path) -> None:
    made = from_renderer("rendered", caption_table(), ByPlace(), tmp_path, amounts(images_per_caption=2), 0)
    assert len(open_image_set(made, ByPlace(), 4, 1.0).images) == 6
    # the second caption is left out, as in a mixture: the first one is rendered as before, the third is not
    part = replace(made, images=made.images.iloc[[0, 1, 4, 5]].reset_index(drop=True))
    with pytest.raises(DataError, match=f"{made.images['image_id'][4]} is rendered with other pixels"):
        open_image_set(part, ByPlace(), 4, 1.0)


def test_real_images_are_read_in_place_at_one_size(tmp_path: Path) -> None:
    made = from_corpus("real", corpus_table(), tmp_path, no_takedowns(), amounts(), 0, "colours")
    source = open_image_set(made, Colours(), 4, 1.0)
    values = [int(source.images.read(row)[0, 0, 0]) for row in range(len(made.images))]
    assert [f"image-{value}.png" for value in values] == made.images["image_id"].tolist()
    assert tuple(source.images.read(0).shape) == (3, 4, 4)


def test_the_parts_of_a_mixture_keep_their_own_rows(tmp_path: Path) -> None:
    real = from_corpus("real", corpus_table(), tmp_path / "real", no_takedowns(), amounts(), 0, "colours")
    drawn = rendered(tmp_path, "drawn")
    half = mix("half", {"real": real, "drawn": drawn}, {"real": 1, "drawn": 1}, tmp_path, amounts(), 0)
    source = open_image_set(half, Colours(), 4, 1.0)
    for row, image in half.images.iterrows():
        pixels = source.images.read(int(str(row)))
        if image["part"] == "real":
            assert f"real/image-{int(pixels[0, 0, 0])}.png" == image["image_id"]
    chosen = source.images.subset(torch.tensor([3, 0]))
    assert torch.equal(chosen.read(1), source.images.read(0))
    assert chosen.fingerprint() != source.images.fingerprint()


def test_labels_of_an_unknown_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no labels of 'size'; it has those of animal"):
        open_image_set(rendered(tmp_path), Colours(), 4, 1.0, task="size")
