"""Scores by a CLIP of transformers, on a miniature with random weights."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from stablerep.alignment.transformers_clip import TransformersClipScorer
from stablerep.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a model folder as a hub's download leaves it."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    from stablerep.models.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(["a nine red two teal seven on paper four one"], max_tokens=16)
    inner = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = inner | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = inner | {"image_size": 16, "patch_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
        for weights in model.parameters():
            weights.data.mul_(4)  # as initialised, pairs would hardly differ
    made = tmp_path_factory.mktemp("clip") / "miniature"
    model.save_pretrained(made, safe_serialization=True)
    tokenizer.save_pretrained(made)
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
        made
    )
    return made


@pytest.fixture(scope="module")
def pairs():
    """Returns seven images and their texts, two of them equal."""
    images = torch.randint(256, (7, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return images, ["a nine", "a red two", "a nine", "a teal seven on paper", "a four", "a one", "one"]


def test_scores_are_the_cosines_that_transformers_gives_one_by_one(folder, pairs):
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    images, texts = pairs
    scores = TransformersClipScorer(folder, batch_size=3).score(images, texts)
    model = CLIPModel.from_pretrained(folder)
    processor = CLIPProcessor.from_pretrained(folder)
    expected = []
    for image, text in zip(images, texts, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        with torch.no_grad():
            out = model(**processor(text=[text], images=picture, return_tensors="pt"))
        expected.append(F.cosine_similarity(out.image_embeds, out.text_embeds)[0])
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, torch.stack(expected), atol=1e-4, rtol=0)
    assert scores.std() > 0.05


def test_the_batch_size_shapes_no_score(folder, pairs):
    two = TransformersClipScorer(folder, batch_size=2).score(*pairs)
    torch.testing.assert_close(TransformersClipScorer(folder, batch_size=16).score(*pairs), two)


def test_the_id_is_that_of_the_weights_wherever_they_lie(folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "README.md").write_text("a card")
    first = TransformersClipScorer(folder).scorer_id
    assert TransformersClipScorer(moved).scorer_id == first
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert TransformersClipScorer(moved).scorer_id != first


def test_a_folder_that_is_missing_says_what_to_download(tmp_path):
    with pytest.raises(DataError, match=r"no such folder.*hf download some/clip --local-dir"):
        TransformersClipScorer(tmp_path / "none", repository="some/clip")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, tmp_path, name):
    cut = shutil.copytree(folder, tmp_path / "cut")
    (cut / name).unlink()
    with pytest.raises(DataError, match=name.replace("model.", r"\*\.")):
        TransformersClipScorer(cut)


def test_pickled_weights_are_not_read(folder, tmp_path):
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(DataError, match="safetensors must be there as well"):
        TransformersClipScorer(pickled)


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def with_weights(change):
    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def without_embeddings(tensors):
    for name in ("token", "position"):
        tensors[f"text_model.embeddings.{name}_embedding.weight"].zero_()


NAME = "text_projection.weight"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "transformers cannot load the model"),
        (
            with_weights(lambda tensors: tensors.pop(NAME)),
            f"its file lacks {NAME}. Download the complete model",
        ),
        (with_weights(lambda tensors: tensors.update(more=torch.zeros(1))), "its file has more, which the"),
        (with_weights(lambda tensors: tensors[NAME].fill_(float("inf"))), f"{NAME} has values that are not"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "the same tokens"),
        (
            with_weights(without_embeddings),
            "gives 'a red cat' and 'a sad dog' the same embedding; its weights or its tokenizer are damaged",
        ),
    ],
    ids=["cut", "missing", "left over", "inf", "no tokens", "reads nothing"],
)
def test_a_damaged_model_is_found_by_a_check_before_images_are_drawn(folder, tmp_path, damage, message):
    copied = shutil.copytree(folder, tmp_path / "copied")
    damage(copied)
    scorer = TransformersClipScorer(copied)
    with pytest.raises(DataError, match=message):
        scorer.check()


def test_a_whole_model_passes_its_check_and_is_loaded_by_it(folder, pairs, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copied")
    scorer = TransformersClipScorer(copied)
    scorer.check()
    shutil.rmtree(copied)
    torch.testing.assert_close(scorer.score(*pairs), TransformersClipScorer(folder).score(*pairs))


def test_a_model_of_texts_alone_is_refused(folder, pairs, tmp_path):
    import json

    from transformers import CLIPTextConfig, CLIPTextModel

    other = shutil.copytree(folder, tmp_path / "text")
    config = CLIPTextConfig(
        **(json.loads((folder / "config.json").read_text())["text_config"] | {"architectures": None})
    )
    CLIPTextModel(config).save_pretrained(other, safe_serialization=True)
    with pytest.raises(DataError, match="must embed images and texts in one space"):
        TransformersClipScorer(other).score(*pairs)


def test_a_batch_size_below_one_is_refused(folder):
    with pytest.raises(ConfigError, match="alignment.scorer.batch_size: got 0; must be >= 1"):
        TransformersClipScorer(folder, batch_size=0)
