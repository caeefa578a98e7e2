"""The model card of an encoder: how to use it, its data with their licences, method, arm and metrics.

In the form of huggingface.co (https://huggingface.co/docs/hub/model-cards). The head names no licence: no one
has chosen one for the weights, and the table of the data's licences says what to look at first.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TRAINED = {
    "step": "steps",
    "images": "views",
    "loss": "loss",
    "knn_accuracy": "accuracy of the online kNN probe",
    "effective_rank": "effective rank of the embeddings",
}


@dataclass(frozen=True)
class CardFacts:
    """The facts of an encoder's model card.

    Attributes:
        arm: its name in the experiment.
        method: name of the method.
        seed: of weights, order and views.
        encoder_config: the argument of `build_encoder`.
        data: of `stablerep.image_sets.origin.origin_of`; empty where it was not recorded.
        training: the last row of the history.
        metrics: rows of the table `metrics` of this encoder; empty before it was evaluated.
    """

    arm: str
    method: str
    seed: int
    encoder_config: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]] = ()


def model_card(facts: CardFacts, library: str, usage: str) -> str:
    """Returns the card in Markdown.

    Args:
        facts: of the encoder.
        library: that loads it, as the hub calls it.
        usage: how to compute features; code stands in lines that start with four spaces.
    """
    parts = [
        _head(facts, library),
        f"# {facts.arm}, an image encoder\n\nTrained with the method {facts.method} in the pipelines of "
        "StableRep (arXiv:2306.00984). It maps images to features; it has no classifier.",
        "## Features\n\n" + usage.strip("\n"),
        "## Training\n\n" + markdown_table(("", ""), _training_rows(facts)),
        "## Data\n\n" + data_section(facts.data),
        "## Metrics\n\n" + _metrics(facts.metrics),
    ]
    return "\n\n".join(parts) + "\n"


def _head(facts: CardFacts, library: str) -> str:
    values: dict[str, Any] = {
        "library_name": library,
        "pipeline_tag": "image-feature-extraction",
        "tags": list(dict.fromkeys(["stablerep", facts.method])),
    }
    if facts.metrics:
        values["model-index"] = [{"name": facts.arm, "results": [_result(each) for each in facts.metrics]}]
    return card_head(values)


def _result(metric: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of the metrics in the hub's form of an evaluation's result."""
    evaluation, name = str(metric["evaluation"]), str(metric["metric"])
    measured = {"type": name, "name": f"{name} by {evaluation}", "value": round(float(metric["value"]), 6)}
    return {
        "task": {"type": "image-classification", "name": f"{metric['task']}, {evaluation}"},
        "dataset": {"type": str(metric["set"]), "name": str(metric["set"])},
        "metrics": [measured],
    }


def card_head(values: Mapping[str, Any]) -> str:
    """Returns the head of a card, which the hub reads."""
    # JSON is YAML, and quotes whatever an arm is called
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---"])


def _training_rows(facts: CardFacts) -> list[tuple[Any, ...]]:
    config = {name: value for name, value in facts.encoder_config.items() if name != "_target_"}
    architecture = config.pop("name", str(facts.encoder_config.get("_target_")).rpartition(".")[2])
    rows: list[tuple[Any, ...]] = [
        ("arm", facts.arm),
        ("method", facts.method),
        ("seed", facts.seed),
        ("architecture", architecture),
        ("its options", ", ".join(f"{name}={value}" for name, value in config.items())),
    ]
    known = {name: facts.training.get(name) for name in _TRAINED}
    rows += [(_TRAINED[name], f"{value:,.5g}") for name, value in known.items() if value is not None]
    return rows


def data_section(data: Mapping[str, Any]) -> str:
    """Returns where images come from, in Markdown: for the card of an encoder and of an image set.

    Args:
        data: of `stablerep.image_sets.origin.origin_of`; empty where it was not recorded.
    """
    if not data:
        return "Not recorded: this encoder was saved by an earlier release."
    parts = [
        f"{data['num_images']:,} images of {data['num_captions']:,} captions: image set `{data['name']}`, "
        f"source {data['source']}.",
        markdown_table(
            ("part", "source", "images"),
            [(name, each["source"], f"{each['num_images']:,}") for name, each in data["parts"].items()],
        ),
        "Sources of the captions, or of images that have no caption:",
        markdown_table(
            ("source", "licence", "captions"),
            [(each["source"], each["licence"], f"{each['num_captions']:,}") for each in data["captions"]],
        ),
    ]
    if data["models"]:
        parts.append("The images were drawn by these models, and their licences apply to the images:")
        rows = [(each["model"], each["model_id"], each["generator_id"]) for each in data["models"]]
        parts.append(markdown_table(("model", "digest", "with its settings"), rows))
    if any(each["licence"] == "unknown" for each in data["captions"]):
        parts.append("Some licences are unknown: find out before you share the weights.")
    return "\n\n".join(parts)


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> str:
    if not metrics:
        return "Not evaluated yet: `kedro run --pipelines evaluation`, then `stablerep export-encoder`."
    rows = [
        (
            each["set"], each["task"], each["evaluation"], each["metric"],
            f"{each['value']:.4f} ({each['low']:.4f} to {each['high']:.4f})", f"{each['num_images']:,}",
        )
        for each in metrics
    ]  # fmt: skip
    head = ("evaluation set", "task", "evaluation", "metric", "value (95 % interval)", "test images")
    return markdown_table(head, rows)


def markdown_table(head: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table in Markdown; a bar or a line break in a cell is no part of the table."""
    lines = [tuple(head), *rows]
    written = ["| " + " | ".join(_cell(each) for each in line) + " |" for line in lines]
    rule = "|" + "---|" * len(lines[0])
    return "\n".join([written[0], rule, *written[1:]])


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
