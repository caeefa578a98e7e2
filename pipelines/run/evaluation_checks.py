"""Whether evaluation sets and evaluations can be used: checked before the first node, see `preflight`."""

from typing import TYPE_CHECKING, Any

from pipelines.config.corpus import build_corpus, build_evaluation_set, naming_evaluation_set
from pipelines.run.items import evaluation_set_of
from stablerep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from stablerep.corpora.corpus import Corpus

# The last part of the names of the nodes that evaluate encoders, and of one that compares image sets.
EVALUATING = {"evaluate_encoders", "tune_guidance"}
MEASURING = "measure_image_sets"
_SETS = "conf/params/experiment/<name>.yaml"


def check_evaluation_sets(
    pipeline: "Pipeline", parameters: dict[str, Any], corpus: "Corpus | None"
) -> dict[str, "Corpus"]:
    """Checks the evaluation sets that a pipeline lists or opens.

    Args:
        pipeline: the nodes that are to run.
        parameters: as composed.
        corpus: of the experiment, already checked, so that a set that is the corpus itself is not listed
            twice; None where no node takes it.

    Returns:
        These sets by name.

    Raises:
        ConfigError: a set refuses its settings, or has no images or no labels.
        DataError: a set cannot be read.
    """
    used = pipeline.all_outputs()
    for node in pipeline.nodes:
        if node.name.rsplit(".", 1)[-1] in {*EVALUATING, MEASURING}:
            used |= set(node.inputs)
    checked = {}
    for name, entry in parameters["evaluation_sets"].items():
        if evaluation_set_of(name) not in used:
            continue
        if entry == parameters["corpus"]:
            if corpus is None:
                corpus = build_corpus(entry)
                corpus.check()
            checked[name] = corpus
        else:
            checked[name] = build_evaluation_set(name, entry)
            with naming_evaluation_set(name, entry):
                checked[name].check()
        _check_labelled_images(name, checked[name])
    return checked


def check_evaluations(evaluation: dict[str, Any], sets: "Mapping[str, Corpus]") -> None:
    """Builds the evaluations, and asks each whether the train images of every set and task suffice.

    Args:
        evaluation: the section.
        sets: of `check_evaluation_sets`; those whose images can only be counted by reading or drawing them
            are passed over.

    Raises:
        ConfigError: an entry is not an evaluation or refuses its settings, every evaluation needs text, or a
            task has too few train images.
    """
    from pipelines.config.evaluation import build_evaluations
    from stablerep.corpora.corpus import UNKNOWN_LABEL, label_column

    built = build_evaluations(evaluation)
    if built and not any(each.ranks_encoders and not each.needs_text for each in built):
        raise ConfigError(
            f"evaluation: got {', '.join(evaluation)}; at least one evaluation must give an accuracy and do "
            "without a text tower, because the references and some arms have none. Add one: "
            f"--params evaluation=[linear_probe,{','.join(evaluation)}]."
        )
    for name, corpus in sets.items():
        listing = corpus.listing()
        if listing is None:
            continue
        train = listing[listing["split"] == "train"]
        for task in corpus.tasks():
            labels = train[label_column(task)].to_numpy()
            for each in built:
                each.check_train_labels(
                    labels[labels != UNKNOWN_LABEL], f"task {task!r} of evaluation set {name!r}"
                )


def check_set_metrics(catalog: "DataCatalog", parameters: dict[str, Any]) -> None:
    """Builds the image-set metrics, and loads the extractor of their features.

    Raises:
        ConfigError: an entry is no metric or no extractor, or refuses its settings.
        DataError: the extractor's model is missing or damaged.
    """
    from pipelines.config.set_metrics import build_extractor, build_set_metrics

    build_set_metrics(parameters["set_metrics"])
    build_extractor(parameters["extractor"], catalog.load("scorer_folder")).check()


def _check_labelled_images(name: str, corpus: "Corpus") -> None:
    """Raises ConfigError for an evaluation set that has no images, or images without labels."""
    key, remove = f"evaluation_sets.{name}", f"or remove the set: --params evaluation_sets.{name}=null."
    if not corpus.has_images():
        raise ConfigError(
            f"{key}: corpus {corpus.name!r} has no images of its own; an evaluation set must have labelled "
            f"images. Choose another in {_SETS}, {remove}"
        )
    if not corpus.tasks():
        raise ConfigError(
            f"{key}: the images of corpus {corpus.name!r} have no labels; an evaluation set must have some. "
            "Put the images into one folder per class, or add a label column to their metadata "
            f"(columns.label names it), {remove}"
        )
