"""The policy on misaligned images, typed and checked: the part `scoring.policy` of the configuration."""

from dataclasses import dataclass

from stablerep.errors import ConfigError, check_range

_WHERE = "conf/params/alignment/<name>.yaml"
DROP, REMAKE = "drop", "remake"


@dataclass(frozen=True)
class AlignmentPolicy:
    """Which images are rejected for their score, and what becomes of them.

    Attributes:
        min_alignment: images below are rejected; None for no bound.
        drop_share: this share of the first-drawn images, the worst over all captions, is rejected too.
        on_reject: `drop`, or `remake`: drawn again with further seeds.
        max_remakes: further images of a caption, at most.
    """

    min_alignment: float | None = None
    drop_share: float = 0.0
    on_reject: str = DROP
    max_remakes: int = 0

    def __post_init__(self) -> None:
        """Checks ranges and what must fit together.

        Raises:
            ConfigError: a value is out of range, or would be ignored.
        """
        if self.min_alignment is not None:
            check_range("scoring.policy.min_alignment", self.min_alignment, -1, 1, where=_WHERE)
        # above a half it is no longer the worst that go
        check_range("scoring.policy.drop_share", self.drop_share, 0, 0.5, where=_WHERE)
        if self.on_reject not in (DROP, REMAKE):
            raise ConfigError(
                f"scoring.policy.on_reject: got {self.on_reject!r}; must be {DROP} or {REMAKE}. "
                f"Set it in {_WHERE}."
            )
        if self.on_reject == REMAKE:
            check_range("scoring.policy.max_remakes", self.max_remakes, 1, 100, where=_WHERE)
        elif self.max_remakes:
            raise ConfigError(
                f"scoring.policy.max_remakes: got {self.max_remakes}; must be 0 where on_reject is {DROP}. "
                f"Set on_reject to {REMAKE}, or max_remakes to 0, in {_WHERE}."
            )

    @property
    def remakes(self) -> bool:
        """Whether rejected images are drawn again."""
        return self.on_reject == REMAKE

    @property
    def rejects(self) -> bool:
        """Whether any image can be rejected for its score."""
        return self.min_alignment is not None or self.drop_share > 0
