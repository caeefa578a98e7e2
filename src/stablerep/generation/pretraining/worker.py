"""One process of the pretraining; `launch.pretrain_generator` starts as many as asked for.

To run it without that: python -m torch.distributed.run --standalone --nproc-per-node 2
    -m stablerep.generation.pretraining.worker recipe.json WORK_FOLDER PIPELINE_FOLDER
"""

import json
import logging
import sys
from pathlib import Path

from accelerate import PartialState

from stablerep.generation.pretraining.assemble import assemble_pipeline
from stablerep.generation.pretraining.autoencoder import encode_pool, train_autoencoder
from stablerep.generation.pretraining.captioned_pixels import build_captioned_pixels
from stablerep.generation.pretraining.denoiser import train_denoiser
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.models.tokenizer import build_tokenizer


def read_recipe(path: Path) -> PretrainingRecipe:
    """Reads the recipe that `launch` wrote."""
    return PretrainingRecipe.read(json.loads(path.read_text()))


def main(recipe_path: str, work: str, target: str) -> None:
    """Trains what is not trained yet and writes the pipeline and its timings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = read_recipe(Path(recipe_path))
    folder = Path(work)
    images = build_captioned_pixels(recipe.images)
    tokenizer = build_tokenizer(images.texts(), recipe.max_tokens)
    autoencoder, autoencoder_s = train_autoencoder(recipe, images, folder)
    pool = encode_pool(autoencoder, recipe, images, folder / "pool.safetensors")
    scaling = 1.0 / float(pool["latents"].std())
    denoiser, denoiser_s = train_denoiser(recipe, images, pool, scaling, tokenizer, folder)
    if PartialState().is_main_process:
        assemble_pipeline(Path(target), tokenizer, autoencoder, denoiser, scaling)
        seconds = {"autoencoder_s": autoencoder_s, "denoiser_s": denoiser_s}
        (folder / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
