"""Scores with any CLIP of transformers: a folder as a model hub's download leaves it.

Models of open_clip are on the hub in this format as well (docs/alignment.md names some). Weights are read
from safetensors alone, and nothing is downloaded.
Source: https://huggingface.co/docs/transformers/model_doc/clip
Legend: N images, M texts, D dimensions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.alignment.scorer import check_embeddings, id_of_files, score_pairs
from stablerep.errors import DataError, check_range
from stablerep.models.soundness import faults_of_loading, faults_of_tokenizer, faults_of_weights

_AGAIN = "Download the complete model again, as safetensors."
_WHERE = "conf/params/alignment/<name>.yaml"


class TransformersClipScorer:
    """Scores with an image-text model of transformers; see `stablerep.alignment.scorer.Scorer`.

    The model is loaded when the first score is asked for: where every image has one, it costs nothing.
    """

    def __init__(self, folder: Path | str, batch_size: int = 32, repository: str | None = None) -> None:
        """Looks at the folder.

        Args:
            folder: config, safetensors weights, tokenizer and image processor.
            batch_size: images at once.
            repository: of huggingface.co that has the model, for the message when its folder is missing.

        Raises:
            DataError: the folder is missing or incomplete.
            ConfigError: the batch size is out of range.
        """
        check_range("alignment.scorer.batch_size", batch_size, 1, where=_WHERE)
        self.folder, self.batch_size = Path(folder), batch_size
        self._check_folder(repository)
        self.scorer_id = id_of_files(self.folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._loaded: tuple[Any, Any, Any] | None = None

    def _check_folder(self, repository: str | None) -> None:
        named = repository or "<owner>/<model>"
        hint = (
            f"Download it: hf download {named} --local-dir {self.folder} --include '*.json' '*.txt' "
            f"'*.safetensors'. Or choose another scorer with alignment=<name>, or another folder in {_WHERE}."
        )
        if not self.folder.is_dir():
            raise DataError(
                f"{self.folder.absolute()}: no such folder; it must hold an image-text model. {hint}"
            )
        absent = [name for name in ("config.json", "preprocessor_config.json") if not self._has(name)]
        absent += [] if self._has("*.safetensors") else ["*.safetensors"]
        absent += [] if self._has("tokenizer*") or self._has("vocab*") else ["tokenizer.json"]
        if absent:
            raise DataError(
                f"{self.folder}: the model is incomplete; {', '.join(absent)} must be there as well. {hint}"
            )

    def _has(self, pattern: str) -> bool:
        return any(self.folder.glob(pattern))

    def check(self) -> None:
        """Loads the model and has it embed two texts and an image; see `Scorer.check`."""
        check_embeddings(self.folder, self.embed_images, self._embed_texts)

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Returns the cosines: (N,) float32.

        Args:
            images: (N, 3, H, W) uint8; the model's own processor resizes and normalises them.
            texts: N of them; cut to the model's length.

        Raises:
            DataError: transformers cannot load the model, or it is none of images and texts.
        """
        return score_pairs(images, texts, self.embed_images, self._embed_texts, self.batch_size)

    def _parts(self) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> tuple[Any, Any, Any]:
        from safetensors import SafetensorError
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        try:
            model, info = AutoModel.from_pretrained(
                self.folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
            processor = AutoImageProcessor.from_pretrained(self.folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise DataError(
                f"{self.folder}: transformers cannot load the model ({type(error).__name__}: {error}). Is a "
                f"file half downloaded? {_AGAIN}"
            ) from error
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise DataError(
                f"{self.folder}: got a {type(model).__name__}; must embed images and texts in one space, as "
                f"CLIPModel does. Name the folder of such a model in {_WHERE}."
            )
        faults = faults_of_loading(info) or faults_of_weights(model) or faults_of_tokenizer(tokenizer)
        if faults:
            raise DataError(f"{self.folder}: not a whole model: {'; '.join(faults)}. {_AGAIN}")
        return model.eval().to(self.device), tokenizer, processor

    def embed_images(self, images: Tensor) -> Tensor:
        """Maps (N, 3, H, W) uint8 images to (N, D) of length 1, all at once."""
        model, _, processor = self._parts()
        pixels = processor(images=list(images), return_tensors="pt")["pixel_values"]
        return _unit(model.get_image_features(pixel_values=pixels.to(self.device)))

    def _embed_texts(self, texts: list[str]) -> Tensor:
        model, tokenizer, _ = self._parts()
        # all of one length: SigLIP was trained so, and CLIP reads nothing behind the end of the text
        length = model.config.text_config.max_position_embeddings
        encoded = tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return _unit(model.get_text_features(**encoded.to(self.device)))


def _unit(features: Any) -> Tensor:
    # releases of transformers differ: a tensor, or an output that holds it
    pooled = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(pooled.float(), dim=1)
