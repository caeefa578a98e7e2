"""The corpus that the configuration names by `_target_`."""

from typing import TYPE_CHECKING, Any

from pipelines.config.build import build

if TYPE_CHECKING:
    import pandas as pd

    from stablerep.corpora.corpus import Corpus

_WHERE = "conf/params/corpus/<name>.yaml"


def build_corpus(corpus: dict[str, Any], key: str = "corpus", where: str = _WHERE) -> "Corpus":
    """Returns the corpus, or the evaluation set, of an entry; a fault names the entry's key."""
    from stablerep.corpora.corpus import Corpus
    from stablerep.errors import ConfigError

    made = build(key, corpus, where)
    if not isinstance(made, Corpus):
        raise ConfigError(
            f"{key}._target_: {corpus['_target_']} is a {type(made).__name__}; it must be a corpus, a class "
            f"derived from stablerep.corpora.corpus.Corpus. Set it in {where}."
        )
    return made


def build_evaluation_set(name: str, entry: dict[str, Any]) -> "Corpus":
    """Returns an evaluation set of the experiment."""
    return build_corpus(entry, f"evaluation_sets.{name}", "conf/params/experiment/<name>.yaml")


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
