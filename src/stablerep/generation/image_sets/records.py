"""The record of a sample: what its images show, and what is needed to make them again."""

from collections.abc import Sequence
from typing import Any

from stablerep.generation.diffusion.generator import image_noise_seed
from stablerep.generation.diffusion.settings import TORCH_NOISE
from stablerep.generation.image_sets.wanted import CaptionPlan, Wanted
from stablerep.storage.shards import REJECTED_UNSAFE, Record, member_name


def make_record(
    caption: CaptionPlan,
    wanted: Wanted,
    images: list[dict[str, Any]],
    rejected: Sequence[int],
    truncated: bool,
) -> Record:
    """Returns a sample's record: enough to say what an image is and to make it again.

    The caption's line is left out: a line added above it would touch every record below. The indices of
    images that the safety checker blanked stand in it where there are any. Without `noise`, torch drew the
    noise: records that are older than the choice are as they were.
    """
    blanked = {REJECTED_UNSAFE: sorted(rejected)} if rejected else {}
    noise = {} if wanted.noise == TORCH_NOISE else {"noise": wanted.noise}
    return {
        **blanked,
        **noise,
        "caption_id": caption.caption_id,
        "text": caption.text,
        "source": caption.source,
        "licence": caption.licence,
        "truncated": truncated,
        "generator_id": wanted.generator_id,
        "seed": wanted.seed,
        "images": sorted(images, key=lambda image: image["index"]),
    }


def make_image_entry(
    caption_id: str, seed: int, index: int, digest: str, size_px: tuple[Any, Any]
) -> dict[str, Any]:
    """Returns what a record says of one image; `size_px` is (width, height)."""
    return {
        "index": index,
        "member": member_name(caption_id, index),
        "seed": image_noise_seed(seed, caption_id, index),
        "digest": digest,
        "width_px": size_px[0],
        "height_px": size_px[1],
    }
