"""Encoders by configuration: a class of this package, or any timm model by name."""

import difflib
import pkgutil
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stablerep.errors import ConfigError, check_range
from stablerep.models.encoder import Encoder, standardise_each
from stablerep.nearest_name import must_be_one_of

# Mean and deviation of ImageNet's images, by channel (torchvision's transforms and the authors' code).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
STANDARDS = ("image", "imagenet", "timm")

_WHERE = "conf/params/encoder/<name>.yaml"


class TimmEncoder(Encoder):
    """A timm model without its classifier, fed with images in [0, 1].

    Args:
        name: timm's name, such as `vit_base_patch16_224`; a tag behind a dot chooses the constants of the
            weights that have it.
        size_px: side of the square images.
        standardise: by what an image is standardised: `timm`, the constants of the model's own
            configuration; `imagenet`, those of ImageNet; or `image`, its own mean and deviation over pixels
            and channels, so that brightness and contrast of a whole image do not matter.
        flatten: whether the last map or the last tokens are flattened, not pooled: pooling loses the place of
            what an image shows, and that may be what tells images apart.
        dynamic_img_size: whether a vision transformer takes images of other sizes as well; other models have
            no such option.
        **options: passed on to `timm.create_model`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        name: str,
        size_px: int,
        flatten: bool = False,
        standardise: str = "timm",
        dynamic_img_size: bool = False,
        **options: Any,
    ) -> None:
        """Builds it with random weights; raises ConfigError for an unknown name or a wrong size."""
        super().__init__()
        import timm

        check_range("encoder.backbone.size_px", size_px, 1)
        if standardise not in STANDARDS:
            raise ConfigError(
                f"encoder.backbone.standardise: got {standardise!r}; {must_be_one_of(standardise, STANDARDS)}"
            )

        check_timm_model("encoder.backbone.name", name)
        known = timm.get_pretrained_cfg(name)
        if "img_size" not in options and known is not None and known.fixed_input_size:
            options["img_size"] = size_px
        if flatten:
            options["global_pool"] = ""
        if dynamic_img_size:  # any other model of timm refuses the option, even where it is false
            options["dynamic_img_size"] = True
        self.body = timm.create_model(name, pretrained=False, num_classes=0, **options)
        self.num_features = _count_features(self.body, name, size_px)
        self.size_px = size_px
        self.standardise = standardise
        mean, deviation = self.body.default_cfg["mean"], self.body.default_cfg["std"]
        if standardise == "imagenet":
            mean, deviation = IMAGENET_MEAN, IMAGENET_DEVIATION
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])

    def checkpoint_gradients(self) -> None:
        """Sets timm's own checkpointing; raises ConfigError for a model that has none."""
        try:
            self.body.set_grad_checkpointing(True)
        except (AttributeError, AssertionError):
            super().checkpoint_gradients()

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) images in [0, 1] to (B, F) features."""
        if self.standardise == "image":
            standard = standardise_each(images)
        else:
            standard = (images - self.mean) / self.deviation
        return self.body(standard).flatten(1)


def check_timm_model(key: str, name: str) -> None:
    """Raises ConfigError for a name that timm does not have, or a tag that its model does not have."""
    import timm

    architecture, dot, tag = name.partition(".")
    if architecture not in timm.list_models():
        near = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0)
        raise ConfigError(f"{key}: got {name!r}; must be a timm model, such as {', '.join(near)}")
    tags = timm.list_pretrained([f"{architecture}.*"]) if dot else []
    if dot and name not in tags:
        known = ", ".join(tags) or f"{architecture} without a tag"
        raise ConfigError(f"{key}: got {name!r}; timm does not know the tag {tag!r}; must be {known}.")


def _count_features(body: Any, name: str, size_px: int) -> int:
    """Returns how many features a timm model gives, from a forward pass of one image.

    Not `body.num_features`: it counts the channels before the head, and in families such as MobileNetV3 the
    head has a convolution of its own.

    Args:
        body: without its classifier; in training mode afterwards.
        name: timm's, for the message.
        size_px: side of the image.

    Raises:
        ConfigError: the model takes no images of this size, or gives no tensor.
    """
    try:
        with torch.no_grad():
            features = body.eval()(torch.zeros(1, 3, size_px, size_px))
        num_features = int(features.flatten(1).shape[1])
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        own = "x".join(map(str, body.default_cfg["input_size"][1:]))
        reason = str(error) or type(error).__name__
        raise ConfigError(
            f"encoder.backbone: {name} takes no images of {size_px} px ({reason}); must be a "
            f"model that does, or use a size that it takes, such as its own {own} px. "
            f"Set encoder.backbone in {_WHERE}."
        ) from error
    body.train()
    return num_features


def build_encoder(config: Mapping[str, Any]) -> Encoder:
    """Builds an encoder from `encoder.backbone`.

    Args:
        config: `_target_` names a class below `stablerep.models`; the rest are its arguments.

    Returns:
        A module with `num_features`, mapping (B, 3, H, W) images in [0, 1] to (B, F).

    Raises:
        ConfigError: no such class, or arguments that it does not take.
    """
    options = dict(config)
    target = options.pop("_target_", None)
    if not isinstance(target, str) or not target.startswith("stablerep.models."):
        raise ConfigError(
            f"encoder.backbone._target_: got {target!r}; must be a class below stablerep.models, "
            "for instance stablerep.models.encoders.TimmEncoder"
        )
    try:
        return pkgutil.resolve_name(target)(**options)
    # what classes and timm raise for arguments that make no model
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        ImportError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(f"encoder.backbone: {target} cannot be built: {error}") from error
