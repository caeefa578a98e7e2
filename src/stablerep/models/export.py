"""Exports a trained encoder: a folder that timm, ONNX Runtime or torch alone loads, with a model card.

    timm    config.json, model.safetensors    timm.create_model("local-dir:<folder>", pretrained=True)
    onnx    encoder.onnx                      onnxruntime.InferenceSession("<folder>/encoder.onnx")
    torch   encoder.pt2                       torch.export.load("<folder>/encoder.pt2").module()

`README.md` is the card. The timm model takes images standardised with the `mean` and `std` of its
`pretrained_cfg`, or each by its own mean and deviation: the card says which. The other two standardise images
themselves. Encoders of this package that are no timm models, such as the scorer's, have no timm form.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stablerep.errors import ConfigError
from stablerep.models.card import CardFacts, model_card
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import IMAGENET_DEVIATION, IMAGENET_MEAN, TimmEncoder, build_encoder

FORMATS = ("timm", "onnx", "torch")
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_CARD = "README.md"
# of timm's configuration, what describes weights of timm's that are not in the folder
_OF_OTHER_WEIGHTS = ("tag", "license", "origin_url", "paper_ids", "paper_name", "notes")
# far above rounding, which is 2e-6: what differs more has other weights, operations or constants
_TOLERANCE = 1e-3
_NUM_IMAGES = (2, 3)  # of the batches that are compared: the number must be free

_BY_CONSTANTS = (
    "    data = timm.data.resolve_model_data_config(model)\n"
    "    mean, std = (torch.tensor(data[key])[:, None, None] for key in ('mean', 'std'))\n"
    "    images = (images - mean) / std"
)
_STANDARDISE = {
    "timm": _BY_CONSTANTS,
    "imagenet": _BY_CONSTANTS,
    "image": "    std, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)  # of each image\n"
    "    images = (images - mean) / (std + 1e-5)",
}
_TIMM_USAGE = """Features of `images`, (B, 3, {size}, {size}) in [0, 1]:

    import timm, torch

    model = timm.create_model("local-dir:THIS FOLDER", pretrained=True).eval()
{standardise}
    features = model(images).flatten(1)
"""
_ONNX_USAGE = """Features (B, {features}) of `images`, a float32 array (B, 3, {size}, {size}) in [0, 1], which
the graph standardises:

    import onnxruntime

    session = onnxruntime.InferenceSession("THIS FOLDER/encoder.onnx")
    features = session.run(None, {{"images": images}})[0]
"""
_TORCH_USAGE = """Features (B, {features}) of `images`, (B, 3, {size}, {size}) in [0, 1], which the program
standardises. Torch alone loads it, without timm:

    import torch

    encoder = torch.export.load("THIS FOLDER/encoder.pt2").module()
    features = encoder(images)
"""


def export_to_timm(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], facts: CardFacts, folder: Path
) -> bool:
    """Writes an encoder in timm's form, if it is a timm model.

    Args:
        config: what `build_encoder` takes.
        weights: the encoder's state.
        facts: for the card.
        folder: made if it is missing; files of these names are written over.

    Returns:
        Whether it is one; nothing is written for others. With `flatten` the timm model returns the last map
        or tokens as they are: `.flatten(1)` gives the features.
    """
    encoder = build_encoder(config)
    if not isinstance(encoder, TimmEncoder):
        return False
    from timm.models import save_for_hf

    encoder.load_state_dict(dict(weights))
    data: dict[str, Any] = {"input_size": (3, encoder.size_px, encoder.size_px)}
    if encoder.standardise == "image":
        data |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    elif encoder.standardise == "imagenet":
        data |= {"mean": IMAGENET_MEAN, "std": IMAGENET_DEVIATION}
    save_for_hf(encoder.body, str(folder), safe_serialization=True, data_config=data)
    _forget_other_weights(folder / "config.json")
    standardise = _STANDARDISE[encoder.standardise]
    usage = _TIMM_USAGE.format(size=encoder.size_px, standardise=standardise)
    (folder / _CARD).write_text(model_card(facts, "timm", usage), encoding="utf-8")
    return True


def _forget_other_weights(path: Path) -> None:
    """Removes from timm's configuration what it says of weights that timm itself offers."""
    config = json.loads(path.read_text(encoding="utf-8"))
    described = config["pretrained_cfg"]
    config["pretrained_cfg"] = {
        name: value for name, value in described.items() if name not in _OF_OTHER_WEIGHTS
    }
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def check_export(form: str, config: Mapping[str, Any]) -> None:
    """Raises ConfigError where an encoder has no such form, or packages that write it are missing.

    Args:
        form: one of `FORMATS`.
        config: what `build_encoder` takes.
    """
    if form == "onnx":
        missing = [name for name in _ONNX_PACKAGES if find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"--format onnx: {', '.join(missing)} is not installed; must be {', '.join(_ONNX_PACKAGES)}, "
                "the extra `onnx`. Install it: pip install 'stablerep[onnx]', in a checkout `make install`."
            )
    target = str(config.get("_target_"))
    if form == "timm" and not target.endswith(f".{TimmEncoder.__name__}"):
        raise ConfigError(
            f"--format timm: the encoder is a {target}, which timm does not have; must be a timm model. "
            "Choose --format torch or onnx."
        )


def export_encoder(
    form: str, config: Mapping[str, Any], weights: Mapping[str, Tensor], facts: CardFacts, folder: Path
) -> float:
    """Writes an encoder in one of the forms, loads it as its reader would, and compares the features.

    Args:
        form: one of `FORMATS`.
        config: what `build_encoder` takes.
        weights: the encoder's state.
        facts: for the card.
        folder: an empty one.

    Returns:
        The largest difference between features of random images, of the trained encoder and of what was
        written, divided by the largest feature.

    Raises:
        ConfigError: see `check_export`; or the model cannot be written in this form.
    """
    check_export(form, config)
    encoder = build_encoder(config)
    encoder.load_state_dict(dict(weights))
    encoder.eval()
    if form == "timm":
        export_to_timm(config, weights, facts, folder)
    else:
        _write_program(form, encoder, folder)
        template, library = (_ONNX_USAGE, "onnx") if form == "onnx" else (_TORCH_USAGE, "pytorch")
        usage = template.format(size=encoder.size_px, features=encoder.num_features)
        (folder / _CARD).write_text(model_card(facts, library, usage), encoding="utf-8")
    difference = max(_difference(form, encoder, folder, number) for number in _NUM_IMAGES)
    if not difference <= _TOLERANCE:
        raise ConfigError(
            f"--format {form}: the features of the exported file differ from the encoder's by "
            f"{difference:.2g} of the largest; must be at most {_TOLERANCE:g}. Nothing is kept. Choose "
            "another format."
        )
    return difference


def _write_program(form: str, encoder: Encoder, folder: Path) -> None:
    """Writes the encoder as a graph with a free number of images.

    Raises:
        ConfigError: torch cannot follow what the model computes, or not for a free number of images.
    """
    example = (torch.rand(2, 3, encoder.size_px, encoder.size_px),)
    shapes = ({0: torch.export.Dim("batch")},)
    try:
        program = torch.export.export(encoder, example, dynamic_shapes=shapes)
        if form == "torch":
            torch.export.save(program, folder / "encoder.pt2")
            return
        written = torch.onnx.export(
            program, input_names=["images"], output_names=["features"], dynamo=True, verbose=False
        )
        assert written is not None  # noqa: S101 -- as it is with dynamo and without a path
        written.save(str(folder / "encoder.onnx"))
    # torch's own errors of both exporters derive from these
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(
            f"--format {form}: torch cannot write this encoder ({reason}); must be a model whose steps do "
            "not depend on the images' values or number. Choose --format timm."
        ) from error


def _difference(form: str, encoder: Encoder, folder: Path, number: int) -> float:
    shape = (number, 3, encoder.size_px, encoder.size_px)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(number))
    with torch.inference_mode():
        expected = encoder(images)
    found = _features_of_written(form, encoder, folder, images)
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def _features_of_written(form: str, encoder: Encoder, folder: Path, images: Tensor) -> Tensor:
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "encoder.onnx", providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with torch.inference_mode():
        if form == "torch":
            return torch.export.load(folder / "encoder.pt2").module()(images)
        import timm

        # standardised by the encoder itself: what is compared is the model that timm loads
        encoder.body = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        return encoder(images)
