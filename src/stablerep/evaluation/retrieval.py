"""Retrieval between the images of an evaluation set and their captions, for encoders with a text tower.

Text to image: of all images, those nearest to a caption. Image to text: of all different captions, those
nearest to an image. Recall at K is the share of queries with a correct item among their K nearest by
cosine similarity (as in CLIP, arXiv:2103.00020, appendix E). If several images have the same caption,
letter by letter, all are correct for it. A wrong item that is as near as the nearest correct one counts as
nearer, so an encoder that maps everything to one point finds nothing.

An image counts once: its score is the mean over its captions. Nothing is learned or chosen.
Legend: N images with captions, T different texts, Q queries, I items, D dimensions of the shared space.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stablerep.evaluation.evaluation import Choice, Evaluation, Measured
from stablerep.evaluation.subject import Prompts, Split, Unlabelled
from stablerep.settings import Settings, Values

TASK = "captions"  # in the tables, where other evaluations have a task with labels
_QUERIES_AT_A_TIME = 1024


class RetrievalSettings(Settings):
    """Settings of the retrieval."""

    section: ClassVar[str] = "evaluation.retrieval"

    num_nearest: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Values] = Field(
        default=(1, 5, 10), min_length=1, description="values of K; each is a metric in either direction"
    )


_DEFAULT = RetrievalSettings()


def rank_of_right(queries_QD: np.ndarray, items_ID: np.ndarray, right: Sequence[np.ndarray]) -> np.ndarray:
    """Returns (Q,) int64: how many wrong items are at least as near as the nearest correct one.

    Args:
        queries_QD: (Q, D) of length 1.
        items_ID: (I, D) of length 1.
        right: for each query the rows of the right items, at least one.
    """
    ranks = np.empty(len(queries_QD), np.int64)
    for start in range(0, len(queries_QD), _QUERIES_AT_A_TIME):
        similarities = queries_QD[start : start + _QUERIES_AT_A_TIME] @ items_ID.T
        for place, of_query in enumerate(similarities, start):
            of_right = of_query[right[place]]
            best = of_right.max()
            ranks[place] = (of_query >= best).sum() - (of_right >= best).sum()
    return ranks


class Retrieval(Evaluation):
    """Recall of images by caption and of captions by image.

    Args:
        num_nearest: see `RetrievalSettings`.

    Raises:
        ConfigError: a setting is out of its bounds.
    """

    name = "retrieval"
    version = 1
    needs_text = True
    needs_captions = True

    def __init__(self, num_nearest: Sequence[int] = _DEFAULT.num_nearest) -> None:
        self.settings = RetrievalSettings(num_nearest=tuple(num_nearest))

    def choose(self, train: Split, validation: Split, prompts: Prompts | None) -> dict[str, Choice]:
        """Measures the validation images; nothing is chosen, and train images are not used.

        Raises:
            ValueError: the encoder has no text tower.
        """
        del train
        if prompts is None:
            raise ValueError("retrieval: got no text tower; it applies to encoders that have one")
        choice = Choice(0.0, {}, prompts.tower)
        known = self.known(validation, TASK)
        embedded = self.score({TASK: choice}, validation.unlabelled())[TASK]
        measured = self.measure(choice, embedded[known], self.right(validation, TASK)[known])
        first = next(iter(measured.values()))
        return {TASK: Choice(float(first.scores.mean()), {}, prompts.tower)}

    def score(self, choices: Mapping[str, Choice], images: Unlabelled) -> dict[str, np.ndarray]:
        """Returns (N, D) embeddings of the images."""
        return {task: choice.state.embed_features(images.features) for task, choice in choices.items()}

    def known(self, split: Split, task: str) -> np.ndarray:
        """Returns (N,) bool: which images have captions; the others are not items either."""
        return np.array([len(texts) > 0 for texts in split.captions], bool)

    def right(self, split: Split, task: str) -> np.ndarray:
        """Returns (N,) the captions of each image."""
        found = np.empty(len(split.captions), object)
        for image, texts in enumerate(split.captions):  # numpy would turn tuples of equal length into rows
            found[image] = texts
        return found

    def measure(self, choice: Choice, predicted: np.ndarray, right: np.ndarray) -> dict[str, Measured]:
        """Returns recall at each K, of images by text and of texts by image.

        Args:
            choice: its state is the text tower.
            predicted: (N, D) embeddings of the images with captions.
            right: (N,) their captions.
        """
        texts = list(dict.fromkeys(text for of_image in right for text in of_image))
        place_of = {text: place for place, text in enumerate(texts)}
        texts_of_image = [np.unique([place_of[text] for text in of_image]) for of_image in right]
        images_of_text: list[list[int]] = [[] for _ in texts]
        for image, of_image in enumerate(texts_of_image):
            for text in of_image:
                images_of_text[text].append(image)
        texts_TD = choice.state.embed_texts(texts)
        of_texts = rank_of_right(texts_TD, predicted, [np.array(images) for images in images_of_text])
        of_images = rank_of_right(predicted, texts_TD, texts_of_image)
        found = {}
        for num in self.settings.num_nearest:
            hits = [np.mean([of_texts[place_of[text]] < num for text in of_image]) for of_image in right]
            found[f"text_to_image_recall_at_{num}"] = Measured(np.array(hits))
        for num in self.settings.num_nearest:
            found[f"image_to_text_recall_at_{num}"] = Measured(of_images < num)
        return found
