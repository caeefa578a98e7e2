"""Zero-shot classification: the class whose prompts are nearest to an image, without any label.

Each class has one embedding: the mean of the unit embeddings of its prompts (CLIP's ensemble,
arXiv:2103.00020, section 3.1.4). An image has the class with the highest cosine to it.
Legend: N images, F features, C classes, P prompts of a class, D dimensions of the shared space.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stablerep.errors import ConfigError
from stablerep.evaluation.evaluation import Choice, Evaluation
from stablerep.evaluation.subject import Prompts, Split, TextTower, Unlabelled


@dataclass(frozen=True, eq=False)
class _ClassTexts:
    """The classes of a task in the space that images and texts share."""

    tower: TextTower
    classes_CD: np.ndarray

    def predict(self, images_ND: np.ndarray) -> np.ndarray:
        # images of length 1 or not: the nearest class is the same
        return (images_ND @ self.classes_CD.T).argmax(axis=1)


def embed_classes(tower: TextTower, classes: tuple[str, ...], templates: tuple[str, ...]) -> np.ndarray:
    """Returns (C, D) float32 embeddings of length 1, the mean over the prompts of each class.

    Args:
        tower: embeds the prompts.
        classes: C class names.
        templates: P texts with `{}` for a class name.
    """
    prompts = [template.replace("{}", name) for name in classes for template in templates]
    mean_CD = tower.embed_texts(prompts).reshape(len(classes), len(templates), -1).mean(axis=1)
    # a mean of length 0 stays 0
    return mean_CD / np.maximum(np.linalg.norm(mean_CD, axis=1, keepdims=True), np.finfo(np.float32).tiny)


class ZeroShot(Evaluation):
    """Accuracy of the nearest class in the space of images and texts; nothing is learned or chosen."""

    name = "zero_shot"
    version = 1
    needs_text = True

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Embeds the prompts of each task's classes; train images are not used.

        Raises:
            ValueError: the encoder has no text tower.
            ConfigError: a task has no prompts.
        """
        del train
        if prompts is None:
            raise ValueError("zero_shot: got no text tower; it applies to encoders that have one")
        images_ND = prompts.tower.embed_features(validation.features)
        choices = {}
        for task, classes in validation.tasks.items():
            templates = prompts.templates.get(task)
            if not templates:
                raise ConfigError(
                    f"zero_shot: task {task!r} has no prompts; it must have at least one, a text with {{}} "
                    "for a class name. Set prompts of the evaluation set, or leave out zero_shot."
                )
            texts = _ClassTexts(prompts.tower, embed_classes(prompts.tower, classes, templates))
            choices[task] = Choice(validation.accuracy(task, texts.predict(images_ND)), {}, texts)
        return choices

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Classifies test images; they are embedded once for all tasks."""
        tower = next(iter(choices.values())).state.tower
        images_ND = tower.embed_features(images.features)
        return {task: choice.state.predict(images_ND) for task, choice in choices.items()}
