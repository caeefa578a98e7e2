"""Faults of a corpus that would spoil a result or end a run late: reported before anything else is done."""

import logging
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from stablerep.corpora.corpus import SPLITS, WHERE, Task, label_column
from stablerep.corpora.image_table import NUM_UNREADABLE, UNREADABLE
from stablerep.errors import DataError

logger = logging.getLogger(__name__)
_NUM_SHOWN = 5


def check_listing(listing: pd.DataFrame, tasks: Mapping[str, Task]) -> None:
    """Looks for faults that the listing shows.

    Raises:
        DataError: two images have one key, a split has no images, a unit is in two splits, or the labels of
            a task have a fault (see `check_labels`).
    """
    repeated = listing.loc[listing["key"].duplicated(), "key"].unique()
    if len(repeated):
        raise DataError(
            f"corpus: {len(repeated)} keys stand for more than one image: {_shown(repeated)}; keys must be "
            "unique. Rename the images, or choose another key column."
        )
    num_in = listing["split"].value_counts()
    empty = [split for split in SPLITS if split not in num_in]
    if empty:
        raise DataError(
            f"corpus: {' and '.join(empty)} would have no images: there are {len(listing)} in all; each "
            f"split must have one. Add images, or change corpus.split_shares in {WHERE}."
        )
    if not listing["unit"].equals(listing["key"]):
        num_splits = listing.groupby("unit", sort=True)["split"].nunique()
        torn = num_splits[num_splits > 1].index
        if len(torn):
            raise DataError(
                f"corpus: {len(torn)} units have images in more than one split: {_shown(torn)}; a unit must "
                "be in one. Change the split column, or the unit column."
            )
    for task in tasks.values():
        check_labels(listing, task)


def check_labels(listing: pd.DataFrame, task: Task) -> None:
    """Looks for faults in the labels of a task.

    Raises:
        DataError: there is one class only, a class has one image, a split has no labels, or a class that is
            tested has no images to train on although its split was given.
    """
    labelled = listing[listing[label_column(task.name)] >= 0]
    num_of = labelled[label_column(task.name)].value_counts()
    if len(num_of) < 2:
        got = "none" if num_of.empty else f"only {task.classes[num_of.index[0]]!r}"
        raise DataError(
            f"corpus: task {task.name!r} must have images of at least two classes; it has {got}. Give each "
            "class a folder or a label, or do not name a label column."
        )
    single = sorted(task.classes[label] for label in num_of[num_of == 1].index)
    if single:
        raise DataError(
            f"corpus: {len(single)} classes of task {task.name!r} have one image: {_shown(single)}; a class "
            "must have at least two, to train and to test on. Add images, or remove these classes."
        )
    unlabelled = [split for split in SPLITS if split not in set(labelled["split"])]
    if unlabelled:
        raise DataError(
            f"corpus: {' and '.join(unlabelled)} has no labels of task {task.name!r} and another split has; "
            "each must have labels. Leave the split without labels out, then it is made from train."
        )
    _check_tested_classes(labelled, task)


def _check_tested_classes(labelled: pd.DataFrame, task: Task) -> None:
    in_train = set(labelled.loc[labelled["split"] == "train", label_column(task.name)])
    others = labelled[~labelled[label_column(task.name)].isin(in_train)]
    if others.empty:
        return
    names = sorted({task.classes[label] for label in others[label_column(task.name)]})
    fault = (
        f"{len(names)} classes of task {task.name!r} are in another split and not in train: {_shown(names)}"
    )
    if others["split_given"].any():
        raise DataError(
            f"corpus: {fault}. Add images of these classes to train, or remove them from the others."
        )
    logger.warning("%s. An encoder cannot be right on them; add images of these classes.", fault)


def num_shared(table: pd.DataFrame) -> dict[str, int]:
    """Returns for each two splits how many images of the second are in the first, too, byte for byte."""
    digests = {split: table.loc[table["split"] == split, "digest"] for split in SPLITS}
    return {f"{a}/{b}": int(digests[b].isin(set(digests[a])).sum()) for a, b in combinations(SPLITS, 2)}


def check_shared(table: pd.DataFrame, max_share: float) -> None:
    """Warns where images of test are in train, too.

    Raises:
        DataError: they are more than `max_share` of the test images.
    """
    _check_shared_of("test", table, table, "train", max_share)


def check_shared_with(corpus_images: pd.DataFrame, table: pd.DataFrame, max_share: float, key: str) -> None:
    """Warns where validation or test images of an evaluation set are in the corpus's train split, too.

    Images without a digest are not compared.

    Args:
        corpus_images: the table of the corpus that arms are trained on.
        table: of the evaluation set.
        max_share: of a split's images.
        key: of the evaluation set's entry, for the warning.

    Raises:
        DataError: they are more than `max_share` of a split's images.
    """
    for split in SPLITS[1:]:
        _check_shared_of(split, table, corpus_images, "the corpus's train split", max_share, f"{key}: ")


def _check_shared_of(
    split: str, table: pd.DataFrame, trained_on: pd.DataFrame, where: str, max_share: float, key: str = ""
) -> None:
    tested = table[table["split"] == split]
    digests = set(trained_on.loc[trained_on["split"] == "train", "digest"].dropna()) - {""}
    shared = tested.loc[tested["digest"].isin(digests), "key"]
    if shared.empty:
        return
    fault = (
        f"{len(shared)} of {len(tested)} {split} images are in {where}, too, byte for byte: {_shown(shared)}"
    )
    if len(shared) > max_share * len(tested):
        raise DataError(
            f"corpus: {fault}; at most {max_share:.1%} may be. Remove them, or raise corpus.max_shared_share "
            f"in {WHERE}."
        )
    logger.warning("%s%s. Accuracies on %s are too high by up to this share.", key, fault, split)


def facts_of(table: pd.DataFrame, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Returns what a report says of an image table; plain values that JSON can hold.

    `num_unreadable` is None where the table lost its attributes on the way.
    """
    num_in = {split: int((table["split"] == split).sum()) for split in SPLITS}
    given = [split for split in SPLITS if table.loc[table["split"] == split, "split_given"].all()]
    return {
        "num_images": len(table),
        "num_unreadable": table.attrs.get(NUM_UNREADABLE),
        "unreadable": list(table.attrs.get(UNREADABLE, [])),
        "num_images_per_split": num_in,
        "given_splits": given,
        "made_splits": [split for split in SPLITS if split not in given],
        "num_shared": num_shared(table),
        "num_captions": int(table["captions"].map(len).sum()),
        "num_units": int(table["unit"].nunique()),
        "num_labelled": {name: int((table[label_column(name)] >= 0).sum()) for name in tasks},
    }


def _shown(names: Iterable[Any]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _NUM_SHOWN} more" if len(shown) > _NUM_SHOWN else ""
    return ", ".join(repr(str(name)) for name in shown[:_NUM_SHOWN]) + more
