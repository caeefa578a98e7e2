"""Files that a corpus names by a path, a glob, a list of them, or one of these per split."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stablerep.corpora.corpus import WHERE
from stablerep.errors import ConfigError, DataError

FilePatterns = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class GroupedFile(NamedTuple):
    """A file, and the split that the configuration gives to all its images, or None."""

    path: str
    split: str | None


def patterns_of(path: FilePatterns) -> list[tuple[str, str | None]]:
    """Returns every path or glob with its split.

    Raises:
        ConfigError: there is none, or one is not a string.
    """
    groups = path.items() if isinstance(path, Mapping) else [(None, path)]
    found = [
        (pattern, split)
        for split, patterns in groups
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
    ]
    if not found or not all(isinstance(pattern, str) and pattern for pattern, _ in found):
        raise ConfigError(
            f"corpus.path is {path!r}; it must be a path, a glob, a list of these, or a mapping of splits to "
            f"these. Set it in {WHERE}."
        )
    return found


def find_files(path: FilePatterns) -> list[GroupedFile]:
    """Returns the files, those of each glob in the order of their names.

    Raises:
        DataError: a pattern matches nothing, or a file is matched twice.
    """
    files: list[GroupedFile] = []
    for pattern, split in patterns_of(path):
        # a file whose own name holds brackets is not a glob
        matched = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
        matched = [name for name in matched if Path(name).is_file()]
        if not matched:
            raise DataError(f"{pattern}: no such file. Set corpus.path in {WHERE}.")
        files += [GroupedFile(name, split) for name in matched]
    names = [file.path for file in files]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"{twice[0]}: is matched twice by corpus.path; each file must be once. Set it in {WHERE}."
        )
    return files
