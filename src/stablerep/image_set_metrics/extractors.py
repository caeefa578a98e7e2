"""What turns images into features: an image-text model, an encoder, torch-fidelity's Inception.

A distance between image sets is one between their features, so its value means nothing without the
extractor's name, and only values of one extractor can be compared.
Legend: B images of a batch, F features.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from stablerep.alignment.clip_arm import ClipArmScorer
from stablerep.alignment.transformers_clip import TransformersClipScorer
from stablerep.errors import DataError
from stablerep.evaluation.features import encoder_digest, fit_size
from stablerep.generation.image_sets.image_hash import perceptual_hash
from stablerep.models.encoders import build_encoder
from stablerep.seeding import seed_of
from stablerep.storage.tensors import read_tensors

_WHERE = "conf/params/extractor/<name>.yaml"
_TIMM = "body."  # before the keys of a timm model in its encoder
_INCEPTION_LAYER = "2048"
_INCEPTION_SHA256 = "6726825d"  # how the file's digest begins; its name ends with it


@runtime_checkable
class FeatureExtractor(Protocol):
    """A model that is ready to embed images.

    Attributes:
        name: for tables, with the digest of its weights at the end.
        extractor_id: a digest of everything that features depend on.
        dtype: of the features.
    """

    name: str
    extractor_id: str
    dtype: str

    def check(self) -> None:
        """Loads the model; called before a run.

        Raises:
            DataError: it cannot be loaded.
        """
        ...

    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        """Maps B images, (3, H, W) uint8 of any sizes, to (B, F) features."""
        ...


class _OfScorer:
    """The image tower of an image-text model, embeddings of length 1."""

    dtype = "float32"

    def __init__(self, scorer: ClipArmScorer | TransformersClipScorer) -> None:
        self.scorer = scorer
        self.extractor_id = scorer.scorer_id
        self.name = f"{scorer.folder.name} {scorer.scorer_id}"

    def check(self) -> None:
        self.scorer.check()

    @torch.inference_mode()
    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        if len({image.shape for image in images}) > 1:
            return np.concatenate([self.extract([image]) for image in images])
        return self.scorer.embed_images(torch.stack(list(images))).float().cpu().numpy()


class ClipArmExtractor(_OfScorer):
    """The image tower of a scorer of the project's own.

    Args:
        folder: of the scorer; the embedded one's where the configuration says null.
        batch_size: images at once.

    Raises:
        DataError: the folder is missing or incomplete.
        ConfigError: the batch size is out of range.
    """

    def __init__(self, folder: Path | str, batch_size: int = 256) -> None:
        super().__init__(ClipArmScorer(folder, batch_size))


class TransformersClipExtractor(_OfScorer):
    """The image tower of a CLIP of transformers; with ViT-L/14 at 336 px, CMMD is that of its paper.

    Args:
        folder: of the model.
        batch_size: images at once.
        repository: of huggingface.co that has the model, for the message when its folder is missing.

    Raises:
        DataError: the folder is missing or incomplete.
        ConfigError: the batch size is out of range.
    """

    def __init__(self, folder: Path | str, batch_size: int = 32, repository: str | None = None) -> None:
        super().__init__(TransformersClipScorer(folder, batch_size, repository))


class EncoderExtractor:
    """Any encoder of the project, also every timm model, with weights from a file.

    Args:
        backbone: as `encoder.backbone`.
        weights: a safetensors file: of a trained arm, `encoder.safetensors`; or of a timm model. None draws
            the weights: random features tell images apart, and if no pretrained network knows the domain
            they are the less biased choice (arXiv:2002.09797, section 4.3).
        seed: of drawn weights.

    Raises:
        ConfigError: there is no such encoder.
    """

    dtype = "float32"

    def __init__(self, backbone: dict[str, Any], weights: str | None = None, seed: int = 0) -> None:
        self.backbone, self.weights = backbone, weights
        # forked: the caller's random state does not change
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("extractor", seed))
            self.encoder = build_encoder(backbone).eval()
        if weights is not None:
            self._load(Path(weights))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder.to(self.device)
        self.extractor_id = encoder_digest(self.encoder, backbone)[:16]
        origin = "untrained" if weights is None else Path(weights).parent.name
        self.name = f"{origin} {backbone.get('name', type(self.encoder).__name__)} {self.extractor_id}"

    def check(self) -> None:
        """The weights were loaded when it was made."""

    @torch.inference_mode()
    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        """Maps B images to (B, F); the shorter side is resized, the centre cropped."""
        prepared = fit_size(list(images), self.encoder.size_px, self.device)
        return self.encoder(prepared).flatten(1).float().cpu().numpy()

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(
                f"extractor.weights: got {path}, which does not exist; must be a safetensors file. Set it "
                f"in {_WHERE}, or null for random features."
            )
        weights = read_tensors(path)
        own: Mapping[str, Tensor] = self.encoder.state_dict()
        of_timm = {f"{_TIMM}{name}": value for name, value in weights.items() if f"{_TIMM}{name}" in own}
        if of_timm:
            # a timm model's own file has a classifier, but not what the encoder adds to the model
            added = {name: value for name, value in own.items() if not name.startswith(_TIMM)}
            weights = added | of_timm
        try:
            self.encoder.load_state_dict(weights)
        except RuntimeError as error:
            raise DataError(
                f"extractor.weights: {path} does not fit extractor.backbone ({error}). Name the file of this "
                f"encoder in {_WHERE}."
            ) from error


class InceptionExtractor:
    """The Inception network of FID and KID, torch-fidelity's: 2,048 features (arXiv:1512.00567).

    Args:
        weights: torch-fidelity's file; nothing is downloaded.

    Raises:
        DataError: there is no such file, or it is another one.
    """

    dtype = "float32"

    def __init__(self, weights: str) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        self.path = Path(weights)
        advice = f"Download {URL_INCEPTION_V3}, or choose another extractor with extractor=<name>."
        if not self.path.is_file():
            raise DataError(
                f"extractor.weights: got {weights}, which does not exist; must be the weights of "
                f"torch-fidelity's Inception. {advice}"
            )
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # torch-fidelity unpickles the file, which can run code: no other file may get this far
        if not digest.startswith(_INCEPTION_SHA256):
            raise DataError(
                f"extractor.weights: {weights} has the SHA-256 {digest[:8]}...; must be "
                f"{_INCEPTION_SHA256}..., that of torch-fidelity's Inception. {advice}"
            )
        self.extractor_id = digest[:16]
        self.name = f"inception-v3-compat {self.extractor_id}"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def check(self) -> None:
        """Loads the weights."""
        _ = self._model

    @torch.inference_mode()
    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        """Maps B images to (B, 2048); torch-fidelity resizes them to 299 px as TensorFlow 1 did."""
        if len({image.shape for image in images}) > 1:
            return np.concatenate([self.extract([image]) for image in images])
        (features,) = self._model(torch.stack(list(images)).to(self.device))
        return features.float().cpu().numpy()

    @cached_property
    def _model(self) -> Any:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        layers = [_INCEPTION_LAYER]
        model = FeatureExtractorInceptionV3("inception", layers, feature_extractor_weights_path=self.path)
        return model.to(self.device)


class PerceptualHash:
    """Not a network, but the hash of `stablerep.generation.image_sets.image_hash`, which copies share."""

    dtype = "uint8"
    name = "perceptual_hash"
    extractor_id = "perceptual_hash"

    def check(self) -> None:
        """There is nothing to load."""

    def extract(self, images: Sequence[Tensor]) -> np.ndarray:
        """Maps B images to (B, 32) bytes."""
        return np.stack([np.frombuffer(perceptual_hash(image), dtype=np.uint8) for image in images])
