"""Feature extractors, their cache, and what is wrong with their files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stablerep.alignment.clip_arm import ClipArmScorer
from stablerep.errors import ConfigError, DataError
from stablerep.evaluation.feature_store import FeatureStore
from stablerep.image_set_metrics import extractors
from stablerep.image_set_metrics.extractors import (
    ClipArmExtractor,
    EncoderExtractor,
    FeatureExtractor,
    InceptionExtractor,
    PerceptualHash,
)
from stablerep.image_set_metrics.features import FeatureBank
from stablerep.models.encoders import build_encoder
from tests.stablerep.image_set_metrics.samples import Given, random_images, sample

SCORER = Path(__file__).parents[3] / "data/06_models/scorer"
SMALL = {
    "_target_": "stablerep.models.residual.ResidualEncoder",
    "channels": [4],
    "map_channels": 2,
    "size_px": 8,
}
TIMM = {"_target_": "stablerep.models.encoders.TimmEncoder", "name": "test_vit", "size_px": 160}


def test_the_embedded_scorer_gives_embeddings_that_score_as_it_does() -> None:
    extractor = ClipArmExtractor(SCORER)
    extractor.check()
    images = random_images(3)
    features = extractor.extract(list(images))
    assert features.dtype == np.float32
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-5)
    scorer = ClipArmScorer(SCORER)
    assert features == pytest.approx(scorer.embed_images(images).detach().numpy(), abs=1e-5)
    assert scorer.scorer_id in extractor.name


def test_images_of_several_sizes_are_embedded_together() -> None:
    images = [random_images(1)[0], torch.zeros(3, 20, 12, dtype=torch.uint8)]
    for extractor in (ClipArmExtractor(SCORER), EncoderExtractor(SMALL), PerceptualHash()):
        assert isinstance(extractor, FeatureExtractor)
        together = extractor.extract(images)
        alone = np.concatenate([extractor.extract([image]) for image in images])
        assert together == pytest.approx(alone, abs=1e-5)


def test_an_untrained_encoder_follows_from_its_seed_and_leaves_the_global_state() -> None:
    images = list(random_images(4))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, same, other = (EncoderExtractor(SMALL, seed=seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(state)
    assert np.array_equal(first.extract(images), same.extract(images))
    assert first.extractor_id == same.extractor_id != other.extractor_id
    assert not np.array_equal(first.extract(images), other.extract(images))
    assert first.name.startswith("untrained ResidualEncoder ")


def test_weights_of_a_trained_encoder_are_taken_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(5)
    trained = build_encoder(SMALL).eval()
    path = tmp_path / "seed_0/encoder.safetensors"
    path.parent.mkdir()
    save_file(trained.state_dict(), path)
    images = random_images(2)
    with torch.inference_mode():
        wanted = trained(images.float() / 255).numpy()
    assert EncoderExtractor(SMALL, str(path)).extract(list(images)) == pytest.approx(wanted, abs=1e-5)


def test_weights_of_a_timm_model_are_taken_from_its_own_file_with_its_classifier(tmp_path: Path) -> None:
    import timm

    model = timm.create_model("test_vit", num_classes=10, img_size=160)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    extractor = EncoderExtractor(TIMM, str(tmp_path / "model.safetensors"))
    loaded = extractor.encoder.state_dict()
    assert loaded["body.cls_token"].equal(model.state_dict()["cls_token"])


@pytest.mark.parametrize(
    ("content", "told"), [(None, "does not exist"), ({"x": torch.zeros(1)}, "does not fit extractor")]
)
def test_missing_or_foreign_weights_are_refused(tmp_path: Path, content, told: str) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        save_file(content, path)
    with pytest.raises(DataError, match=told):
        EncoderExtractor(SMALL, str(path))
    with pytest.raises(ConfigError):
        EncoderExtractor({"_target_": "stablerep.models.encoders.TimmEncoder", "name": "no", "size_px": 8})


def test_only_torch_fidelitys_own_file_of_inception_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(DataError, match="does not exist; must be the weights of torch-fidelity"):
        InceptionExtractor(str(path))
    path.write_bytes(b"import os")
    with pytest.raises(DataError, match=r"has the SHA-256 [0-9a-f]{8}\.\.\.; must be 6726825d"):
        InceptionExtractor(str(path))


@pytest.mark.slow
def test_inception_gives_2048_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity import feature_extractor_inceptionv3 as inception

    network = inception.FeatureExtractorInceptionV3
    with monkeypatch.context() as without_weights:
        without_weights.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        without_weights.setattr(network, "load_state_dict", lambda *_: None)
        weights = network("random", ["2048"]).state_dict()
    path = tmp_path / "weights.pth"
    torch.save(weights, path)
    monkeypatch.setattr(extractors, "_INCEPTION_SHA256", "")
    extractor = InceptionExtractor(str(path))
    extractor.check()
    images = [*random_images(2), torch.zeros(3, 20, 12, dtype=torch.uint8)]
    features = extractor.extract(images)
    assert features.shape == (3, 2048)
    assert np.isfinite(features).all()
    assert features[0] != pytest.approx(features[1])


class Counting(Given):
    dtype = "float32"

    def __init__(self, value: float = 1.0) -> None:
        self.value, self.num_calls = value, 0

    def extract(self, images):
        self.num_calls += 1
        return np.full((len(images), 2), self.value)


def test_features_are_computed_once_and_pruned_when_nothing_asks_for_them(tmp_path: Path) -> None:
    extractor = Counting()
    for _ in range(2):
        bank = FeatureBank(FeatureStore(tmp_path))
        found = bank.features(extractor, sample("a", 300))
        assert found.shape == (300, 2)
        assert found.dtype == np.float32
    assert extractor.num_calls == 2, "two batches, once"
    bank = FeatureBank(FeatureStore(tmp_path))
    bank.features(extractor, sample("b", 3))
    bank.prune()
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a: given gives features that are not finite"):
        FeatureBank(FeatureStore(tmp_path)).features(Counting(np.nan), sample("a", 3))
