"""What a model folder is: checked before it is loaded, and named by a digest of its content.

The generator id is a digest of the weights, of the networks' settings and of all that shapes a pixel, so
that images made by anything else are told apart whatever the folder is called.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.curation.takedowns import GENERATOR
from stablerep.errors import GeneratorError
from stablerep.generation.settings import GenerationSettings

# parts that pipelines list but that the sampling loop does not use
_UNUSED_PARTS = ("safety_checker", "feature_extractor", "image_encoder")
_SHAPING_SUFFIXES = (".safetensors", ".json", ".txt", ".model")
_CHUNK_BYTES = 1 << 22


def check_model_folder(folder: Path) -> None:
    """Raises GeneratorError unless the folder holds every part that its index names.

    Args:
        folder: in diffusers' format, as `save_pretrained` and a download of a model repository leave it.
    """
    if not folder.is_dir():
        raise GeneratorError(f"{folder}: no such folder; it must hold a text-to-image model. {_hint(folder)}")
    index = read_model_index(folder)
    missing = []
    for part, (library, _) in index.items():
        if library is None or part in _UNUSED_PARTS:
            continue
        files = [path for path in (folder / part).glob("*") if path.is_file()]
        if not files:
            missing.append(f"{part}/")
        elif part not in ("scheduler", "tokenizer") and not any(f.suffix == ".safetensors" for f in files):
            missing.append(f"{part}/*.safetensors")
    if missing:
        raise GeneratorError(
            f"{folder}: the model is incomplete; {', '.join(sorted(missing))} must be there as well. "
            f"{_hint(folder)}"
        )


def read_model_index(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """Returns part -> (library, class) of the folder's model_index.json.

    Raises:
        GeneratorError: the file is missing or malformed.
    """
    path = folder / "model_index.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {
            part: (value[0], value[1])
            for part, value in values.items()
            if isinstance(value, list) and len(value) == 2
        }
    except (OSError, ValueError, AttributeError) as error:
        raise GeneratorError(
            f"{path}: cannot be read ({type(error).__name__}); a folder in diffusers' format has it. "
            f"{_hint(folder)}"
        ) from error


def _hint(folder: Path) -> str:
    return (
        "The embedded generator comes with the project (`git checkout` or `dvc checkout` restores it, "
        "`make generator` trains it anew); any other model has to be downloaded whole, as safetensors, "
        f"into {folder}."
    )


def describe_generator(folder: Path, settings: GenerationSettings) -> dict[str, Any]:
    """Returns everything that shapes an image, JSON-able, with its digest as `generator_id`.

    Args:
        folder: of the model.
        settings: how it is used.

    Raises:
        GeneratorError: see `check_model_folder`.
    """
    check_model_folder(folder)
    parts = {
        part
        for part, (library, _) in read_model_index(folder).items()
        if library and part not in _UNUSED_PARTS
    }
    files = {
        path.relative_to(folder).as_posix(): _file_digest(path)
        for part in sorted(parts)
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and path.suffix in _SHAPING_SUFFIXES
    }
    facts = {"files": files, **settings.facts_of_pixels()}
    text = json.dumps(facts, sort_keys=True, default=str)
    generator_id = "g-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return {"generator_id": generator_id, "model": folder.name, **facts}


def model_id_of(generator: Mapping[str, Any]) -> str:
    """Returns the id of a generator's model alone: its weights and networks, however they are sampled.

    Args:
        generator: as `describe_generator` gives it.
    """
    text = json.dumps(generator["files"], sort_keys=True)
    return "m-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def check_not_taken_down(generator: Mapping[str, Any], takedowns: pd.DataFrame) -> None:
    """Raises GeneratorError for a generator that was taken down, by its own id or by its model's.

    Args:
        generator: as `describe_generator` gives it.
        takedowns: as `stablerep.curation.takedowns.read_takedowns` gives them.
    """
    ids = (generator["generator_id"], model_id_of(generator))
    for row in takedowns[takedowns["kind"] == GENERATOR].to_dict("records"):
        if row["what"] in ids:
            raise GeneratorError(
                f"generator {row['what']} ({generator['model']}): taken down on {row['date']} by "
                f"{row['who']}: {row['reason']}. Choose another with generator=<name>, or, if the takedown "
                "was a mistake, remove its line from data/01_raw/takedowns.csv."
            )


def _file_digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
