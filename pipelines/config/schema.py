"""The whole configuration as types: what every key is, its bounds, and what must fit together.

One dataclass for each top-level key. Mappings with `_target_` stay free: the class that they name
checks its own arguments when a node makes it.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from pipelines.config.typed import nearest
from stablerep.alignment.settings import AlignmentPolicy, ScorerRecipe
from stablerep.curation.settings import AuditSettings, Reading
from stablerep.digit_scenes.grammar import FLIPS_CHANGE_THE_MEANING, VOCABULARIES
from stablerep.errors import ConfigError, check_range
from stablerep.generation.diffusion.settings import AUTO_DTYPE, DTYPES
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.methods.batch import BatchSettings

# Rules by name; null takes one away that another file gave.
Rules = dict[str, dict[str, Any] | None]
# A mapping with `_target_` and the arguments of what it names.
Target = dict[str, Any]
IMAGE_SOURCES = ("synthetic", "real", "drawn")
PRECISIONS = ("no", "bf16")
BATCH_NORMS = ("global", "per_view")  # stablerep.models.heads.BATCH_NORMS, which would bring torch along
# They become names of files and folders, of MLflow runs, and anchors of the report.
_ARM_NAME = re.compile(r"[A-Za-z0-9_-]+")


def _check_target(key: str, mapping: Target) -> None:
    if not isinstance(mapping.get("_target_"), str):
        raise ConfigError(f"{key}._target_: missing; must be the full name of a class, package.Class.")


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{key}: got {value!r}; {nearest(value, choices)}")


@dataclass(frozen=True)
class Scenes:
    """How many real scenes are drawn for evaluation.

    Attributes:
        num_test_scenes_per_hand: scenes of each held-out hand.
        num_probe_train_scenes: scenes of fit hands on which the probe learns.
        num_validation_scenes_per_hand: scenes of each validation hand, on which choices are made.
    """

    num_test_scenes_per_hand: int
    num_probe_train_scenes: int
    num_validation_scenes_per_hand: int

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/corpus/<name>.yaml"
        check_range("scenes.num_test_scenes_per_hand", self.num_test_scenes_per_hand, 1, where=where)
        check_range("scenes.num_probe_train_scenes", self.num_probe_train_scenes, 10, where=where)
        name = "scenes.num_validation_scenes_per_hand"
        check_range(name, self.num_validation_scenes_per_hand, 1, where=where)


@dataclass(frozen=True)
class Captions:
    """How captions are curated.

    Attributes:
        filters: applied in this order.
        reading: how the captions files are read.
        audit: the audit for bias, before and after the filters, and of the images.
        max_captions: only the first ones that pass the filters are kept; null keeps all.
    """

    filters: list[Target]
    reading: Reading
    audit: AuditSettings
    max_captions: int | None = None

    def __post_init__(self) -> None:
        """Checks ranges."""
        for index, mapping in enumerate(self.filters):
            _check_target(f"captions.filters[{index}]", mapping)
        if self.max_captions is not None:
            where = "conf/params/curation/<name>.yaml"
            check_range("captions.max_captions", self.max_captions, 1, where=where)


@dataclass(frozen=True)
class Gates:
    """The rules of the two gates by name, as Great Expectations knows them; see `stablerep.validation.gate`.

    Attributes:
        groups: group -> term -> words; their coverage and bias the caption gate looks at.
        captions: rules on the caption set, a row a caption.
        terms: rules on the terms of the groups, a row a term.
        term_pairs: rules on what goes together, a row a pair of terms of two groups.
        images: rules on the image set, a row an image.
        images_of_captions: rules on the images of each caption, a row a caption.
    """

    groups: dict[str, dict[str, list[str]]]
    captions: Rules
    terms: Rules
    term_pairs: Rules
    images: Rules
    images_of_captions: Rules


@dataclass(frozen=True)
class Generation:
    """The text-to-image model and how it is sampled; see `stablerep.generation.diffusion.settings`."""

    model_folder: str | None
    guidance_scale: float
    num_inference_steps: int
    images_per_caption: int
    batch_size: int | None
    scheduler: Target
    size_px: int
    negative_prompt: str = ""
    dtype: str = "float32"
    num_shards: int = 8
    saved_size_px: int | None = None
    guidance_interval: list[float] = field(default_factory=lambda: [0.0, 1.0])
    safety_checker: bool = False
    repository: str | None = None
    compile: bool = False
    cache_mib: float = 0.0
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/generator/<name>.yaml"
        check_range("generation.guidance_scale", self.guidance_scale, 0, 100, where=where)
        name = "generation.guidance_interval"
        check_range(f"{name}: number of values", len(self.guidance_interval), 2, 2, where=where)
        for index, share in enumerate(self.guidance_interval):
            check_range(f"{name}[{index}]", share, 0, 1, where=where)
        start, end = self.guidance_interval
        if start >= end:
            raise ConfigError(
                f"{name}: got [{start:g}, {end:g}]; its start must be below its end. For no guidance set "
                f"generation.guidance_scale to 1. Set it in {where}."
            )
        check_range("generation.num_inference_steps", self.num_inference_steps, 1, 1000, where=where)
        check_range("generation.images_per_caption", self.images_per_caption, 1, 1000, where=where)
        if self.batch_size is not None:
            check_range("generation.batch_size", self.batch_size, 1, where=where)
        check_range("generation.cache_mib", self.cache_mib, 0, where=where)
        if self.price_per_hour is not None:
            check_range("generation.price_per_hour", self.price_per_hour, 0, where=where)
        check_range("generation.size_px", self.size_px, 8, 4096, where=where)
        check_range("generation.num_shards", self.num_shards, 1, 99_999, where=where)
        if self.saved_size_px is not None:
            check_range("generation.saved_size_px", self.saved_size_px, 1, self.size_px, where=where)
        _check_choice("generation.dtype", self.dtype, (AUTO_DTYPE, *DTYPES))
        _check_target("generation.scheduler", self.scheduler)


@dataclass(frozen=True)
class Head:
    """The projection head: three layers."""

    hidden_dim: int
    out_dim: int
    batch_norm: str = "global"

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/encoder/<name>.yaml"
        check_range("model.head.hidden_dim", self.hidden_dim, 1, where=where)
        check_range("model.head.out_dim", self.out_dim, 1, where=where)
        _check_choice("model.head.batch_norm", self.batch_norm, BATCH_NORMS)


@dataclass(frozen=True)
class Text:
    """The text tower; its tokenizer is the generator's unless a folder is given."""

    width: int
    num_layers: int
    num_heads: int
    out_dim: int
    tokenizer_folder: str | None = None

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name in ("width", "num_layers", "num_heads", "out_dim"):
            where = "conf/params/encoder/<name>.yaml"
            check_range(f"model.text.{name}", getattr(self, name), 1, where=where)
        if self.width % self.num_heads:
            raise ConfigError(
                f"model.text.num_heads: got {self.num_heads}; must divide model.text.width = {self.width}. "
                f"Set it in {where}."
            )


@dataclass(frozen=True)
class Model:
    """The encoder that is learned, its head, and the text tower of the methods that have one."""

    encoder: Target
    head: Head
    text: Text

    def __post_init__(self) -> None:
        """Checks that the encoder names its class."""
        _check_target("model.encoder", self.encoder)


@dataclass(frozen=True)
class Augmentation:
    """What a view may do to an image; see `stablerep.training.views.AugmentationSettings`."""

    min_crop: float
    jitter: float
    jitter_probability: float
    grey_probability: float
    blur_probability: float
    flip_probability: float
    downsample_probability: float
    downsample_px: list[int]

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/training/<name>.yaml"
        key = "optimisation.augmentation"
        check_range(f"{key}.downsample_px: number of values", len(self.downsample_px), 1, where=where)
        for side in self.downsample_px:
            check_range(f"{key}.downsample_px", side, 1, 8192, where=where)
        check_range("optimisation.augmentation.min_crop", self.min_crop, 0.01, 1, where=where)
        parts = ("jitter", "grey", "blur", "flip", "downsample")
        for name in ("jitter", *(f"{part}_probability" for part in parts)):
            check_range(f"optimisation.augmentation.{name}", getattr(self, name), 0, 1, where=where)


@dataclass(frozen=True)
class Optimisation:
    """How every arm is trained: alike, so that arms can be compared.

    Attributes:
        num_images: views seen by each arm, over every epoch.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW.
        warmup_share: share of the steps in which the rate rises.
        betas: of AdamW.
        augmentation: of the views.
        mixed_precision: one of `PRECISIONS`.
        log_every: steps between rows of the history.
        num_probe_captions: held out of the training for the kNN probe; 0 takes no probe.
        probe_every: steps between two probes, a multiple of log_every.
        checkpoint_every_s: seconds between checkpoints.
        checkpoint_every_steps: steps of which every multiple is kept as well; None goes by seconds alone.
        num_checkpoints: the newest ones, which are kept.
        max_grad_norm: to which gradients are clipped; None leaves them.
        ema_decay: of the average of the weights that is exported; None exports the weights.
        num_workers: processes of each arm that decode images; 0 has a thread of the training process do it.
        cache_mib: of decoded images that such a process keeps.
    """

    num_images: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    betas: list[float]
    augmentation: Augmentation
    mixed_precision: str = "no"
    log_every: int = 20
    num_probe_captions: int = 0
    probe_every: int = 20
    checkpoint_every_s: float = 60.0
    checkpoint_every_steps: int | None = None
    num_checkpoints: int = 1
    max_grad_norm: float | None = None
    ema_decay: float | None = None
    num_workers: int = 0
    cache_mib: float = 256.0

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/training/<name>.yaml"
        check_range("optimisation.num_images", self.num_images, 1, where=where)
        # bounds far outside of what anyone trains with: they keep out infinity and a rate of nothing
        check_range("optimisation.learning_rate", self.learning_rate, 1e-12, 100, where=where)
        check_range("optimisation.weight_decay", self.weight_decay, 0, 100, where=where)
        check_range("optimisation.warmup_share", self.warmup_share, 0, 1, where=where)
        check_range("optimisation.log_every", self.log_every, 1, where=where)
        check_range("optimisation.num_probe_captions", self.num_probe_captions, 0, where=where)
        check_range("optimisation.probe_every", self.probe_every, 1, where=where)
        if self.num_probe_captions and self.probe_every % self.log_every:
            raise ConfigError(
                f"optimisation.probe_every: got {self.probe_every}; must be a multiple of "
                f"optimisation.log_every = {self.log_every}. Set it in {where}."
            )
        _check_choice("optimisation.mixed_precision", self.mixed_precision, PRECISIONS)
        check_range("optimisation.checkpoint_every_s", self.checkpoint_every_s, 0, where=where)
        check_range("optimisation.num_checkpoints", self.num_checkpoints, 1, where=where)
        if self.checkpoint_every_steps is not None:
            check_range("optimisation.checkpoint_every_steps", self.checkpoint_every_steps, 1, where=where)
        for name, minimum, maximum in (("max_grad_norm", 1e-9, None), ("ema_decay", 0, 1)):
            if getattr(self, name) is not None:
                check_range(f"optimisation.{name}", getattr(self, name), minimum, maximum, where=where)
        check_range("optimisation.num_workers", self.num_workers, 0, 256, where=where)
        check_range("optimisation.cache_mib", self.cache_mib, 0, where=where)
        check_range("optimisation.betas: number of values", len(self.betas), 2, 2, where=where)
        for index, beta in enumerate(self.betas):
            # at 1 AdamW's averages never leave zero
            check_range(f"optimisation.betas[{index}]", beta, 0, 0.999999, where=where)


@dataclass(frozen=True)
class Arm:
    """One encoder of the comparison: a method on a source of images."""

    name: str
    method: str
    images: str

    def __post_init__(self) -> None:
        """Checks the name."""
        if not _ARM_NAME.fullmatch(self.name):
            raise ConfigError(
                f"arms: got the name {self.name!r}; must be of the letters A to Z and a to z, digits, _ and "
                "-, for files are called so. Rename it in conf/params/experiment/<name>.yaml."
            )


@dataclass(frozen=True)
class Probe:
    """How encoders are evaluated."""

    num_neighbours: int
    probe_c: list[float]
    num_bootstrap: int
    attributes: list[str]

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/evaluation/<name>.yaml"
        check_range("probe.num_neighbours", self.num_neighbours, 1, where=where)
        check_range("probe.num_bootstrap", self.num_bootstrap, 100, where=where)
        check_range("probe.probe_c: number of values", len(self.probe_c), 1, where=where)
        check_range("probe.attributes: number of values", len(self.attributes), 1, where=where)
        for index, strength in enumerate(self.probe_c):
            check_range(f"probe.probe_c[{index}]", strength, 1e-12, where=where)
        for index, name in enumerate(self.attributes):
            _check_choice(f"probe.attributes[{index}]", name, tuple(VOCABULARIES))


@dataclass(frozen=True)
class Study:
    """The study of the guidance scale."""

    num_trials: int
    low: float
    high: float
    num_captions: int
    images_per_caption: int
    num_images: int
    seed: int

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/tuning/<name>.yaml"
        check_range("study.num_trials", self.num_trials, 1, where=where)
        check_range("study.low", self.low, 0, where=where)
        check_range("study.high", self.high, self.low, 100, where=where)
        check_range("study.num_captions", self.num_captions, 2, where=where)
        check_range("study.images_per_caption", self.images_per_caption, 1, where=where)
        check_range("study.num_images", self.num_images, 1, where=where)


@dataclass(frozen=True)
class Pretraining(PretrainingRecipe):
    """The recipe of the embedded generator, its model card, and the processes that it is spread over."""

    card: Target = field(kw_only=True)
    num_processes: int = 1

    def __post_init__(self) -> None:
        """Checks ranges."""
        super().__post_init__()
        _check_target("pretraining_recipe.images", self.images)
        _check_target("pretraining_recipe.card", self.card)
        where = "conf/params/pretraining/<name>.yaml"
        check_range("pretraining_recipe.num_processes", self.num_processes, 1, 256, where=where)


@dataclass(frozen=True)
class Scorer(ScorerRecipe):
    """The recipe of the embedded scorer, and its model card."""

    card: Target = field(kw_only=True)

    def __post_init__(self) -> None:
        """Checks that classes are named."""
        _check_target("scorer_recipe.training", self.training)
        _check_target("scorer_recipe.card", self.card)


@dataclass(frozen=True)
class Scoring:
    """The image-text model that scores images, null for none, and the policy on the scores.

    Attributes:
        policy: see `stablerep.alignment.settings`.
        scorer: the class and its arguments; null scores nothing.
        usual_min: the image gate warns where more than one accepted image in twenty is below.
    """

    policy: AlignmentPolicy
    scorer: Target | None = None
    usual_min: float = -1.0

    def __post_init__(self) -> None:
        """Checks that the scorer names its class, and that the policy has scores to go by."""
        check_range("scoring.usual_min", self.usual_min, -1, 1, where="conf/params/alignment/<name>.yaml")
        if self.scorer is not None:
            _check_target("scoring.scorer", self.scorer)
        elif self.policy.rejects:
            raise ConfigError(
                "scoring.scorer: got null; must name a class where scoring.policy rejects images for their "
                "scores. Choose alignment=<name>, or set min_alignment to null and drop_share to 0."
            )


@dataclass(frozen=True)
class Parameters:
    """Everything that nodes are given, one field for each `params:<key>`."""

    experiment_name: str
    seed: int
    scenes: Scenes
    captions: Captions
    gates: Gates
    generation: Generation
    model: Model
    methods: dict[str, Target]
    batch: BatchSettings
    optimisation: Optimisation
    arms: list[Arm]
    probe: Probe
    study: Study
    execution: Target
    scoring: Scoring
    scorer_recipe: Scorer
    pretraining_recipe: Pretraining

    def __post_init__(self) -> None:
        """Checks what must fit together."""
        check_range("seed", self.seed, 0, 2**63 - 1, where="conf/params/experiment/<name>.yaml")
        _check_target("execution", self.execution)
        for name, method in self.methods.items():
            _check_target(f"methods.{name}", method)
        names = [arm.name for arm in self.arms]
        # a run of less than a step would train nothing
        where, num_images = "conf/params/training/<name>.yaml", self.optimisation.num_images
        check_range("optimisation.num_images", num_images, self.batch.num_views, where=where)
        for index, arm in enumerate(self.arms):
            if arm.name in names[:index]:
                raise ConfigError(
                    f"arms[{index}].name: got {arm.name!r} twice; must be unique. "
                    "Rename one in conf/params/experiment/<name>.yaml."
                )
            _check_choice(f"arms[{index}].method", arm.method, tuple(self.methods))
            _check_choice(f"arms[{index}].images", arm.images, IMAGE_SOURCES)
            self._check_batch(f"arms[{index}] ({arm.name})", arm)
        scenes = self.scenes.num_probe_train_scenes
        if self.probe.num_neighbours > scenes:
            raise ConfigError(
                f"probe.num_neighbours: got {self.probe.num_neighbours}; must be <= "
                f"scenes.num_probe_train_scenes = {scenes}, among which they are sought. "
                "Set it in conf/params/evaluation/<name>.yaml."
            )
        self._check_flips()
        if not self.arms:
            raise ConfigError("arms: got none; must name at least one. Set them in conf/params/experiment/.")

    def _check_flips(self) -> None:
        """Refuses mirror images of digits: of real scenes, and of what the embedded generator draws."""
        digits = self.generation.model_folder is None or any(arm.images != "synthetic" for arm in self.arms)
        flips = self.optimisation.augmentation.flip_probability
        if FLIPS_CHANGE_THE_MEANING and digits and flips > 0:
            raise ConfigError(
                f"optimisation.augmentation.flip_probability: got {flips:g}; must be 0 for images of digits: "
                "a mirrored two is no two. Set it to 0, or train on images of another generator: "
                "--params experiment=own_captions,generator=<name>."
            )

    def _check_batch(self, key: str, arm: Arm) -> None:
        method = f"methods.{arm.method}"
        images = _whole(method, self.methods[arm.method], "images_per_caption")
        views = _whole(method, self.methods[arm.method], "views_per_image")
        self.batch.captions_of(images * views, f"{key} of {method}")
        if arm.images == "real" and images > 1:
            raise ConfigError(
                f"{key}.images: got 'real', which is one image a caption; {method}.images_per_caption is "
                f"{images}, so must be synthetic or drawn. Set it in conf/params/experiment/<name>.yaml."
            )
        made = self.generation.images_per_caption
        if images > made:
            raise ConfigError(
                f"{method}.images_per_caption: got {images}; must be <= generation.images_per_caption = "
                f"{made}, for {key}. Set it in conf/params/method/{arm.method}.yaml."
            )


def _whole(method: str, settings: Target, name: str) -> int:
    value = settings.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{method}.{name}: got {value!r}; must be a whole number >= 1.")
    return value
