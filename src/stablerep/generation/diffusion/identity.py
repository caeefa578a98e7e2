"""What a model folder is: checked before it is loaded, and named by a digest of its content.

The generator id is a digest of the weights, of the networks' settings and of all that shapes a pixel, so
that images made by anything else are told apart whatever the folder is called.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.storage.digests import faults_of_files

LIBRARIES = ("diffusers", "transformers")
_SAFETY_PARTS = ("feature_extractor", "safety_checker")
_SHAPING_SUFFIXES = (".safetensors", ".json", ".txt", ".model")
# parts of settings alone, and the file that has them; there may be a second tokenizer
_WEIGHTLESS_PARTS = {
    "scheduler": "scheduler_config.json",
    "tokenizer": "tokenizer_config.json",
    "feature_extractor": "preprocessor_config.json",
}
_NETWORK_CONFIG = "config.json"
_MAX_HEADER_BYTES = 100_000_000  # the format's own bound
_CHUNK_BYTES = 1 << 22


def check_model_folder(folder: Path, settings: GeneratorSettings) -> None:
    """Raises GeneratorError unless the folder has, whole, every part that its index names, and known classes.

    Where the folder has `SHA256SUMS`, each file that it names must be as recorded. No network is loaded.

    Args:
        folder: in diffusers' format, as `save_pretrained` and a download of a model repository leave it.
        settings: how it is used.
    """
    hint = hint_of(folder, settings.repository)
    if not folder.is_dir():
        raise GeneratorError(
            f"{folder.absolute()}: no such folder; it must hold a text-to-image model. {hint}"
        )
    _check_classes(folder, settings)
    missing, cut = [], []
    if settings.safety_checker and not set(_SAFETY_PARTS) <= set(_listed_parts(folder)):
        raise GeneratorError(
            f"{folder}: generator.safety_checker is on and the model has none; model_index.json must name "
            "safety_checker and feature_extractor. Download a model that has them, or set "
            "generator.safety_checker=false and look at the images."
        )
    for part in used_parts(folder, settings):
        weights = sorted((folder / part).glob("*.safetensors"))
        missing += _missing_of_part(folder, part, weights)
        cut += [f"{part}/{path.name}" for path in weights if not _is_whole(path)]
    if missing:
        raise GeneratorError(
            f"{folder}: the model is incomplete; {', '.join(missing)} must be there as well. {hint}"
        )
    if cut:
        raise GeneratorError(
            f"{folder}: incomplete download: {', '.join(cut)} must have the length that the header gives. "
            f"{hint}"
        )
    faults = faults_of_files(folder)
    if faults:
        raise GeneratorError(f"{folder}: the model is damaged: {', '.join(faults)}. {hint}")


def _check_classes(folder: Path, settings: GeneratorSettings) -> None:
    """Raises GeneratorError for a part of another library: a folder must not choose the code that is run."""
    index = read_model_index(folder)
    for part in used_parts(folder, settings):
        library, name = index[part]
        if library not in LIBRARIES and not _is_pipeline_of_diffusers(library):
            raise GeneratorError(
                f"{folder / 'model_index.json'}: {part} is {library}.{name}; must be a class of "
                f"{' or '.join(LIBRARIES)}. {hint_of(folder, settings.repository)}"
            )


def _is_pipeline_of_diffusers(library: object) -> bool:
    """Tells whether a library is a module of `diffusers.pipelines`, as that of safety checkers is."""
    spec = find_spec("diffusers")  # does not import it, which takes seconds
    places = spec.submodule_search_locations if spec is not None else None
    is_name = isinstance(library, str) and library.isidentifier()
    return is_name and any(Path(place, "pipelines", str(library)).is_dir() for place in places or ())


def _missing_of_part(folder: Path, part: str, weights: Sequence[Path]) -> list[str]:
    if not (folder / part).is_dir():
        return [f"{part}/"]
    configs = [name for kind, name in _WEIGHTLESS_PARTS.items() if part.startswith(kind)]
    absent = [name for name in configs or [_NETWORK_CONFIG] if not (folder / part / name).is_file()]
    if not weights and not configs:
        absent.append("*.safetensors")
    return [f"{part}/{name}" for name in absent]


def _listed_parts(folder: Path) -> list[str]:
    return sorted(part for part, (library, _) in read_model_index(folder).items() if library)


def used_parts(folder: Path, settings: GeneratorSettings) -> list[str]:
    """Returns the names of the parts that drawing needs."""
    unused = ("image_encoder",) if settings.safety_checker else ("image_encoder", *_SAFETY_PARTS)
    return [part for part in _listed_parts(folder) if part not in unused]


def _is_whole(path: Path) -> bool:
    """Tells whether a safetensors file is as long as its header says.

    Format: https://huggingface.co/docs/safetensors, eight bytes of the header's length, header, tensors.
    """
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        if header_length > _MAX_HEADER_BYTES:
            return False
        try:
            entries = json.loads(file.read(header_length))
            ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            return False
    return path.stat().st_size == 8 + header_length + max(ends, default=0)


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
            f"{hint_of(folder, None)}"
        ) from error


def hint_of(folder: Path, repository: str | None) -> str:
    """Returns what to do about a model that is missing or damaged, for a message."""
    if repository is not None:
        return (
            f"Download it, whole and as safetensors: `hf download {repository} --local-dir {folder}`, or "
            "name the folder where it lies: generator.model_folder."
        )
    return (
        "The embedded generator comes with the project (`git checkout -- data/06_models/generator` restores "
        "it, `make generator` trains it again); a generator trained on your own images is made by `kedro run "
        "--pipelines pretraining` with the same --params; any other model must be downloaded completely, as "
        f"safetensors, into {folder}."
    )


def describe_generator(folder: Path, settings: GeneratorSettings) -> dict[str, Any]:
    """Returns everything that shapes an image, JSON-able, with its digest as `generator_id`.

    Args:
        folder: of the model.
        settings: how it is used.

    Raises:
        GeneratorError: see `check_model_folder`.
    """
    check_model_folder(folder, settings)
    files = {
        path.relative_to(folder).as_posix(): _file_digest(path)
        for part in used_parts(folder, settings)
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and path.suffix in _SHAPING_SUFFIXES
    }
    return describe_as(folder.name, files, settings)


def describe_as(model: str, files: Mapping[str, str], settings: GeneratorSettings) -> dict[str, Any]:
    """Returns the description of a model whose files' digests are known, as `describe_generator` does.

    Args:
        model: name of its folder.
        files: path in the folder -> digest.
        settings: how it is used.
    """
    facts = {"files": dict(files), **settings.facts_of_pixels()}
    text = json.dumps(facts, sort_keys=True, default=str)
    generator_id = "g-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return {"generator_id": generator_id, "model": model, **facts}


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
        takedowns: as `stablerep.curation.people.takedowns.read_takedowns` gives them.
    """
    # here: it brings polars, which drawing alone does without
    from stablerep.curation.people.takedowns import GENERATOR

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
