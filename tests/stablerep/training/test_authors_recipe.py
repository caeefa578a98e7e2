"""The head, the views and the rate of experiment=paper, against what the authors' code is described to do.

Each is built again from plain torch and torchvision, following the description in docs/method.md and the
paper's appendix; nothing of ours is used for the other side.
"""

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from pipelines.config.loader import compose
from stablerep.models.encoders import build_encoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.settings import HeadSettings
from stablerep.training.schedule import Schedule
from stablerep.training.settings import AugmentationSettings, TrainingSettings
from stablerep.training.views import Augmentation
from tests.stablerep.training import measured_views

PARAMS = Path(__file__).parents[3] / "conf" / "params"
NUM_DRAWS = 2000
# Two samples of 2,000 of one distribution differ by 0.062 once in 1,000 times. Ours draws the order of the
# colour jitter once per batch, torchvision for each image.
GAP = 0.07
OFF = {"jitter_probability": 0.0, "grey_probability": 0.0, "blur_probability": 0.0, "flip_probability": 0.0}


@pytest.fixture(scope="module")
def paper():
    paths = {"corpus.path": "captions.csv", "evaluation_sets.imagenet.path": "imagenet"}
    return compose(PARAMS, {"experiment": "paper", **paths})


# ------------------------------------------------------------------------------------------- the head


class AuthorsHead(nn.Module):
    """Linear, BatchNorm, ReLU, linear, BatchNorm, ReLU, linear, with bias, for each view's images apart."""

    def __init__(self, features, hidden, out):
        super().__init__()
        self.first, self.second, self.third = (
            nn.Linear(*sizes) for sizes in ((features, hidden), (hidden, hidden), (hidden, out))
        )
        self.norm_1, self.norm_2 = nn.BatchNorm1d(hidden), nn.BatchNorm1d(hidden)

    def of_view(self, features):
        inner = torch.relu(self.norm_1(self.first(features)))
        return self.third(torch.relu(self.norm_2(self.second(inner))))

    def forward(self, features_of_views):
        embedded = torch.cat([self.of_view(each) for each in features_of_views])
        return F.normalize(embedded, dim=-1)


def test_the_head_gives_the_authors_embeddings_and_statistics_for_the_same_weights(paper):
    settings = HeadSettings.read(paper["encoder"]["head"] | {"hidden_dim": 64, "out_dim": 16})
    ours = ProjectionHead(24, settings.hidden_dim, settings.out_dim, settings.kind, settings.batch_norm)
    theirs = AuthorsHead(24, 64, 16)
    with torch.no_grad():
        for each in theirs.parameters():  # biases and BatchNorm's weights too
            each.add_(0.3 * torch.randn_like(each))
    names = ["first", "norm_1", "second", "norm_2", "third"]
    state = theirs.state_dict()
    layers = [number for number, each in enumerate(ours.layers) if not isinstance(each, nn.ReLU)]
    assert len(layers) == len(names)
    ours.load_state_dict(
        {
            key.replace(name, f"layers.{number}", 1): value.clone()
            for number, name in zip(layers, names, strict=True)
            for key, value in state.items()
            if key.startswith(f"{name}.")
        }
    )
    # eight captions with three images each: theirs view by view, ours caption by caption as batches are
    features = torch.randn(8, 3, 24) * torch.tensor([1.0, 2.0, 3.0])[:, None] + torch.randn(3, 1)
    expected = theirs(features.unbind(1)).unflatten(0, (3, 8)).transpose(0, 1)
    embedded = ours(features.flatten(0, 1), torch.arange(3).repeat(8), 3)
    torch.testing.assert_close(embedded, expected.flatten(0, 1))
    for number, name in ((layers[1], "norm_1"), (layers[3], "norm_2")):
        for statistic in ("running_mean", "running_var"):
            mine, given = getattr(ours.layers[number], statistic), getattr(getattr(theirs, name), statistic)
            torch.testing.assert_close(mine, given)


def test_the_head_has_the_papers_sizes(paper):
    head = HeadSettings.read(paper["encoder"]["head"])
    with torch.device("meta"):
        ours = ProjectionHead(768, head.hidden_dim, head.out_dim, head.kind, head.batch_norm)
        theirs = AuthorsHead(768, 4096, 256)
    shapes = [[tuple(each.shape) for each in head.parameters()] for head in (ours, theirs)]
    assert sorted(shapes[0]) == sorted(shapes[1])


def test_the_encoder_gets_images_standardised_by_imagenets_constants(paper):
    config = paper["encoder"]["backbone"] | {"size_px": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    encoder = build_encoder(config).eval()
    images = torch.rand(2, 3, 32, 32)
    standard = v2.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])(images)
    torch.testing.assert_close(encoder(images), encoder.body(standard))


# ------------------------------------------------------------------------------------------- the views


def authors_views(**off):
    """The strong views of the authors' code, of which some parts may be turned off."""
    on = {"crop": (0.08, 1.0), "jitter": 0.8, "grey": 0.2, "blur": 0.5, "flip": 0.5} | off
    chain = v2.Compose(
        [
            v2.RandomResizedCrop(measured_views.SIDE if on["crop"][0] < 1 else 12, scale=on["crop"]),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=on["jitter"]),
            v2.RandomGrayscale(p=on["grey"]),
            v2.RandomApply([v2.GaussianBlur(33, (0.1, 2.0))], p=on["blur"]),
            v2.RandomHorizontalFlip(p=on["flip"]),
        ]
    )
    return lambda images: torch.stack([chain(image) for image in images])


def views_of_paper(paper, method="stablerep", size_px=12, **off):
    training = paper["training"]
    values = training["augmentation"] | training["augmentation_by_method"].get(method, {}) | off
    return Augmentation(AugmentationSettings.read(values), size_px)


def assert_alike(mine, theirs, names):
    gaps = {name: measured_views.largest_gap(mine[name], theirs[name]) for name in names}
    assert max(gaps.values()) < GAP, gaps


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


CROP = ("area", "aspect", "x", "y", "mirrored")


def test_crops_and_flips_are_distributed_as_the_authors(paper):
    off = {"jitter_probability": 0.0, "grey_probability": 0.0, "blur_probability": 0.0}
    mine = measured_views.crops(views_of_paper(paper, size_px=measured_views.SIDE, **off), NUM_DRAWS)
    theirs = measured_views.crops(authors_views(jitter=0.0, grey=0.0, blur=0.0), NUM_DRAWS)
    assert_alike(mine, theirs, CROP)
    assert 0.07 < mine["area"].min() < 0.1 and mine["area"].max() > 0.95
    assert 0.7 < mine["aspect"].min() < 0.8 and 1.25 < mine["aspect"].max() < 1.43


def test_weak_views_are_a_crop_of_half_the_area_and_more(paper):
    chain = views_of_paper(paper, "clip", measured_views.SIDE)
    mine = measured_views.crops(chain, NUM_DRAWS)
    theirs = measured_views.crops(
        authors_views(crop=(0.5, 1.0), jitter=0.0, grey=0.0, blur=0.0, flip=0.0), NUM_DRAWS
    )
    assert_alike(mine, theirs, CROP)
    whole = views_of_paper(paper, "clip", min_crop=1.0)
    assert not measured_views.is_grey(whole, 40).any()
    assert all(
        (each - each.round()).abs().max() < 1e-4 for each in measured_views.colours(whole, 40).values()
    )
    assert not measured_views.blur_sigmas(views_of_paper(paper, "clip", 48, min_crop=1.0), 40).any()


def test_colours_are_jittered_as_the_authors(paper):
    off = {"grey_probability": 0.0, "blur_probability": 0.0, "flip_probability": 0.0, "min_crop": 1.0}
    mine = measured_views.colours(views_of_paper(paper, **off), NUM_DRAWS)
    theirs = measured_views.colours(authors_views(crop=(1.0, 1.0), grey=0.0, blur=0.0, flip=0.0), NUM_DRAWS)
    assert_alike(mine, theirs, mine)
    for name in ("brightness", "contrast", "saturation"):
        assert 0.59 < mine[name].min() < 0.61 and 1.39 < mine[name].max() < 1.41, name
    assert 0.099 < mine["hue"].abs().max() < 0.101


def test_views_are_grey_as_often_as_the_authors(paper):
    off = OFF | {"min_crop": 1.0, "grey_probability": paper["training"]["augmentation"]["grey_probability"]}
    share = float(measured_views.is_grey(views_of_paper(paper, **off), NUM_DRAWS).mean())
    assert share == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / NUM_DRAWS))


def test_views_are_blurred_as_the_authors(paper):
    off = {"jitter_probability": 0.0, "grey_probability": 0.0, "flip_probability": 0.0, "min_crop": 1.0}
    mine = measured_views.blur_sigmas(views_of_paper(paper, size_px=48, **off), NUM_DRAWS)
    theirs = v2.RandomApply([v2.GaussianBlur(33, (0.1, 2.0))], p=0.5)
    given = measured_views.blur_sigmas(
        lambda images: torch.stack([theirs(each) for each in images]), NUM_DRAWS
    )
    # an edge shows no sigma below 0.3
    assert measured_views.largest_gap(mine.clamp(min=0.3), given.clamp(min=0.3)) < GAP
    assert 1.9 < mine.max() < 2.05
    assert float((mine > 0.3).float().mean()) == pytest.approx(0.5 * 1.7 / 1.9, abs=0.045)


# ------------------------------------------------------------------------------------------- the rate


def test_the_rate_is_the_authors_at_the_end_of_each_step(paper):
    """Theirs: linear over half an epoch, then half a cosine over the other 14.5, from where a step begins."""
    settings = TrainingSettings.read(paper["training"])
    num_captions = 1376 * 40 + 700  # 40 whole batches
    schedule = Schedule.of(settings, num_captions)
    assert (schedule.num_steps, schedule.steps_per_epoch, schedule.warmup_steps) == (600, 40, 20.0)

    def authors_rate(step):
        epoch = step / 40
        if epoch < 0.5:
            return epoch / 0.5
        return 0.5 * (1 + math.cos(math.pi * (epoch - 0.5) / (15 - 0.5)))

    for step in range(600):
        # in the warm-up ours is a step ahead, so that the first one is not lost at a rate of zero
        expected = authors_rate(step + 1 if step < 20 else step)
        assert schedule.rate_factor(step) == pytest.approx(expected, abs=1e-9), step
