"""Encoders that someone else trained: a timm model with weights from a safetensors file.

A folder downloaded from a model hub has the weights in `model.safetensors`, and the architecture and the
constants of the images in `config.json`. Nothing is downloaded, and no pickle is opened.
Source: https://huggingface.co/docs/timm
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stablerep.errors import DataError
from stablerep.models.encoders import TimmEncoder, check_timm_model
from stablerep.models.soundness import faults_of_loading, faults_of_weights
from stablerep.storage.tensors import read_tensors

_SUFFIX = ".safetensors"
_CONFIG = "config.json"
_OVERLAID = ("mean", "std", "input_size")  # the keys of a folder's configuration that images need
_MAX_NAMED = 3


def load_pretrained(
    model: str, weights: Path, key: str = "references.<name>"
) -> tuple[TimmEncoder, dict[str, Any]]:
    """Builds a timm model with its own size and constants of the images, and loads its weights.

    Args:
        model: timm's name, with or without a tag.
        weights: a safetensors file, or a folder with one.
        key: of the two settings, for messages.

    Returns:
        The encoder, and the configuration that `stablerep.models.encoders.build_encoder` makes it of, without
        its weights.

    Raises:
        ConfigError: timm has no such model.
        DataError: the file is missing or damaged, or has the weights of another model.
    """
    import timm

    check_timm_model(f"{key}.model", model)
    file = _find_file(weights)
    own = _read_config(weights, model)
    known = timm.get_pretrained_cfg(model)
    size = own.get("input_size") or (known.input_size if known is not None else (3, 224, 224))
    config: dict[str, Any] = {"name": model, "size_px": int(size[-1]), "standardise": "timm"}
    if own:
        config["pretrained_cfg_overlay"] = own
    encoder = TimmEncoder(**config)
    _load(encoder.body, _read(file), f"{file}: not the weights of {model}")
    config = {"_target_": f"{TimmEncoder.__module__}.{TimmEncoder.__qualname__}", **config}
    return encoder.eval(), config


def _find_file(weights: Path) -> Path:
    hint = (
        "Download it: hf download timm/<model> --local-dir <folder> --include '*.json' '*.safetensors'. Or "
        "set another file in conf/params/references/<name>.yaml."
    )
    if not weights.exists():
        raise DataError(f"{weights}: missing; must be a safetensors file or a folder with one. {hint}")
    if weights.is_file():
        if weights.suffix != _SUFFIX:
            raise DataError(
                f"{weights}: got a file {weights.suffix or 'without an ending'}; must be {_SUFFIX}, because "
                f"other formats can run code when they are opened. {hint}"
            )
        return weights
    found = sorted(weights.glob(f"*{_SUFFIX}"))
    if len(found) != 1:
        named = ", ".join(path.name for path in found[:_MAX_NAMED])
        raise DataError(
            f"{weights}: got {len(found)} {_SUFFIX} files{f', such as {named}' if named else ''}; must be a "
            f"folder with one, or name the file itself. {hint}"
        )
    return found[0]


def _read_config(weights: Path, model: str) -> dict[str, Any]:
    """Returns what a folder's configuration says about images; nothing if there is none."""
    path = weights / _CONFIG
    if not weights.is_dir() or not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        architecture = read.get("architecture", model)
        own = {name: read.get("pretrained_cfg", {}).get(name) for name in _OVERLAID}
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not the configuration of a timm model ({error}). Download it again."
        ) from error
    if str(architecture).partition(".")[0] != model.partition(".")[0]:
        raise DataError(
            f"{weights}: its {_CONFIG} says {architecture}; must be {model}. Set model and weights of "
            "one model in conf/params/references/<name>.yaml."
        )
    return {name: list(value) for name, value in own.items() if value}


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error}). Set its permissions, or another file.") from error


def _load(body: Any, tensors: Mapping[str, Tensor], what: str) -> None:
    """Loads all weights but the classifier's, which the encoder does not have.

    Args:
        body: a timm model without its classifier.
        tensors: of the file.
        what: how the message begins.

    Raises:
        DataError: a weight is missing, unknown or of another shape, or not finite.
    """
    own = body.state_dict()
    named = body.default_cfg.get("classifier") or ()
    classifiers = tuple(f"{name}." for name in ([named] if isinstance(named, str) else named))
    given = dict(tensors)
    # timm's conversion beside each model: names of earlier releases, and positions of another size
    convert = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
    if convert is not None and given.keys() - own.keys():
        try:
            given = convert(given, body)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"{what}: {error}. Set model and weights of one model.") from error
    given = {name: each for name, each in given.items() if name in own or not name.startswith(classifiers)}
    shared = own.keys() & given.keys()
    told = faults_of_loading(
        {
            "missing_keys": own.keys() - shared,
            "unexpected_keys": given.keys() - shared,
            "mismatched_keys": {name for name in shared if own[name].shape != given[name].shape},
        }
    )
    if not told:
        body.load_state_dict(given)
        told = faults_of_weights(body)
    if told:
        raise DataError(
            f"{what}: {'; '.join(told)}. Set model and weights of one model in "
            "conf/params/references/<name>.yaml, or download the file again."
        )
