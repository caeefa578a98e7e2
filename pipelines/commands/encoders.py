"""`stablerep export-encoder`: a trained encoder as a folder that timm, ONNX Runtime or torch alone loads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli import in_one_message
from pipelines.commands.attribution import catalog_path
from stablerep.errors import ConfigError, DataError
from stablerep.nearest_name import must_be_one_of

if TYPE_CHECKING:
    from stablerep.training.arms import TrainedArm

_SEED = "seed_"


@click.command("export-encoder")
@click.argument("arm")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "form", default="timm", show_default=True, help="timm, onnx or torch.")
@click.option("--seed", type=int, help="Training seed; required if the arm was trained with several.")
def export_encoder(arm: str, folder: Path, form: str, seed: int | None) -> None:
    """Write the encoder of ARM to FOLDER, which must be new or empty, with a model card.

    timm: for timm.create_model. onnx: a graph for ONNX Runtime (needs the extra `onnx`). torch: a program
    that torch loads without timm. What was written is loaded again, and its features are compared.
    """
    with in_one_message():
        from stablerep.models.export import FORMATS, check_export
        from stablerep.models.export import export_encoder as export
        from stablerep.storage.digests import write_digests
        from stablerep.storage.whole_folders import folder_written_whole
        from stablerep.training.arms import card_facts_of

        if form not in FORMATS:
            raise ConfigError(f"--format: got {form!r}; {must_be_one_of(form, FORMATS)}")
        _check_is_free(folder)
        trained = _load(arm, seed)
        check_export(form, trained.encoder_config)
        facts = card_facts_of(trained, _metrics_of(trained))
        with folder_written_whole(folder, "Choose another folder.") as beside:
            difference = export(form, trained.encoder_config, trained.weights, facts, beside)
            write_digests(beside)
        click.echo(f"{folder}: features differ from the trained encoder's by {difference:.1g} of the largest")


def _check_is_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder}: is not empty; must be a new or empty folder. Choose another, or empty it."
        )


def _load(arm: str, seed: int | None) -> "TrainedArm":
    """Loads the encoder of an arm.

    Raises:
        ConfigError: there is no such arm or seed, or several seeds and none is given.
        DataError: no arm is trained yet, or the encoder is damaged.
    """
    from pipelines.datasets import EncoderDataset

    encoders = catalog_path("encoder_of_{arm}_seed_{seed}").parents[1]
    seeds: dict[str, list[int]] = {}
    for path in sorted(encoders.glob(f"*/{_SEED}*/encoder.json")):
        number = path.parent.name.removeprefix(_SEED)
        if number.isdigit():
            seeds.setdefault(path.parts[-3], []).append(int(number))
    if not seeds:
        raise DataError(f"{encoders}: no encoder is there yet. Train one: kedro run --pipelines training")
    if arm not in seeds:
        raise ConfigError(f"arm: got {arm!r}; {must_be_one_of(arm, seeds)}")
    known = sorted(seeds[arm])
    chosen = known[0] if seed is None and len(known) == 1 else seed
    if chosen not in known:
        got = "is missing" if seed is None else f"got {seed}"
        raise ConfigError(f"--seed: {got}; must be one of {', '.join(map(str, known))}, of arm {arm!r}.")
    return EncoderDataset(str(encoders / arm / f"{_SEED}{chosen}")).load()


def _metrics_of(arm: "TrainedArm") -> list[dict[str, Any]]:
    """Returns the rows of the table of metrics that were measured on exactly this encoder."""
    from pipelines.config.evaluation import rebuild_encoder
    from pipelines.datasets import ParquetDataset
    from stablerep.evaluation.features import encoder_digest

    path = catalog_path("metrics")
    if not path.is_file():
        return []
    table = ParquetDataset(str(path)).load()
    if "encoder" not in table:  # of an earlier release
        return []
    digest = encoder_digest(rebuild_encoder(arm.encoder_config, arm.weights), arm.encoder_config)
    rows = table[(table["encoder"] == digest) & (table["arm"] == arm.name) & (table["seed"] == arm.seed)]
    return rows.to_dict("records")
