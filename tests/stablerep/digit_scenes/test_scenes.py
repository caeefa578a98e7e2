"""Scenes show what their labels say, and depend on their seed alone."""

import pytest
import torch

from stablerep.digit_scenes.grammar import read_caption
from stablerep.digit_scenes.hands import SPLITS, load_hands
from stablerep.digit_scenes.scenes import (
    _GROUND_RGB,
    _INK_RGB,
    ATTRIBUTES,
    NUM_CLASSES,
    SIZE_PX,
    Scenes,
    draw_scenes,
    draw_scenes_of_captions,
    draw_scenes_per_hand,
    render,
)
from stablerep.digit_scenes.styles import HARD


def _same(first: Scenes, second: Scenes) -> bool:
    labels = all(torch.equal(first.labels[name], second.labels[name]) for name in ATTRIBUTES)
    hands = torch.equal(first.hand_ids, second.hand_ids)
    return labels and hands and torch.equal(first.images, second.images)


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_have_the_documented_shape_and_range(split: str) -> None:
    scenes = draw_scenes(64, split, "test")
    assert len(scenes) == 64
    assert scenes.images.shape == (64, 3, SIZE_PX, SIZE_PX)
    assert scenes.images.dtype == torch.float32
    assert scenes.images.min() >= 0
    assert scenes.images.max() <= 1
    assert scenes.images.flatten(1).std(dim=1).min() > 0.03
    for name in ATTRIBUTES:
        assert scenes.labels[name].dtype == torch.int64
        assert scenes.labels[name].min() >= 0
        assert scenes.labels[name].max() < NUM_CLASSES[name]


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_are_drawn_from_hands_of_their_split(split: str) -> None:
    hands = load_hands(split)
    digit_of = dict(zip(hands.hand_ids.tolist(), hands.digits.tolist(), strict=True))
    for scenes in (
        draw_scenes(100, split, "test"),
        draw_scenes_of_captions(["a nine", "a teal digit"], 5, split, "test"),
    ):
        drawn = scenes.hand_ids.tolist()
        assert set(drawn) <= set(digit_of)
        assert [digit_of[hand] for hand in drawn] == scenes.labels["digit"].tolist()


def test_rendering_is_deterministic_under_the_seed() -> None:
    assert _same(draw_scenes(16, "fit", "a", 1), draw_scenes(16, "fit", "a", 1))
    assert not _same(draw_scenes(16, "fit", "a", 1), draw_scenes(16, "fit", "a", 2))


def test_rendering_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    draw_scenes(4, "fit", 0)
    draw_scenes_of_captions(["a nine"], 2, "fit", 0)
    assert torch.equal(before, torch.get_rng_state())


def test_every_hand_has_as_many_scenes() -> None:
    scenes = draw_scenes_per_hand(3, "validation", "test")
    _, counts = scenes.hand_ids.unique(return_counts=True)
    assert len(counts) == 200
    assert (counts == 3).all()


def test_scenes_of_captions_show_what_the_captions_name() -> None:
    texts = ["a teal seven on a striped orange paper", "a digit", "a picture of a nine in navy ink"]
    scenes = draw_scenes_of_captions(texts, 6, "fit", "test")
    assert len(scenes) == 18
    for position, text in enumerate(texts):
        of_caption = slice(6 * position, 6 * position + 6)
        for name, value in read_caption(text).named().items():
            assert (scenes.labels[name][of_caption] == value).all()


def test_what_a_caption_leaves_open_varies_among_its_images() -> None:
    scenes = draw_scenes_of_captions(["a nine"], 40, "fit", "test")
    for name in ("ink", "ground", "texture"):
        assert len(scenes.labels[name].unique()) > 1
    assert len(scenes.hand_ids.unique()) > 1


def test_a_captions_scenes_do_not_depend_on_the_other_captions() -> None:
    alone = draw_scenes_of_captions(["a nine"], 3, "fit", 0)
    among = draw_scenes_of_captions(["a teal one", "a nine", "a zero"], 3, "fit", 0)
    assert torch.equal(alone.images, among.images[3:6])
    assert torch.equal(alone.hand_ids, among.hand_ids[3:6])


def _plain_scenes(ink: int, ground: int) -> torch.Tensor:
    """Returns 8 images of solid squares of ink on a plain ground: no handwriting in the way."""
    strokes = torch.zeros(8, 8, 8)
    strokes[:, 3:5, 3:5] = 1
    index = torch.ones(8, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    return render(strokes, ink * index, ground * index, 0 * index, generator)


def test_colours_are_those_of_the_labels() -> None:
    palette = torch.tensor(list(_GROUND_RGB.values())) / 255
    for ground in range(NUM_CLASSES["ground"]):
        # the corner is ground: the square is small and in the middle
        corner = _plain_scenes(0, ground)[:, :, :3, :3].mean(dim=(0, 2, 3))
        assert (palette - corner).norm(dim=1).argmin() == ground
    inks = torch.tensor(list(_INK_RGB.values())) / 255
    for ink in range(NUM_CLASSES["ink"]):
        images = _plain_scenes(ink, 0)
        # the ink is dark: on white its pixels are the darkest
        darkest = images.sum(dim=1).flatten(1).argsort(dim=1)[:, :5]
        pixels = images.flatten(2).gather(2, darkest[:, None].expand(-1, 3, -1))
        assert (inks - pixels.mean(dim=(0, 2))).norm(dim=1).argmin() == ink


def test_textures_differ_from_plain_ground() -> None:
    num = 32
    strokes = torch.zeros(num, 8, 8)
    index = torch.ones(num, dtype=torch.int64)
    deviation = []
    for texture in range(NUM_CLASSES["texture"]):
        generator = torch.Generator().manual_seed(0)
        images = render(strokes, 0 * index, 0 * index, texture * index, generator)
        deviation.append(float(images.flatten(2).std(dim=2).mean()))
    assert deviation[0] < 0.02  # plain: noise alone
    assert min(deviation[1:]) > 0.04


def test_a_style_changes_how_far_scenes_vary_and_not_what_they_show() -> None:
    usual = draw_scenes(200, "fit", "a")
    hard = draw_scenes(200, "fit", "a", style=HARD)
    assert all(torch.equal(usual.labels[name], hard.labels[name]) for name in ATTRIBUTES)
    assert torch.equal(usual.hand_ids, hard.hand_ids)
    plain = usual.labels["texture"] == 0
    # the corner of a plain ground varies by noise alone
    noise = [float(each.images[plain, :, :3, :3].flatten(2).std(dim=2).mean()) for each in (usual, hard)]
    assert noise[1] > 1.5 * noise[0]
