"""The frozen text tower."""

import numpy as np
import torch

from stablerep.evaluation.text_tower import FrozenTextTower
from stablerep.models.text import build_text_tower, tokenize
from stablerep.models.tokenizer import build_tokenizer

TEXTS = ["a red seven", "a nine", "a zebra on a striped background", "a two", "", "a red red four"]
TOKENIZER = build_tokenizer(TEXTS, max_tokens=12)


def a_tower() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_text_tower(5, TOKENIZER, width=16, num_layers=1, num_heads=2, out=6).train()


def test_texts_and_features_are_embedded_as_the_tower_does_in_training() -> None:
    tower, features = a_tower(), np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    frozen = FrozenTextTower(tower, TOKENIZER, batch_size=3)
    assert not tower.training
    device = next(tower.parameters()).device
    with torch.no_grad():
        texts = tower.embed_text(tokenize(TOKENIZER, TEXTS).to(device)).cpu().numpy()
        images = tower.embed_images(torch.from_numpy(features).to(device)).cpu().numpy()
    np.testing.assert_allclose(frozen.embed_texts(TEXTS), texts, atol=1e-6)
    np.testing.assert_allclose(frozen.embed_features(features), images, atol=1e-6)


def test_embeddings_are_float32_of_length_1_and_the_same_each_time() -> None:
    frozen = FrozenTextTower(a_tower(), TOKENIZER)
    half = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float16)
    half.flags.writeable = False  # as memory-mapped features are
    for embed, items, number in ((frozen.embed_texts, TEXTS, 6), (frozen.embed_features, half, 4)):
        found = embed(items)
        assert (found.shape, found.dtype) == ((number, 6), np.float32)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
        assert (embed(items) == found).all()
