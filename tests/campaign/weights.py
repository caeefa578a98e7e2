"""Generators and scorers that are incomplete, damaged or of other numbers."""

import shutil
from typing import Any

from tests.campaign.damage import (
    Spoil,
    all_of,
    append,
    edit_json,
    edit_tensors,
    flip,
    remove,
    truncate,
    write,
)
from tests.campaign.outcome import Case, kedro_run

_SET = kedro_run("--namespaces", "image_sets.synthetic")
_GENERATOR = "data/06_models/generator"
_SCORER = "data/06_models/scorer"
_UNET = f"{_GENERATOR}/unet/diffusion_pytorch_model.safetensors"
_VAE = f"{_GENERATOR}/vae/diffusion_pytorch_model.safetensors"
_TEXT = f"{_GENERATOR}/text_encoder/model.safetensors"
_SCHEDULER = f"{_GENERATOR}/scheduler/scheduler_config.json"
# with one caption more there is something to draw
_MORE = append("data/01_raw/captions.csv", "a navy four on a plain pink background,x,y\n")


def _without_first(tensors: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(tensors.items())[1:])


def _with_another(tensors: dict[str, Any]) -> dict[str, Any]:
    return {**tensors, "no_such_layer.weight": next(iter(tensors.values())).clone()}


def _zeros(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor * 0 for name, tensor in tensors.items()}


def _not_a_number(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor * float("nan") for name, tensor in tensors.items()}


def _turned(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor[None] for name, tensor in tensors.items()}


def _own(name: str, says: str, spoil: Spoil) -> Case:
    """Damage to a generator of the user's own: a copy of the embedded one, without recorded digests."""
    command = kedro_run(
        "--namespaces",
        "image_sets.synthetic",
        "--params",
        "experiment=smoke,generator.model_folder=own,alignment=unscored",
    )
    # the ledger notes what is to be drawn before the model is loaded
    ledger = ("05_model_input/synthetic.ledger.json",)
    return Case(name, command, says, all_of(_copy_generator, spoil), rewrites=ledger)


def _copy_generator(project: Any) -> None:
    shutil.copytree(project / _GENERATOR, project / "own")
    (project / "own/SHA256SUMS").unlink()


def _pickled(project: Any) -> None:
    _copy_generator(project)
    weights = project / "own/unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


CASES = [
    *(
        Case(f"{what} of the shipped generator: {name}", _SET, name, spoil)
        for name, path in (("unet", _UNET), ("vae", _VAE), ("text_encoder", _TEXT))
        for what, spoil in (
            ("a flipped byte", flip(path)),
            ("half of the weights", truncate(path)),
            ("no weights", remove(path)),
            ("garbage for the weights", write(path, b"garbage")),
            ("a tensor too few", edit_tensors(path, _without_first)),
            ("zeros", edit_tensors(path, _zeros)),
        )
    ),
    *(
        _own(f"{what} of an own generator: {name}", name, spoil)
        for name, path in (
            ("unet", "own/unet/diffusion_pytorch_model.safetensors"),
            ("vae", "own/vae/diffusion_pytorch_model.safetensors"),
            ("text_encoder", "own/text_encoder/model.safetensors"),
        )
        for what, spoil in (
            ("a tensor too few", edit_tensors(path, _without_first)),
            ("a tensor too many", edit_tensors(path, _with_another)),
            ("another shape", edit_tensors(path, _turned)),
            ("garbage for the weights", write(path, b"garbage")),
        )
    ),
    _own(
        "zeros for the UNet of an own generator",
        "unet: not a complete part of a model: all its weights are zero",
        edit_tensors("own/unet/diffusion_pytorch_model.safetensors", _zeros),
    ),
    _own(
        "NaN for the UNet of an own generator",
        "finite",
        edit_tensors("own/unet/diffusion_pytorch_model.safetensors", _not_a_number),
    ),
    _own("no tokenizer.json of an own generator", "tokenizer", remove("own/tokenizer/tokenizer.json")),
    _own(
        "no tokenizer_config.json of an own generator",
        "tokenizer_config.json",
        remove("own/tokenizer/tokenizer_config.json"),
    ),
    _own("no tokenizer of an own generator", "tokenizer", remove("own/tokenizer")),
    _own("no model_index.json of an own generator", "model_index.json", remove("own/model_index.json")),
    _own("a model_index.json that is garbage", "model_index.json", write("own/model_index.json", "{")),
    _own(
        "a model_index.json of another class",
        "os.system",
        edit_json("own/model_index.json", unet=["os", "system"]),
    ),
    _own("no scheduler", "scheduler", remove("own/scheduler")),
    _own(
        "an unknown prediction type",
        "prediction_type",
        edit_json("own/scheduler/scheduler_config.json", prediction_type="nosuch"),
    ),
    _own(
        "betas above 1",
        "its betas (beta_start 5.0, beta_end 7.0) must be in [0, 1]",
        edit_json("own/scheduler/scheduler_config.json", beta_start=5.0, beta_end=7.0),
    ),
    _own(
        "no steps of training",
        "num_train_timesteps is 0; must be",
        edit_json("own/scheduler/scheduler_config.json", num_train_timesteps=0),
    ),
    _own(
        "a word for a beta",
        "beta_start is 'much'; must be a number",
        edit_json("own/scheduler/scheduler_config.json", beta_start="much"),
    ),
    _own(
        "a UNet's configuration of other channels", "unet", edit_json("own/unet/config.json", in_channels=7)
    ),
    Case(
        "no generator",
        kedro_run(
            "--namespaces",
            "image_sets.synthetic",
            "--params",
            "experiment=smoke,generator.model_folder=nosuch",
        ),
        "nosuch",
    ),
    Case(
        "a generator that is a file",
        kedro_run(
            "--namespaces",
            "image_sets.synthetic",
            "--params",
            "experiment=smoke,generator.model_folder=README.md",
        ),
        "README.md",
    ),
    Case(
        "a generator without weights in any safe format",
        kedro_run(
            "--namespaces",
            "image_sets.synthetic",
            "--params",
            "experiment=smoke,generator.model_folder=own,alignment=unscored",
        ),
        "safetensors",
        _pickled,
    ),
    *(
        Case(f"{what} of the scorer", _SET, "scorer", all_of(_MORE, spoil))
        for what, spoil in (
            ("a flipped byte", flip(f"{_SCORER}/model.safetensors")),
            ("half of the weights", truncate(f"{_SCORER}/model.safetensors")),
            ("no weights", remove(f"{_SCORER}/model.safetensors")),
            ("no model.json", remove(f"{_SCORER}/model.json")),
            ("a model.json that is garbage", write(f"{_SCORER}/model.json", "[]")),
            ("no tokenizer", remove(f"{_SCORER}/tokenizer")),
            ("a tensor too few", edit_tensors(f"{_SCORER}/model.safetensors", _without_first)),
        )
    ),
    Case(
        "no scorer at /nope",
        kedro_run(
            "--namespaces",
            "image_sets.synthetic",
            "--params",
            "experiment=smoke,alignment.scorer.folder=/nope",
        ),
        "/nope",
    ),
]
