"""Tables, JSON and shards between the rooms that are truncated, garbage or of another form."""

import os
import tarfile
from pathlib import Path
from typing import Any

from tests.campaign.damage import Spoil, as_folder, edit_json, edit_table, flip, remove, truncate, write
from tests.campaign.outcome import SURVIVED, Case, kedro_run

_VALIDATION = kedro_run("--pipelines", "validation")
_SET = kedro_run("--namespaces", "image_sets.synthetic")
_ARM = kedro_run("--namespaces", "training.stablerep")
_EVALUATION = kedro_run("--pipelines", "evaluation")
_REPORT = kedro_run("--pipelines", "reporting")
_FINISHED = "data/05_model_input/synthetic/finished"
_ENCODER = "data/06_models/encoders/stablerep/seed_0"
_SHARD = "data/05_model_input/synthetic/shards/images-00000-of-00002.tar"
_SHARDS = ("05_model_input/synthetic/shards/",)
# is written from the shards' records by every run
_MANIFEST = ("05_model_input/synthetic/manifest.parquet",)
# what a run that makes the damaged part again may write
_OF_SET = ("05_model_input/synthetic", "08_reporting/data_docs/")


def _damages(path: str, command: tuple[str, ...], says: str | None = None) -> list[Case]:
    """Returns a case for each general damage to one file between two rooms."""
    name = says or path.rpartition("/")[2]
    kinds: list[tuple[str, Spoil]] = [
        ("missing", remove(path)),
        ("empty", write(path, "")),
        ("half", truncate(path)),
        ("garbage", write(path, b"\x00\xff garbage" * 100)),
        ("a folder", as_folder(path)),
    ]
    if path.endswith(".parquet"):
        kinds.append(("without its first column", edit_table(path, lambda table: table.iloc[:, 1:])))
        kinds.append(("of another table", edit_table(path, lambda table: table.iloc[:1, :0].assign(other=1))))
    if path.endswith(".json"):
        kinds.append(("of a list", write(path, "[]")))
        kinds.append(("of other keys", write(path, '{"other": 1}')))
        kinds.append(("of NaN", write(path, "NaN")))
    label = path.removeprefix("data/")
    return [Case(f"{what}: {label}", command, name, spoil) for what, spoil in kinds]


def _without_captions_of_images(table: Any) -> Any:
    return table.iloc[:1]


def _halve_features(project: Path) -> None:
    for path in (project / "data/02_intermediate/features").glob("*.npy"):
        os.truncate(path, path.stat().st_size // 2)


def _link_in_shard(project: Path) -> None:
    link = tarfile.TarInfo("no_such_image.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(project / _SHARD, "a") as shard:
        shard.addfile(link)


CASES = [
    *_damages("data/03_primary/curated_captions.parquet", _VALIDATION),
    *_damages("data/03_primary/caption_set.parquet", _SET),
    *_damages("data/03_primary/caption_gate.json", _REPORT),
    *_damages("data/03_primary/rejected_captions.parquet", _REPORT),
    *_damages(f"{_FINISHED}/images.parquet", _ARM),
    *_damages(f"{_FINISHED}/captions.parquet", _ARM),
    *_damages(f"{_FINISHED}/image_set.json", _ARM),
    *_damages("data/03_primary/evaluation_sets/scenes.parquet", _EVALUATION),
    *_damages(f"{_ENCODER}/encoder.json", _EVALUATION),
    *_damages(f"{_ENCODER}/encoder.safetensors", _EVALUATION),
    *_damages(f"{_ENCODER}/history.parquet", _REPORT),
    *_damages("data/07_model_output/metrics.parquet", _REPORT),
    *_damages("data/07_model_output/unit_scores.parquet", _REPORT),
    *_damages("data/07_model_output/image_set_metrics.parquet", _REPORT),
    *_damages("data/07_model_output/near_images.parquet", _REPORT),
    Case(
        "a caption set without captions of the images",
        _ARM,
        "caption",
        edit_table(f"{_FINISHED}/captions.parquet", _without_captions_of_images),
    ),
    Case(
        "an encoder of another arm's description",
        _EVALUATION,
        "stablerep",
        edit_json(f"{_ENCODER}/encoder.json", name="simclr_real"),
    ),
    Case(
        "a flipped byte of an encoder",
        _EVALUATION,
        "encoder.safetensors",
        flip(f"{_ENCODER}/encoder.safetensors"),
    ),
    Case(
        "a flipped byte of a text tower",
        kedro_run(
            "--pipelines",
            "evaluation",
            "--params",
            "experiment=smoke,evaluation=[linear_probe,knn,zero_shot]",
        ),
        "text.safetensors",
        flip("data/06_models/encoders/stablerep_plus/seed_0/text.safetensors"),
    ),
    # a ledger of speed and a cache are no results: they are begun again, with a word
    *(
        Case(f"{what}: the ledger of an image set", _SET, says, spoil, SURVIVED, rewrites=_OF_SET)
        for what, says, spoil in (
            ("missing", "", remove("data/05_model_input/synthetic.ledger.json")),
            ("half", "ledger.json: cannot be read", truncate("data/05_model_input/synthetic.ledger.json")),
            (
                "garbage",
                "ledger.json: cannot be read",
                write("data/05_model_input/synthetic.ledger.json", b"\xff\x00"),
            ),
        )
    ),
    Case(
        "half: the seconds of the stages",
        _REPORT,
        "stage_seconds.json: cannot be read",
        expected=SURVIVED,
        spoil=truncate("data/08_reporting/stage_seconds.json"),
        rewrites=("08_reporting/",),
    ),
    # shards: the damaged images are made again, and no others
    *(
        Case(f"{what}: a shard", _SET, says, spoil, SURVIVED, rewrites=_OF_SET, restores=_SHARDS)
        for what, says, spoil in (
            ("missing", "", remove(_SHARD)),
            ("empty", "made again", write(_SHARD, "")),
            ("half", "made again", truncate(_SHARD)),
            ("a flipped byte", "made again", flip(_SHARD, 0.3)),
            ("garbage", "made again", write(_SHARD, b"\xff" * 4096)),
            ("a link in", "made again", _link_in_shard),
        )
    ),
    Case("a half shard met by a training", _ARM, "images-00000-of-00002.tar", truncate(_SHARD)),
    Case("no shard met by a training", _ARM, "images-00000-of-00002.tar", remove(_SHARD)),
    *(
        Case(f"{what}: the manifest of an image set", _SET, "", spoil, SURVIVED, {}, _OF_SET, _MANIFEST)
        for what, spoil in (
            ("missing", remove("data/05_model_input/synthetic/manifest.parquet")),
            ("half", truncate("data/05_model_input/synthetic/manifest.parquet")),
        )
    ),
    Case(
        "a feature that is half there",
        _EVALUATION,
        "its features are computed again",
        expected=SURVIVED,
        rewrites=("07_model_output/",),
        spoil=_halve_features,
    ),
]
