"""The settings of an evaluation, typed and checked."""

from dataclasses import dataclass

from stablerep.digit_scenes.scenes import ATTRIBUTES
from stablerep.errors import ConfigError, check_range

_WHERE = "conf/params/evaluation/<name>.yaml"


@dataclass(frozen=True)
class SceneSettings:
    """How many real scenes an evaluation draws.

    Attributes:
        num_probe_train_scenes: scenes of fit hands that the probes learn from.
        num_validation_scenes_per_hand: scenes of each validation hand; every choice is made on them.
        num_test_scenes_per_hand: scenes of each held-out hand.
    """

    num_probe_train_scenes: int = 4000
    num_validation_scenes_per_hand: int = 8
    num_test_scenes_per_hand: int = 4

    def __post_init__(self) -> None:
        """Checks ranges."""
        where = "conf/params/corpus/<name>.yaml"
        check_range("scenes.num_probe_train_scenes", self.num_probe_train_scenes, 1, where=where)
        for name in ("num_validation_scenes_per_hand", "num_test_scenes_per_hand"):
            check_range(f"scenes.{name}", getattr(self, name), 1, where=where)


@dataclass(frozen=True)
class ProbeSettings:
    """How features are scored.

    Attributes:
        num_neighbours: k of the nearest-neighbour vote.
        probe_c: inverse strengths of the linear probe's L2 penalty, one chosen on validation hands.
        num_bootstrap: resamples of the hands behind an interval.
        attributes: what is predicted, the headline first.
    """

    num_neighbours: int = 20
    probe_c: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    num_bootstrap: int = 2000
    attributes: tuple[str, ...] = ATTRIBUTES

    def __post_init__(self) -> None:
        """Checks ranges and names; lists become tuples."""
        object.__setattr__(self, "probe_c", tuple(float(value) for value in self.probe_c))
        object.__setattr__(self, "attributes", tuple(self.attributes))
        check_range("probe.num_neighbours", self.num_neighbours, 1, where=_WHERE)
        check_range("probe.num_bootstrap", self.num_bootstrap, 1, where=_WHERE)
        if not self.probe_c:
            raise ConfigError(f"probe.probe_c: got no value; must be at least one. Set it in {_WHERE}.")
        for value in self.probe_c:
            check_range("probe.probe_c", value, 1e-12, where=_WHERE)
        unknown = [name for name in self.attributes if name not in ATTRIBUTES]
        if unknown or not self.attributes:
            raise ConfigError(
                f"probe.attributes: got {list(self.attributes)}; must be a choice of "
                f"{', '.join(ATTRIBUTES)}. Set it in {_WHERE}."
            )
