"""The corpus that the configuration names by `_target_`."""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.config.build import build

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.corpora.corpus import Corpus

_WHERE = "conf/params/corpus/<name>.yaml"
_WHERE_SET = "conf/params/experiment/<name>.yaml"
# `corpus.path`, but not stablerep.corpora.corpus.Corpus
_KEY = re.compile(r"(?<![\w./])corpus\.([a-z_]+)")


class CorporaOfRun:
    """The corpora that were built in a run: its checks and nodes share one listing of each.

    To list a corpus, a folder is walked or tables are read. Outside a run nothing is kept, because files may
    change between two runs of a process. A process of a node's own (ParallelRunner) may build a corpus again.
    """

    def __init__(self) -> None:
        self._built: dict[str, Corpus] | None = None

    def keep(self) -> None:
        """Begins with none, and keeps what is built from now on."""
        self._built = {}

    def forget(self) -> None:
        """Drops all, and keeps no more."""
        self._built = None

    def find(self, entry: Mapping[str, Any]) -> "Corpus | None":
        """Returns the corpus that was built of an entry with the same values, in the same order."""
        return None if self._built is None else self._built.get(repr(entry))

    def add(self, entry: Mapping[str, Any], corpus: "Corpus") -> None:
        """Keeps a corpus if there is a run."""
        if self._built is not None:
            self._built[repr(entry)] = corpus


CORPORA = CorporaOfRun()


def build_corpus(corpus: dict[str, Any], key: str = "corpus", where: str = _WHERE) -> "Corpus":
    """Returns the corpus, or the evaluation set, of an entry; a fault names the entry's key.

    In a run, an entry is built once.
    """
    from stablerep.corpora.corpus import Corpus
    from stablerep.errors import ConfigError

    if (kept := CORPORA.find(corpus)) is not None:
        return kept
    made = build(key, corpus, where)
    if not isinstance(made, Corpus):
        raise ConfigError(
            f"{key}._target_: {corpus['_target_']} is a {type(made).__name__}; it must be a corpus, a class "
            f"derived from stablerep.corpora.corpus.Corpus. Set it in {where}."
        )
    CORPORA.add(corpus, made)
    return made


def build_evaluation_set(name: str, entry: dict[str, Any]) -> "Corpus":
    """Returns an evaluation set of the experiment; a fault names the set's keys."""
    with naming_evaluation_set(name, entry):
        return build_corpus(entry, f"evaluation_sets.{name}", _WHERE_SET)


def corpus_of_set(image_set: str, parameters: Mapping[str, Any], corpus: "Corpus") -> "Corpus":
    """Returns the corpus of an image set's real images: an evaluation set, or the experiment's corpus.

    Args:
        image_set: its name.
        parameters: as composed; of them `image_sets` and `evaluation_sets`.
        corpus: of the experiment.
    """
    named = parameters["image_sets"][image_set].get("evaluation_set")
    return build_evaluation_set(named, parameters["evaluation_sets"][named]) if named else corpus


@contextmanager
def naming_evaluation_set(name: str, entry: Mapping[str, Any]) -> Iterator[None]:
    """Makes faults of a corpus in the block name the keys of the evaluation set that it is.

    A corpus does not know where its settings stand: its messages say `corpus.path` and the corpus's file.

    Args:
        name: of the evaluation set.
        entry: the set's entry.

    Raises:
        StableRepError: the same error with `evaluation_sets.<name>.path` and the experiment's file.
    """
    from stablerep.errors import StableRepError

    try:
        yield
    except StableRepError as error:
        renamed = copy.copy(error)
        renamed.args = (_renamed(str(error), f"evaluation_sets.{name}", _keys_of(entry)),)
        raise renamed from error


def _renamed(message: str, key: str, settings: set[str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        # a file may be called corpus.csv
        return f"{key}.{found[1]}" if found[1] in settings else found[0]

    text = _KEY.sub(replaced, message).replace(_WHERE, _WHERE_SET)
    text = text.removeprefix("corpus: ")
    return text if text.startswith((f"{key}.", f"{key}:")) else f"{key}: {text}"


def _keys_of(entry: Mapping[str, Any]) -> set[str]:
    """Returns the settings of the class that an entry names, also those that it leaves out."""
    import inspect
    import pkgutil

    try:
        return {*entry, *inspect.signature(pkgutil.resolve_name(entry["_target_"])).parameters}
    except (ImportError, AttributeError, TypeError, ValueError):
        # there is no such class: only its name can be at fault
        return set(entry)


def index_of(corpus: "Corpus", key: str, previous: "pd.DataFrame | None") -> "pd.DataFrame":
    """Returns the table of a corpus's real images.

    Args:
        corpus: with images.
        key: of its entry, for the message.
        previous: an earlier table; what did not change since is not read again.

    Raises:
        ConfigError: it has no images of its own.
    """
    from stablerep.errors import ConfigError

    table = corpus.index(previous)
    if table is None:
        raise ConfigError(
            f"{key}: corpus {corpus.name!r} has no images of its own. Choose a corpus with images, or image "
            "sets of source generated or rendered."
        )
    return table
