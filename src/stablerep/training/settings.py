"""Settings of training: the sections `training` and `arms` of the configuration."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from stablerep.methods.batch import BatchSettings
from stablerep.settings import SettingError, Settings, Values

Probability = Annotated[float, Field(ge=0, le=1)]
Sigma = Annotated[float, Field(gt=0, le=100)]


def _without_removed(views: Any) -> Any:
    """Leaves out methods that a file or `--params` set to null."""
    if isinstance(views, Mapping):
        return {method: own for method, own in views.items() if own is not None}
    return views


class AugmentationSettings(Settings):
    """What a view may do to an image."""

    section: ClassVar[str] = "training.augmentation"

    min_crop: float = Field(
        0.08, ge=0.01, le=1, description="smallest share of the image's area in a random resized crop"
    )
    jitter: float = Field(
        0.4, ge=0, le=1, description="of brightness, contrast and saturation; a quarter of it for hue"
    )
    jitter_probability: Probability = 0.8
    grey_probability: Probability = 0.2
    blur_probability: Probability = Field(0.5, description="of a Gaussian blur")
    blur_sigma: Annotated[tuple[Sigma, Sigma], Values] = Field(
        (0.1, 2.0), description="pixels: the least and the most, drawn evenly; 0.1 to 2 in the authors' code"
    )
    flip_probability: Probability = Field(
        0.5, description="of a mirror image; 0 where it changes what an image means, as of written text"
    )
    # the authors' code: so that the sizes of sources are no clue
    downsample_probability: Probability = Field(0.0, description="of down- and upsampling")
    downsample_px: Annotated[tuple[Annotated[int, Field(ge=1, le=8192)], ...], Values] = Field(
        (64, 128), min_length=1, description="to one of these sides, chosen evenly"
    )

    @model_validator(mode="after")
    def _check_sigma(self) -> Self:
        if self.blur_sigma[0] > self.blur_sigma[1]:
            raise SettingError(
                "blur_sigma", f"got {list(self.blur_sigma)!r}; the first must be <= the second"
            )
        return self


class LocalCropSettings(Settings):
    """Small crops of each image, beside its views: multi-crop.

    Source: SwAV (arXiv:2006.09882, section 3.2) and SynCLR (arXiv:2312.17742). The range is that of SynCLR's
    code, which crops the views to 0.32 to 1 of the area, and takes four crops of 96 px beside one of 224 px.
    """

    section: ClassVar[str] = "training.local_crops"

    per_image: int = Field(
        0, ge=0, le=64, description="on top of the views that `batch` counts; 0 for none; 4 in SynCLR"
    )
    size_px: int | None = Field(
        None, ge=1, le=8192, description="of their side; null takes that of the views; 96 in SynCLR"
    )
    min_crop: float = Field(0.08, ge=0.01, le=1, description="smallest share of the image's area")
    max_crop: float = Field(0.32, ge=0.01, le=1, description="largest share of the image's area")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min_crop > self.max_crop:
            raise SettingError(
                "min_crop",
                f"got {self.min_crop!r}; must be <= training.local_crops.max_crop = {self.max_crop!r}",
            )
        return self


class OnlineProbeSettings(Settings):
    """A linear classifier that is trained beside the encoder, on its features, without changing it."""

    section: ClassVar[str] = "training.online_probe"

    enabled: bool = False
    learning_rate: float = Field(1e-3, ge=0, le=100, description="of the classifier's own Adam, constant")


class SpeedSettings(Settings):
    """What makes a step faster or smaller on a GPU; results change only by rounding."""

    section: ClassVar[str] = "training.speed"

    compile: bool = Field(
        False, description="torch.compile of the encoder: about a minute at the start of each arm"
    )
    channels_last: bool = Field(
        False, description="convolutions with the channels of a pixel side by side in memory"
    )
    tf32: bool = Field(
        False,
        description="float32 products of a GPU with 10 bits of mantissa instead of 23, in the loss as well; "
        "what `mixed_precision` covers is not concerned, nor is a CPU",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="the encoder's blocks keep their inputs alone and are computed again in the backward "
        "pass: a third more arithmetic, a fraction of the memory. `batch.chunk` does so for whole chunks",
    )


class TrainingSettings(Settings):
    """How an arm is trained; the same for every arm of an experiment, unless an arm overrides a key."""

    section: ClassVar[str] = "training"

    num_images: int | None = Field(
        None, ge=1, description="views seen in all; null where `epochs` says how long an arm is trained"
    )
    # an epoch has the same number of views for every method: captions x batch.images_per_caption
    epochs: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="passes over the captions, with batch.images_per_caption images of each, instead of "
        "`num_images`; null takes `num_images`",
    )
    batch: BatchSettings = Field(
        default_factory=lambda: BatchSettings(captions=32, images_per_caption=4),
        description="what a step holds",
    )
    # no one trains beyond these bounds: they keep out infinity
    learning_rate: float = Field(2e-3, ge=0, le=100, description="peak of the cosine schedule")
    optimizer: Literal["adamw", "lars"] = Field(
        "adamw",
        description="lars: for large batches (arXiv:1708.03888), with a learning rate of its own scale",
    )
    weight_decay: float = Field(0.05, ge=0, le=100, description="not on norms and biases")
    # at 1, AdamW's averages never leave zero
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, le=0.999999)], Annotated[float, Field(ge=0, le=0.999999)]], Values
    ] = Field((0.9, 0.98), description="of AdamW; the authors' code")
    momentum: float = Field(0.9, ge=0, le=0.999999, description="of LARS")
    trust_coefficient: float = Field(
        1e-3, gt=0, le=100, description="of LARS: a layer's rate is it times |w| / (|g| + weight_decay |w|)"
    )
    warmup_share: float | None = Field(
        None, ge=0, le=1, description="of the steps, with a rising rate; null where `warmup_epochs` is given"
    )
    warmup_epochs: float | None = Field(
        None, ge=0, le=1e6, description="with a rising rate, instead of `warmup_share`; both null: no warm-up"
    )
    mixed_precision: Literal["no", "bf16"] = "no"
    log_every: int = Field(20, ge=1, description="steps between two rows of the history")
    num_probe_captions: int = Field(
        0, ge=0, description="held out of the training for the probes; 0 for none"
    )
    probe_every: int = Field(20, ge=1, description="steps between two probes, a multiple of log_every")
    online_probe: OnlineProbeSettings = Field(
        default_factory=OnlineProbeSettings, description="measured where the kNN probe is"
    )
    rank_measures: Annotated[tuple[Literal["rankme", "lidar"], ...], Values] = Field(
        (),
        description="of the embeddings, beside their effective rank: rankme (arXiv:2210.02885) and lidar "
        "(arXiv:2312.04000)",
    )
    checkpoint_every_s: float = Field(60.0, ge=0, description="seconds between two checkpoints")
    checkpoint_every_steps: int | None = Field(
        None, ge=1, description="checkpoints at multiples of it are kept as well; null goes by seconds alone"
    )
    num_checkpoints: int = Field(1, ge=1, description="the newest ones, which are kept")
    max_grad_norm: float | None = Field(
        None, ge=1e-9, description="to which gradients are clipped; null leaves them"
    )
    ema_decay: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of the moving average of the weights that is exported, reached by a ramp "
        "(`training.average`); null exports the weights",
    )
    num_workers: int = Field(
        0, ge=0, le=256, description="processes of each arm that decode images; 0 uses a thread"
    )
    cache_mib: float = Field(256.0, ge=0, description="MiB of decoded images that such a process keeps")
    augmentation: AugmentationSettings = Field(default_factory=AugmentationSettings)
    augmentation_by_method: Annotated[dict[str, dict[str, Any]], BeforeValidator(_without_removed)] = Field(
        default_factory=dict, description="keys of `augmentation` that are different for a method's arms"
    )
    local_crops: LocalCropSettings = Field(
        default_factory=LocalCropSettings, description="as `augmentation` changes views, but smaller"
    )
    speed: SpeedSettings = Field(default_factory=SpeedSettings, description="of the encoder, for GPUs")

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if (self.num_images is None) == (self.epochs is None):
            raise SettingError(
                "epochs",
                f"got {self.epochs!r} beside training.num_images = {self.num_images!r}; one of the two must "
                "be given, and the other one null",
            )
        if self.warmup_share is not None and self.warmup_epochs is not None:
            raise SettingError(
                "warmup_epochs",
                f"got {self.warmup_epochs!r} beside training.warmup_share = {self.warmup_share!r}; one of "
                "the two must be null",
            )
        if self.epochs is not None and (self.warmup_epochs or 0) > self.epochs:
            raise SettingError(
                "warmup_epochs", f"got {self.warmup_epochs!r}; must be <= training.epochs = {self.epochs!r}"
            )
        return self

    @model_validator(mode="after")
    def _check_views_of_methods(self) -> Self:
        for method, own in self.augmentation_by_method.items():
            key = f"{self.section}.augmentation_by_method.{method}"
            AugmentationSettings.read(self.augmentation.model_dump() | own, key)
        return self

    @model_validator(mode="after")
    def _check_online_probe(self) -> Self:
        if self.online_probe.enabled and not self.num_probe_captions:
            raise SettingError(
                "online_probe.enabled",
                "got True; must be false where training.num_probe_captions is 0: it is measured on images of "
                "captions that are held out",
            )
        return self

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.num_probe_captions and self.probe_every % self.log_every:
            raise SettingError(
                "probe_every",
                f"got {self.probe_every!r}; must be a multiple of training.log_every = {self.log_every}",
            )
        return self


class ArmSettings(Settings):
    """An arm: a method trained on one image set, once per seed."""

    section: ClassVar[str] = "arms.<name>"

    method: str = Field(description="a key of `method`")
    images: str = Field(description="a key of `image_sets`")
    training: dict[str, Any] = Field(
        default_factory=dict, description="keys of `training` that are different for this arm"
    )
    head: dict[str, Any] = Field(
        default_factory=dict, description="keys of `encoder.head` that are different for this arm"
    )
    as_much_compute_as: str | None = Field(
        None,
        description="another arm: instead of training.num_images, this arm sees as many views as fit into "
        "the seconds that the other arm took, including those for drawing its images",
    )
    if_possible: bool = Field(
        False,
        description="leave the arm out, with a warning, if its method needs captions, or several images per "
        "caption, that its images do not have",
    )
