"""A timm model with weights of someone else, from a file or a folder; nothing is downloaded."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from stablerep.errors import ConfigError, DataError
from stablerep.models.encoders import IMAGENET_MEAN, build_encoder
from stablerep.models.pretrained import load_pretrained

MODEL = "test_vit"  # of timm, 160 px, with a classifier that is called head


def saved(path: Path, changes: Mapping[str, Tensor | None] | None = None, model: str = MODEL) -> Path:
    """Writes a model with random weights and its classifier as timm does; null removes a weight."""
    torch.manual_seed(3)
    tensors = timm.create_model(model, pretrained=False).state_dict() | dict(changes or {})
    save_file({name: each.contiguous() for name, each in tensors.items() if each is not None}, path)
    return path


def test_a_file_gives_the_features_of_the_model_without_its_classifier(tmp_path: Path) -> None:
    file = saved(tmp_path / "mine.safetensors")
    encoder, config = load_pretrained(MODEL, file)
    torch.manual_seed(3)
    whole = timm.create_model(MODEL, pretrained=False).eval()
    assert encoder.size_px == whole.default_cfg["input_size"][-1] == 160
    images = torch.rand(2, 3, 160, 160)
    mean, deviation = (torch.tensor(whole.default_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        expected = whole.forward_head(whole.forward_features((images - mean) / deviation), pre_logits=True)
        torch.testing.assert_close(encoder(images), expected)
    assert encoder.num_features == expected.shape[1]
    assert not encoder.training
    assert build_encoder(config).state_dict().keys() == encoder.state_dict().keys()


def test_a_folder_s_configuration_says_size_and_constants(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors", model="test_resnet")
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 96, 96], "tag": "mine"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", "pretrained_cfg": own}))
    encoder, config = load_pretrained("test_resnet", tmp_path)
    assert encoder.size_px == 96
    assert encoder.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert encoder.deviation.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert build_encoder(config).mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_tag_chooses_the_constants() -> None:
    plain, tagged = (
        build_encoder({"_target_": "stablerep.models.encoders.TimmEncoder", "name": name, "size_px": 224})
        for name in ("vit_small_patch16_224", "vit_small_patch16_224.dino")
    )
    assert plain.mean.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert tagged.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"references\.mine\.model: got 'test_vit\.nope'; timm does not know"
    ):
        load_pretrained("test_vit.nope", Path("none"), "references.mine")


def test_an_unknown_model_names_its_key_and_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"references\.dinov3\.model: got 'test_vitt'; must be .* test_vit"):
        load_pretrained("test_vitt", Path("none"), "references.dinov3")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocks.0.attn.qkv.bias": None}, "its file lacks blocks.0.attn.qkv.bias"),
        ({"decoder.weight": torch.ones(2)}, "its file has decoder.weight, which the network does not have"),
        ({"norm.weight": torch.ones(5)}, "its file has another shape for norm.weight"),
        ({"norm.weight": torch.full((64,), torch.nan)}, "norm.weight has values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, changes: Mapping[str, Tensor | None], told: str
) -> None:
    file = saved(tmp_path / "mine.safetensors", changes)
    with pytest.raises(DataError, match=f"mine.safetensors: not the weights of {MODEL}: .*{told}"):
        load_pretrained(MODEL, file)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "mine.safetensors", model="test_resnet")
    with pytest.raises(DataError, match=f"not the weights of {MODEL}"):
        load_pretrained(MODEL, file)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    torch.save({}, file)
    with pytest.raises(DataError, match=r"mine\.pth: got a file \.pth; must be \.safetensors"):
        load_pretrained(MODEL, file)
    with pytest.raises(DataError, match=r"got 0 \.safetensors files; must be a folder with one"):
        load_pretrained(MODEL, tmp_path)


def test_what_is_missing_or_twice_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: missing; must be a safetensors file or a folder with one"):
        load_pretrained(MODEL, tmp_path / "none")
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").touch()
    with pytest.raises(DataError, match=r"got 2 .*, such as a\.safetensors, b\.safetensors"):
        load_pretrained(MODEL, tmp_path)


def test_a_damaged_file_and_a_damaged_configuration_are_named(tmp_path: Path) -> None:
    file = saved(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json: not the configuration of a timm model"):
        load_pretrained(MODEL, tmp_path)
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    with pytest.raises(DataError, match="its config.json says resnet18; must be test_vit"):
        load_pretrained(MODEL, tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"model\.safetensors: "):
        load_pretrained(MODEL, file)
