"""Captions of labelled images from templates, for images that have none: `a photo of a {class}`.

Source: the prompts of CLIP (arXiv:2103.00020, section 3.1.4), as training captions.
"""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from stablerep.corpora.corpus import UNKNOWN_LABEL, WHERE, Task, label_column
from stablerep.corpora.splits import uniform_of
from stablerep.errors import ConfigError, DataError


def read_templates(templates: Sequence[str] | str) -> list[str]:
    """Returns the templates, from a text file with one per line where a path is given.

    Raises:
        DataError: the file cannot be read.
        ConfigError: there is none.
    """
    if isinstance(templates, str):
        try:
            lines = Path(templates).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise DataError(
                f"{templates}: cannot be read ({error}); must be a text file with one template per line. Set "
                f"corpus.caption_templates in {WHERE}."
            ) from error
        templates = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not templates:
        raise ConfigError(
            "corpus.caption_templates has no template; must have at least one, such as "
            f"`a photo of a {{class}}`, or be null. Set it in {WHERE}."
        )
    return list(templates)


def captions_from_labels(
    table: pd.DataFrame, tasks: Mapping[str, Task], templates: Sequence[str]
) -> list[list[str]]:
    """Returns the captions of a table's images: their own, or one from a template for images without any.

    Which template follows from a hash of the image's key, so that other images change nothing about it.

    Args:
        table: listing of images, with labels as indices.
        tasks: of the labels, by name.
        templates: a task's name in braces stands for the image's class.

    Returns:
        A list for each image; empty where the image has no caption of its own and lacks a label that its
        template names.

    Raises:
        ConfigError: a template names no task, or one that there is not.
    """
    fields = [_fields_of(template, tasks) for template in templates]
    labels = {name: table[label_column(name)].tolist() for name in tasks}
    written = []
    for row, (key, own) in enumerate(zip(table["key"], table["captions"], strict=True)):
        chosen = int(uniform_of(f"caption template of {key}") * len(templates))
        named = {name: labels[name][row] for name in fields[chosen]}
        if any(text.strip() for text in own):
            written.append(list(own))
        elif UNKNOWN_LABEL in named.values():
            written.append([])
        else:
            classes = {name: tasks[name].classes[label] for name, label in named.items()}
            written.append([templates[chosen].format_map(classes)])
    return written


def _fields_of(template: str, tasks: Mapping[str, Task]) -> set[str]:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        fields = set()
    if not fields or not fields <= set(tasks):
        known = ", ".join(f"{{{name}}}" for name in tasks) or "none, as the images have no labels"
        raise ConfigError(
            f"corpus.caption_templates: got {template!r}; must have the name of a task in braces in place "
            f"of the class, and nothing else in braces. The tasks are: {known}. Set it in {WHERE}."
        )
    return fields
