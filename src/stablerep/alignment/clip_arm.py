"""The embedded scorer: the project's own CLIP arm, an encoder and a text tower in one space.

A folder holds it: `model.safetensors`, `model.json` with the sizes, `tokenizer/`, and their digests.
Source: arXiv:2103.00020; how it is trained: `stablerep.alignment.settings.ScorerRecipe`.
Legend: N images, M texts, T tokens, D dimensions.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stablerep.alignment.scorer import check_embeddings, id_of_files, score_pairs
from stablerep.alignment.settings import ClipArmSizes
from stablerep.errors import ConfigError, DataError, check_range
from stablerep.models.encoders import build_encoder
from stablerep.models.soundness import faults_of_tokenizer, faults_of_weights
from stablerep.models.text import build_text_tower, tokenize
from stablerep.storage.digests import faults_of_files, warn_without_digests, write_digests
from stablerep.storage.tensors import save_tensors

WEIGHTS_FILE = "model.safetensors"
SIZES_FILE = "model.json"
TOKENIZER_FOLDER = "tokenizer"
_WHERE = "conf/params/alignment/<name>.yaml"
_PARTS = (WEIGHTS_FILE, SIZES_FILE, TOKENIZER_FOLDER)


class ClipArm(nn.Module):
    """Encoder and text tower as one module, because they are trained together."""

    def __init__(self, sizes: ClipArmSizes, tokenizer: Any) -> None:
        """Builds both with random weights.

        Args:
            sizes: of the networks.
            tokenizer: a CLIPTokenizer; its vocabulary and length shape the text tower.
        """
        super().__init__()
        self.encoder = build_encoder(sizes.encoder)
        features = self.encoder.num_features
        self.text = build_text_tower(
            features, tokenizer, sizes.width, sizes.num_layers, sizes.num_heads, sizes.out_dim
        )

    def forward(self, images: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (N, 3, S, S) images in [0, 1] and (M, T) token ids to (N, D) and (M, D) of unit length."""
        return self.embed_images(images), self.text.embed_text(token_ids)

    def embed_images(self, images: Tensor) -> Tensor:
        """Maps (N, 3, S, S) images in [0, 1] to (N, D) of unit length."""
        return self.embed_features(self.encoder(images))

    def embed_features(self, features: Tensor) -> Tensor:
        """Maps (N, F) features of the encoder to (N, D) of unit length."""
        return self.text.embed_images(features)


def save_clip_arm(folder: Path, model: ClipArm, sizes: ClipArmSizes, tokenizer: Any) -> None:
    """Writes the model's folder, float16; each file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    halved = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    (folder / SIZES_FILE).write_text(json.dumps(sizes.model_dump(), indent=1, sort_keys=True) + "\n")
    shutil.rmtree(folder / TOKENIZER_FOLDER, ignore_errors=True)
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    save_tensors(folder / WEIGHTS_FILE, halved)  # the last part: without it the folder is not a model
    write_digests(folder, _PARTS)


def load_clip_arm(folder: Path) -> tuple[ClipArm, Any]:
    """Reads what `save_clip_arm` wrote: the model in float32, ready to score, and its tokenizer.

    Raises:
        DataError: the folder is missing, incomplete, not as it was written, or of other sizes than its
            weights; or a weight is not finite.
    """
    from transformers import CLIPTokenizer

    _refuse(folder, faults_of_files(folder))
    try:
        sizes = ClipArmSizes.read(json.loads((folder / SIZES_FILE).read_text(encoding="utf-8")))
        weights = load_file(folder / WEIGHTS_FILE)
        tokenizer = CLIPTokenizer.from_pretrained(folder / TOKENIZER_FOLDER, local_files_only=True)
        model = ClipArm(sizes, tokenizer)
        model.load_state_dict(weights)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError, ConfigError) as error:
        raise _unusable(folder, f"{type(error).__name__}: {error}") from error
    _refuse(folder, faults_of_weights(model) or faults_of_tokenizer(tokenizer))
    return model.float().eval(), tokenizer


class ClipArmScorer:
    """Scores with a CLIP arm of this project; see `stablerep.alignment.scorer.Scorer`.

    The model is loaded when the first score is asked for: if every image has one, it costs nothing.
    """

    def __init__(self, folder: Path | str, batch_size: int = 256) -> None:
        """Checks the folder.

        Args:
            folder: as `save_clip_arm` wrote it.
            batch_size: images at once.

        Raises:
            DataError: the folder is missing or incomplete.
            ConfigError: the batch size is out of range.
        """
        check_range("alignment.scorer.batch_size", batch_size, 1, where=_WHERE)
        self.folder, self.batch_size = Path(folder), batch_size
        absent = [name for name in _PARTS if not (self.folder / name).exists()]
        if absent:
            raise _unusable(self.folder, f"{', '.join(absent)} missing")
        self.scorer_id = id_of_files(self.folder, _PARTS)
        self._loaded: tuple[ClipArm, Any] | None = None

    def check(self) -> None:
        """Loads the model and has it embed two texts and an image; see `Scorer.check`."""
        warn_without_digests(self.folder)
        check_embeddings(self.folder, self.embed_images, self._embed_texts)

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Returns the cosines: (N,) float32.

        Args:
            images: (N, 3, H, W) uint8, resized to the encoder's size if theirs is another.
            texts: N of them.

        Raises:
            DataError: see `load_clip_arm`.
        """
        return score_pairs(images, texts, self.embed_images, self._embed_texts, self.batch_size)

    def _parts(self) -> tuple[ClipArm, Any]:
        if self._loaded is None:
            self._loaded = load_clip_arm(self.folder)
        return self._loaded

    def embed_images(self, images: Tensor) -> Tensor:
        """Maps (N, 3, H, W) uint8 images to (N, D) of length 1, all at once."""
        model, _ = self._parts()
        pixels = images.float() / 255
        size = model.encoder.size_px
        if pixels.shape[-2:] != (size, size):
            pixels = nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        return model.embed_images(pixels)

    def _embed_texts(self, texts: list[str]) -> Tensor:
        model, tokenizer = self._parts()
        return model.text.embed_text(tokenize(tokenizer, texts))


def _refuse(folder: Path, faults: Sequence[str]) -> None:
    if faults:
        raise _unusable(folder, "; ".join(faults))


def _unusable(folder: Path, fault: str) -> DataError:
    return DataError(
        f"{folder}: not a complete scorer ({fault}); must have {', '.join(_PARTS)}, as `make scorer` "
        "writes them. "
        f"Name such a folder: alignment.scorer.folder in {_WHERE}; null is the embedded scorer, which "
        "`git checkout -- data/06_models/scorer` restores and `make scorer` trains again."
    )
