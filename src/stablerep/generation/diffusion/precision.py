"""Which arithmetic `generator.dtype=auto` means, here and for an image set that was begun elsewhere."""

import json
import logging
from pathlib import Path

import torch

from stablerep.generation.diffusion.settings import AUTO_DTYPE, DTYPES, GeneratorSettings
from stablerep.generation.image_sets.generator_file import GENERATOR_FILE

logger = logging.getLogger(__name__)

# as torch.cpu.get_capabilities names them: of Zen 4 and Cooper Lake, and of Sapphire Rapids
_NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def fastest_dtype() -> str:
    """Returns bfloat16 where the GPU, or without one the processor, multiplies it, float32 elsewhere.

    Half the bytes and twice the products an instruction: 1.5 times the images/s of the embedded generator
    on a processor that has it, and two thirds on one that has not (docs/experiments.md).
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name, False) for name in _NATIVE_BFLOAT16)
    return "bfloat16" if native else "float32"


def with_dtype_chosen(
    settings: GeneratorSettings, store: Path | None = None, folder: Path | None = None
) -> GeneratorSettings:
    """Returns the settings with one of `DTYPES` in place of `auto`.

    Args:
        settings: those with another dtype are returned as they are.
        store: the image set that is drawn for; None for images that go into none.
        folder: of the model that draws for it.
    """
    if settings.dtype != AUTO_DTYPE:
        return settings
    begun = None if store is None or folder is None else dtype_of_set(store, folder.name)
    return settings.changed(dtype=begun or fastest_dtype())


def dtype_of_set(store: Path, model: str) -> str:
    """Returns the arithmetic that an image set was drawn with, or the fastest one where there is no set.

    Another machine may have another fastest one, and an image set of which one caption was edited is not
    to be drawn again for that.

    Args:
        store: the image set's folder; may be absent.
        model: that is to draw; images of another model are drawn again in any case.
    """
    fastest = fastest_dtype()
    try:
        facts = json.loads((store / GENERATOR_FILE).read_text(encoding="utf-8"))
        known = facts.get("dtype") if facts.get("model") == model else None
    except FileNotFoundError:
        return fastest
    except (OSError, ValueError, AttributeError) as error:
        logger.warning("%s cannot be read (%s); drawing in %s", store / GENERATOR_FILE, error, fastest)
        return fastest
    if known not in DTYPES:
        return fastest
    if known != fastest:
        logger.warning(
            "the image set in %s was drawn in %s and stays so; here %s is faster: generator.dtype=%s draws "
            "all of it again",
            store, known, fastest, fastest,
        )  # fmt: skip
    return str(known)
