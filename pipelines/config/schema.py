"""The whole configuration: one field for each section, and what must fit together.

A section's own settings stand in the library, next to the code that uses them. Mappings with `_target_` stay
free: the class that they name checks its own arguments when a node makes it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from pipelines.config.arm_plan import head_of, training_of
from stablerep.alignment.settings import AlignmentPolicy, AlignmentSettings, ScorerRecipe
from stablerep.curation.settings import CurationSettings
from stablerep.errors import shortened
from stablerep.evaluation.reference_settings import ReferenceSettings
from stablerep.generation.diffusion.settings import GeneratorSettings
from stablerep.generation.image_sets.settings import ImageSetSettings
from stablerep.generation.pretraining.recipe import PretrainingRecipe
from stablerep.image_set_metrics.settings import SetComparisonSettings
from stablerep.models.settings import EncoderSettings
from stablerep.nearest_name import must_be_one_of
from stablerep.reporting.settings import ReportingSettings
from stablerep.settings import SettingError, Settings, Target, Values
from stablerep.training.settings import ArmSettings, TrainingSettings
from stablerep.tuning.settings import TuningSettings
from stablerep.validation.settings import ValidationSettings

T = TypeVar("T")
# They become names of files and folders, of MLflow runs, and anchors of the report.
_MAX_NAME = 100
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{_MAX_NAME}}}")
_SEED_MARK = "_seed_"  # between an arm's name and its seed in the names of datasets and folders


def _without_removed(entries: Any) -> Any:
    """Leaves out what a file or `--params` set to null: so an entry of another file is removed."""
    if isinstance(entries, Mapping):
        return {name: entry for name, entry in entries.items() if entry is not None}
    return entries


Named = Annotated[dict[str, T], BeforeValidator(_without_removed)]


class Parameters(Settings):
    """Everything that nodes are given, one field for each `params:<key>`."""

    experiment_name: str
    size_name: str = Field("full", description="of the group `size`; figures of a smoke run say nothing")
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=2**63 - 1)], ...], Values] = Field(
        min_length=1,
        description="each arm is trained once per seed; the first one seeds everything else",
    )
    corpus: Target
    curation: CurationSettings
    validation: ValidationSettings
    generator: GeneratorSettings
    alignment: AlignmentSettings
    encoder: EncoderSettings
    method: Named[Target]
    training: TrainingSettings
    evaluation: Named[Target]
    references: Named[ReferenceSettings]
    set_metrics: Named[Target]
    set_comparison: SetComparisonSettings
    extractor: Target
    reporting: ReportingSettings
    tuning: TuningSettings
    pretraining: PretrainingRecipe
    scorer: ScorerRecipe
    executor: Target
    image_sets: Named[ImageSetSettings]
    arms: Named[ArmSettings]
    evaluation_sets: Named[Target]

    @model_validator(mode="after")
    def _check_what_must_fit(self) -> "Parameters":
        if len(set(self.seeds)) < len(self.seeds):
            raise SettingError("seeds", f"got {list(self.seeds)!r}; must differ from each other")
        for key in ("experiment_name", "size_name"):
            _check_name(key, getattr(self, key))
        for section in ("image_sets", "arms", "evaluation_sets"):
            _check_names(section, getattr(self, section))
        for name in self.references:
            self._check_reference(name)
        self._check_reference_set()
        for name in self.image_sets:
            self._check_evaluation_set_of(name)
            self._check_sets_needed_by(name, ())
            if self.image_sets[name].source == "generated":
                self.generator_of(name)
                self._check_policy_of(name)
        for name in self.training.augmentation_by_method:
            if name not in self.method:
                key = f"training.augmentation_by_method.{name}"
                raise SettingError(key, f"unknown key; {must_be_one_of(name, self.method)} Null removes it.")
        for name in self.arms:
            self._check_arm(name)
        return self

    def _check_reference_set(self) -> None:
        reference = self.set_comparison.reference.evaluation_set
        if reference is not None and reference not in self.evaluation_sets:
            known = must_be_one_of(reference, self.evaluation_sets)
            raise SettingError("set_comparison.reference.evaluation_set", f"got {reference!r}; {known}")

    def generator_of(self, image_set: str) -> GeneratorSettings:
        """Returns the generator's settings for an image set: those of `generator`, with the set's own keys.

        Raises:
            ConfigError: a key of the set is unknown or out of range.
        """
        values = self.generator.model_dump() | self.image_sets[image_set].generator_overrides
        return GeneratorSettings.read(values, f"image_sets.{image_set}")

    def _check_policy_of(self, image_set: str) -> None:
        """Raises ConfigError where a set changes an unknown key of the policy, or beyond its range."""
        own = self.image_sets[image_set].policy
        policy = AlignmentPolicy.read(
            self.alignment.policy.model_dump() | own, f"image_sets.{image_set}.policy"
        )
        if policy.rejects and self.alignment.scorer is None:
            raise SettingError(
                f"image_sets.{image_set}.policy", f"got {own!r}; must reject nothing, as no scorer is chosen"
            )

    def training_of(self, arm: str) -> TrainingSettings:
        """Returns the training's settings for an arm: those of `training`, its method's views, its own keys.

        Raises:
            ConfigError: a key of the arm is unknown or out of range.
        """
        return training_of(arm, self.arms[arm].model_dump(), self.training.model_dump())

    def images_per_caption_of(self, image_set: str) -> int | None:
        """Returns how many images a set has of each caption; None where only the images tell it."""
        settings = self.image_sets[image_set]
        if settings.source == "generated":
            return self.generator_of(image_set).images_per_caption
        return settings.images_per_caption or (1 if settings.source == "rendered" else None)

    def _check_sets_needed_by(self, name: str, above: tuple[str, ...]) -> None:
        """Raises SettingError where a set needs one that is not there, or needs itself."""
        settings, key = self.image_sets[name], f"image_sets.{name}"
        needed = [(f"{key}.of", part) for part in settings.of or {}]
        if settings.as_many_as is not None:
            needed.append((f"{key}.as_many_as", settings.as_many_as))
        others = {*self.image_sets} - {name}
        for where, other in needed:
            if other not in self.image_sets:
                raise SettingError(where, f"got {other!r}; {must_be_one_of(other, others)}")
            if other in (*above, name):
                chain = " needs ".join((*above, name, other))
                raise SettingError(where, f"got {other!r}; a set must not need itself: {chain}")
            self._check_sets_needed_by(other, (*above, name))

    def _check_compute_of(self, name: str) -> None:
        """Raises SettingError where an arm follows one that is not there, or that follows another."""
        other, key = self.arms[name].as_much_compute_as, f"arms.{name}.as_much_compute_as"
        if other is None:
            return
        free = [each for each, arm in self.arms.items() if each != name and arm.as_much_compute_as is None]
        if other not in free:
            raise SettingError(key, f"got {other!r}; {must_be_one_of(other, free)}")

    def _check_evaluation_set_of(self, image_set: str) -> None:
        """Raises SettingError for a set of an evaluation set that is not there, and for a mixture of such."""
        settings, key = self.image_sets[image_set], f"image_sets.{image_set}"
        named = settings.evaluation_set
        if named is not None and named not in self.evaluation_sets:
            must = must_be_one_of(named, self.evaluation_sets)
            raise SettingError(f"{key}.evaluation_set", f"got {named!r}; {must}")
        for part in settings.of or {}:
            if part in self.image_sets and self.image_sets[part].evaluation_set is not None:
                told = f"got {part!r}; must be without sets of an evaluation set, which cannot be mixed"
                raise SettingError(f"{key}.of", told)

    def _check_reference(self, name: str) -> None:
        _check_name("references", name)
        if name in self.arms:
            raise SettingError("references", f"got the name {name!r}; must be other than that of an arm")

    def _check_arm(self, name: str) -> None:
        arm, key = self.arms[name], f"arms.{name}"
        for field, known in (("method", self.method), ("images", self.image_sets)):
            given = getattr(arm, field)
            if given not in known:
                raise SettingError(f"{key}.{field}", f"got {given!r}; {must_be_one_of(given, known)}")
        self._check_compute_of(name)
        head_of(name, arm.model_dump(), self.encoder.model_dump())
        training, method = self.training_of(name), f"method.{arm.method}"
        images = _count(method, self.method[arm.method], "images_per_caption")
        views = _count(method, self.method[arm.method], "views_per_image")
        training.batch.captions_of(images * views, f"{key} with {method}")
        num_views = training.batch.num_views
        if training.num_images is not None and training.num_images < num_views:
            # fewer than one step would train nothing
            own = "num_images" in arm.training
            raise SettingError(
                f"{key}.training.num_images" if own else "training.num_images",
                f"got {training.num_images!r}; must be >= {num_views}, the views of one step",
            )
        there = self.images_per_caption_of(arm.images)
        if there is not None and images > there and not arm.if_possible:
            raise SettingError(
                f"{key}.images",
                f"got {arm.images!r}, a set with {there} images per caption; {method}.images_per_caption is "
                f"{images}, so must be a set with as many. Change {method}.images_per_caption, or "
                f"image_sets.{arm.images}.images_per_caption",
            )


def _check_names(section: str, entries: Mapping[str, Any]) -> None:
    if not entries:
        raise SettingError(section, "got none; must name at least one")
    for name in entries:
        _check_name(section, name)
        if _SEED_MARK in name:
            raise SettingError(
                section, f"got the name {name!r}; must be without {_SEED_MARK!r}, which marks a seed"
            )


def _check_name(key: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingError(
            key,
            f"got the name {shortened(name)}; must be made of A to Z, a to z, 0 to 9, _ and -, at "
            f"most {_MAX_NAME} characters: files are named after it",
        )


def _count(method: str, settings: Mapping[str, Any], name: str) -> int:
    value = settings.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingError(f"{method}.{name}", f"got {value!r}; must be an integer >= 1")
    return value
