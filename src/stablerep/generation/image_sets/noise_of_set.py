"""Which random generator draws the noise of an image set: that of its existing images.

Another noise is another generator id, so a set of an older release would be drawn again as a whole.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stablerep.generation.diffusion.identity import describe_as, describe_generator
from stablerep.generation.diffusion.settings import PHILOX, TORCH_NOISE, GeneratorSettings
from stablerep.generation.image_sets.cache import SampleCache
from stablerep.generation.image_sets.plan import StoredSet


def describe_with_each_noise(folder: Path, settings: GeneratorSettings) -> dict[str, dict[str, Any]]:
    """Returns the description of a generator with each noise, as `describe_generator` gives it.

    Args:
        folder: of the model; it is read once.
        settings: how it is used.

    Raises:
        GeneratorError: see `describe_generator`.
    """
    philox = describe_generator(folder, settings.changed(noise=PHILOX))
    older = describe_as(folder.name, philox["files"], settings.changed(noise=TORCH_NOISE))
    return {PHILOX: philox, TORCH_NOISE: older}


def noise_of_set(
    settings: GeneratorSettings, ids: Mapping[str, str], seed: int, stored: StoredSet, cache: SampleCache
) -> str:
    """Returns the noise of a set's images; where the settings leave it open, that of those that are there.

    Torch's only where the set, or else its cache, has images that this model, these settings and this seed
    made with it. A set that has to be drawn again for another reason gets Philox.

    Args:
        settings: of the generation.
        ids: noise -> generator id.
        seed: of the image set.
        stored: the set as it is.
        cache: holds samples that left the set.
    """
    if settings.noise != "auto":
        return settings.noise
    if (ids[PHILOX], seed) in stored.drawn_by:
        return PHILOX
    older = (ids[TORCH_NOISE], seed)
    return TORCH_NOISE if older in stored.drawn_by or cache.has_images_of(*older) else PHILOX
