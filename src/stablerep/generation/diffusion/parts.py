"""Loads the networks, tokenizers and the sampler of a model's folder one by one, and checks each.

diffusers loads a whole folder in one call, which does not say that a weight was missing and set at random.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.identity import LIBRARIES, hint_of
from stablerep.generation.diffusion.sampler_values import faults_of_values
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.models.soundness import (
    faults_of_loading,
    faults_of_text_encoder,
    faults_of_tokenizer,
    faults_of_weights,
)

# what diffusers and transformers raise for files whose content they cannot use
LOADING_FAULTS = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    SafetensorError,
)
_TOKENIZER = "tokenizer"


def load_parts(
    folder: Path, index: Mapping[str, tuple[str | None, str | None]], dtype: Any, settings: GeneratorSettings
) -> dict[str, Any]:
    """Returns the parts that are classes of diffusers or transformers, each with all of its weights.

    Args:
        folder: of the model.
        index: of the parts that are used, as `read_model_index` returns it.
        dtype: torch's, of the networks.
        settings: for the messages.

    Raises:
        GeneratorError: a part cannot be loaded; a value of the sampler is no number; a weight is missing or
            left over, or not finite; all weights of a network are zero; or a tokenizer or a text encoder does
            not tell captions apart, or they do not fit each other.
    """
    parts = {}
    for part, (library, name) in index.items():
        kind = _class_of(library, name)
        if kind is not None and hasattr(kind, "from_pretrained"):
            parts[part] = _load_part(folder, part, kind, dtype, settings)
    for part, tokenizer in parts.items():
        if part.startswith(_TOKENIZER):
            of_encoder = part.replace(_TOKENIZER, "text_encoder")
            encoder = parts.get(of_encoder)
            _refuse(folder, part, _tokenizer_faults(tokenizer, encoder), settings)
            if encoder is not None:
                _refuse(folder, of_encoder, faults_of_text_encoder(encoder, tokenizer), settings)
    return parts


def _class_of(library: str | None, name: str | None) -> Any:
    if library in LIBRARIES:
        return getattr(importlib.import_module(library), str(name), None)
    return None


def _load_part(folder: Path, part: str, kind: Any, dtype: Any, settings: GeneratorSettings) -> Any:
    from diffusers import SchedulerMixin

    is_network = issubclass(kind, nn.Module)
    options = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True} if is_network else {}
    try:
        if issubclass(kind, SchedulerMixin):  # its constructor does not name the value that it fails on
            faults = faults_of_values(kind, kind.load_config(folder / part, local_files_only=True))
            _refuse(folder, part, faults, settings)
        loaded = kind.from_pretrained(folder / part, local_files_only=True, **options)
    except LOADING_FAULTS as error:
        fault = f"{kind.__name__} cannot be loaded ({type(error).__name__}: {error})"
        raise _unusable(folder, part, fault, settings) from error
    if not is_network:
        return loaded
    network, info = loaded
    # values only of what is whole: a missing weight may have none
    _refuse(folder, part, faults_of_loading(info) or faults_of_weights(network), settings)
    return network


def _tokenizer_faults(tokenizer: Any, encoder: Any) -> list[str]:
    config = getattr(encoder, "config", None)
    bounds = (getattr(config, key, None) for key in ("max_position_embeddings", "vocab_size"))
    return faults_of_tokenizer(tokenizer, *bounds)


def _refuse(folder: Path, part: str, faults: list[str], settings: GeneratorSettings) -> None:
    if faults:
        raise _unusable(folder, part, "; ".join(faults), settings)


def _unusable(folder: Path, part: str, fault: str, settings: GeneratorSettings) -> GeneratorError:
    return GeneratorError(
        f"{folder / part}: not a complete part of a model: {fault}. {hint_of(folder, settings.repository)}"
    )
