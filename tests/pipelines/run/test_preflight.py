"""What a run would stumble over is told before its first node, and leaves the data as they were."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset

from pipelines.config.loader import compose
from pipelines.pipeline_registry import register_pipelines
from pipelines.run.preflight import DRAWING, check_before_run
from stablerep.curation.reading.engine import CaptionFiles
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError, GeneratorError, StableRepError

PROJECT = Path(__file__).parents[3]
GENERATOR = PROJECT / "data/06_models/generator"
PIPELINES = register_pipelines()


class Counted(CaptionFiles):
    """So many captions, in no file."""

    def __init__(self, num: int) -> None:
        super().__init__("captions.csv")
        object.__setattr__(self, "num", num)

    def count(self, reading: Reading, enough: int) -> int:
        return min(self.num, enough)  # type: ignore[attr-defined]


def catalog(num_captions: int = 1024, generator: Path = GENERATOR) -> DataCatalog:
    return DataCatalog(
        {
            "captions": MemoryDataset(Counted(num_captions)),
            "generator_folder": MemoryDataset(generator, copy_mode="assign"),
        }
    )


def check(pipeline: str, given: DataCatalog, **runtime: Any) -> None:
    parameters = compose(PROJECT / "conf/params", runtime)
    check_before_run(PIPELINES[pipeline], given, parameters)


def fault(pipeline: str, given: DataCatalog, **runtime: Any) -> str | None:
    """Returns what hinders a run, None where nothing does."""
    try:
        check(pipeline, given, **runtime)
    except StableRepError as error:
        return str(error)
    return None


def fault_of_encoder(name: str, size_px: int) -> str | None:
    model = {"encoder": {"name": name, "size_px": size_px}}
    return fault("training", catalog(), encoder="vit_base_patch16_224", model=model)


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_an_encoder_of_one_size_is_built_for_the_images(name: str) -> None:
    assert fault_of_encoder(name, 32) is None


def test_an_encoder_that_takes_no_images_of_the_size_is_told_before_anything_is_drawn() -> None:
    told = fault_of_encoder("convnext_atto", 16)
    assert told is not None
    assert told.startswith("model.encoder: convnext_atto takes no images of 16 px (Calculated padded input")


def test_the_nodes_that_are_looked_for_are_registered() -> None:
    names = {node.name for pipeline in PIPELINES.values() for node in pipeline.nodes}
    assert names >= DRAWING


@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_what_ships_passes(pipeline: str) -> None:
    assert fault(pipeline, catalog()) is None


@pytest.mark.parametrize("pipeline", ["__default__", "generation", "tuning"])
def test_a_missing_model_is_told_where_images_are_drawn(pipeline: str, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="nowhere: no such folder"):
        check(pipeline, catalog(generator=tmp_path / "nowhere"))


@pytest.mark.parametrize("pipeline", ["curation", "evaluation", "pretraining"])
def test_a_missing_model_hinders_no_run_that_draws_nothing(pipeline: str, tmp_path: Path) -> None:
    without = catalog(generator=tmp_path / "nowhere")
    assert fault(pipeline, without) is None
    assert "nowhere: no such folder" in str(fault("generation", without))


def test_too_few_captions_are_told_where_curation_and_training_run() -> None:
    with pytest.raises(DataError, match="captions: got 127; must be at least 128"):
        check("__default__", catalog(127))
    assert fault("__default__", catalog(128)) is None
    assert fault("curation", catalog(127)) is None


def test_a_limit_of_the_captions_counts() -> None:
    with pytest.raises(DataError, match="captions: got 100; must be at least 128"):
        check("__default__", catalog(1024), captions={"max_captions": 100})


@pytest.mark.parametrize(
    ("method", "values", "told"),
    [
        ("simclr", {"views_per_image": 1}, "methods.simclr.views_per_image: got 1; must be >= 2"),
        ("simclr", {"temperature": 0}, "methods.simclr.temperature: got 0"),
        ("simclr", {"temperature": "abc"}, "methods.simclr.temperature: got 'abc'; must be a number"),
        ("stablerep", {"tile": 2.5}, "methods.stablerep.tile: got 2.5; must be a whole number"),
        ("stablerep", {"images_per_caption": 1}, "methods.stablerep.images_per_caption: got 1; must be >= 2"),
        ("clip", {"_target_": "stablerep.methods.clip.CLAP"}, "methods.clip: got .*CLAP"),
    ],
)
@pytest.mark.parametrize("pipeline", ["__default__", "training", "tuning"])
def test_a_method_that_refuses_its_settings_is_told(
    pipeline: str, method: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        check(pipeline, catalog(), methods={method: values})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "resnet17"}, "model.encoder.name: got 'resnet17'"),
        ({"standardise": "each"}, "model.encoder.standardise: got 'each'"),
        ({"act_layer": "gleu"}, "cannot be built"),
        ({"size_px": 0}, "model.encoder.size_px: got 0; must be >= 1"),
        ({"size_px": -5}, "model.encoder.size_px: got -5; must be >= 1"),
        ({"_target_": "stablerep.models.residual.Nothing"}, "cannot be built"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check("training", catalog(), model={"encoder": values})


def test_heads_that_do_not_divide_the_text_towers_width_are_told() -> None:
    with pytest.raises(ConfigError, match=r"model\.text\.num_heads: got 3; must divide model\.text\.width"):
        check("training", catalog(), model={"text": {"num_heads": 3}})


def test_an_encoder_of_timm_is_looked_at_by_its_name() -> None:
    with pytest.raises(ConfigError, match="got 'vit_nothing'; must be a timm model"):
        check(
            "training", catalog(), encoder="vit_base_patch16_224", model={"encoder": {"name": "vit_nothing"}}
        )
    assert fault("training", catalog(), encoder="vit_base_patch16_224") is None


def test_a_fault_starts_no_tracked_run_and_no_node(bare_project: Path, tmp_path: Path) -> None:
    # in another process, for Kedro keeps the project that it was configured for
    code = (
        "from kedro.framework.startup import bootstrap_project as b\n"
        "from kedro.framework.session import KedroSession as S\n"
        "import sys\n"
        f"b({str(bare_project)!r})\n"
        "params = {'methods': {'simclr': {'temperature': 0}}}\n"
        f"with S.create({str(bare_project)!r}, runtime_params=params) as session:\n"
        "    session.load_context()\n"
        "    try: session.run(pipeline_names=['training'])\n"
        "    except Exception as error: print(type(error).__name__, 'pipelines.tracking.run' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "ConfigError False"
