"""The groups in which an image set is measured: all images, each class, each term of the audit."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from stablerep.curation.audit import Audit
from stablerep.image_set_metrics.metric import ALL, Group
from stablerep.image_set_metrics.sample import Sample


def groups_of(
    sample: Sample,
    reference: Sample,
    tasks: Mapping[str, Sequence[str]],
    audit: Audit | None,
    min_images: int,
) -> list[Group]:
    """Returns the groups with enough images of the set, `all` first.

    Args:
        sample: of the image set.
        reference: of the reference set.
        tasks: task -> class names, of the labels of both.
        audit: whose terms are looked for in captions; a group of terms with the name of a task is left out,
            as the task's classes say the same. None for no audit.
        min_images: of the set in a group.
    """
    rows, others = np.arange(len(sample)), np.arange(len(reference))
    found = [Group(ALL, rows, others)]
    parts = [*_classes(sample, reference, tasks)]
    if audit is not None and audit.terms:
        parts += _terms(sample, reference, audit, set(tasks))
    return found + [each for each in parts if len(each.rows) >= min_images]


def _classes(sample: Sample, reference: Sample, tasks: Mapping[str, Sequence[str]]) -> Iterator[Group]:
    for task, classes in tasks.items():
        for number, name in enumerate(classes):
            rows, others = (np.flatnonzero(each.labels[task] == number) for each in (sample, reference))
            yield Group(f"{task}={name}", rows, others)


def _terms(sample: Sample, reference: Sample, audit: Audit, tasks: set[str]) -> Iterator[Group]:
    held = [
        audit.holds(pl.DataFrame({"text": each.texts}, {"text": pl.String})) for each in (sample, reference)
    ]
    for place, (group, term) in enumerate(audit.terms):
        if group not in tasks:
            yield Group(f"{group}={term}", *(np.flatnonzero(table[:, place]) for table in held))
