"""The settings of a training run, typed and checked."""

from dataclasses import dataclass, field

from stablerep.errors import ConfigError, check_range
from stablerep.methods.batch import BatchSettings
from stablerep.training.views import AugmentationSettings


@dataclass(frozen=True)
class OptimisationSettings:
    """How an arm is trained; the same for every arm of an experiment.

    Attributes:
        num_images: views seen in all.
        batch: what a step holds.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW; not on norms and biases.
        betas: of AdamW.
        warmup_share: share of the steps with a rising rate.
        mixed_precision: `no` or `bf16`.
        log_every: steps between rows of the history.
        num_probe_captions: held out of the training for the kNN probe; 0 takes no probe.
        probe_every: steps between two probes, a multiple of log_every.
        checkpoint_every_s: seconds between checkpoints.
        checkpoint_every_steps: steps of which every multiple is kept as well; None goes by seconds alone.
        num_checkpoints: the newest ones, which are kept.
        max_grad_norm: to which gradients are clipped; None leaves them.
        ema_decay: of the moving average of the weights that is exported; None exports the weights.
        num_workers: processes of each arm that decode images; 0 has a thread of its own do it.
        cache_mib: of decoded images that such a process keeps.
        augmentation: of the views.
    """

    num_images: int = 64_000
    batch: BatchSettings = field(default_factory=lambda: BatchSettings(captions=32, images_per_caption=4))
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    warmup_share: float = 0.1
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
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name in ("num_images", "log_every", "probe_every", "num_checkpoints"):
            check_range(f"optimisation.{name}", getattr(self, name), 1)
        check_range("optimisation.learning_rate", self.learning_rate, 0)
        check_range("optimisation.checkpoint_every_s", self.checkpoint_every_s, 0)
        if self.checkpoint_every_steps is not None:
            check_range("optimisation.checkpoint_every_steps", self.checkpoint_every_steps, 1)
        check_range("optimisation.warmup_share", self.warmup_share, 0, 1)
        check_range("optimisation.num_workers", self.num_workers, 0, 256)
        check_range("optimisation.cache_mib", self.cache_mib, 0)
        check_range("optimisation.num_probe_captions", self.num_probe_captions, 0)
        if self.num_probe_captions and self.probe_every % self.log_every:
            raise ConfigError(
                f"optimisation.probe_every: got {self.probe_every}; must be a multiple of "
                f"optimisation.log_every = {self.log_every}. Set it in conf/params/training/<name>.yaml."
            )
        if self.max_grad_norm is not None:
            check_range("optimisation.max_grad_norm", self.max_grad_norm, 1e-9)
        if self.ema_decay is not None:
            check_range("optimisation.ema_decay", self.ema_decay, 0, 1)

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return max(1, self.num_images // self.batch.num_views)


@dataclass(frozen=True)
class HeadSettings:
    """The projection head; 4096, 256 and per_view in the authors' code."""

    hidden_dim: int = 512
    out_dim: int = 128
    batch_norm: str = "global"


@dataclass(frozen=True)
class TextSettings:
    """The text tower's sizes."""

    width: int = 128
    num_layers: int = 2
    num_heads: int = 4
    out_dim: int = 128
