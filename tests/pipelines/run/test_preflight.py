"""A fault that would stop a run later is reported before its first node, and the data stay as they were."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from kedro.io import DataCatalog, MemoryDataset

from pipelines.config.loader import compose
from pipelines.pipeline_registry import register_pipelines
from pipelines.pretraining.pipeline import create_pipeline
from pipelines.run.current import CURRENT
from pipelines.run.evaluation_checks import EVALUATING
from pipelines.run.preflight import DRAWING, check_arms, check_before_run, check_generator_is_used
from stablerep.corpora.corpus import Corpus
from stablerep.curation.reading.engine import SCHEMA
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError, GeneratorError, StableRepError
from tests.stablerep.corpora.images import write_class_folders, write_png

PROJECT = Path(__file__).parents[3]
GENERATOR = PROJECT / "data/06_models/generator"
SCORER = PROJECT / "data/06_models/scorer"
DEFAULT = compose(PROJECT / "conf/params", {})


@pytest.fixture(scope="module", autouse=True)
def default_run() -> Iterator[None]:
    """What other tests' runs have registered is not what is looked at here."""
    before, CURRENT.parameters = CURRENT.parameters, DEFAULT
    yield
    CURRENT.parameters = before


class Sentences(Corpus):
    """As many captions as a test wants, in no file."""

    name = "sentences"
    can_render = True

    def __init__(self, num_captions: int = 1024) -> None:
        self.num_captions = num_captions

    def caption_batches(self, reading: Reading, batch_size: int = 100) -> Iterator[pl.DataFrame]:
        for start in range(0, self.num_captions, batch_size):
            rows = range(start, min(start + batch_size, self.num_captions))
            columns = {"row": rows, "line": rows, "fault": None, "source": "s", "licence": "l"}
            yield pl.DataFrame({**columns, "caption": [f"sentence {row}" for row in rows]}).match_to_schema(
                SCHEMA, integer_cast="upcast", missing_columns="raise"
            )


def sentences(num: int) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Sentences", "num_captions": num}


def catalog(generator: Path = GENERATOR, scorer: Path = SCORER) -> DataCatalog:
    folders = {"generator_folder": generator, "scorer_folder": scorer}
    return DataCatalog({name: MemoryDataset(each, copy_mode="assign") for name, each in folders.items()})


def check(pipeline: str, given: DataCatalog | None = None, corpus: Any = None, **runtime: Any) -> None:
    parameters = compose(PROJECT / "conf/params", runtime)
    if corpus is not None:
        parameters = parameters | {"corpus": corpus}
    CURRENT.parameters = parameters
    try:
        check_before_run(register_pipelines()[pipeline], given or catalog(), parameters, runtime)
    finally:
        CURRENT.parameters = DEFAULT


def fault(pipeline: str, given: DataCatalog | None = None, **runtime: Any) -> str | None:
    """Returns what hinders a run, None where nothing does."""
    try:
        check(pipeline, given, **runtime)
    except StableRepError as error:
        return str(error)
    return None


def fault_of_encoder(name: str, size_px: int) -> str | None:
    backbone = {"name": name, "size_px": size_px}
    return fault("training", encoder="vit_base_patch16_224", **{"encoder.backbone": backbone})


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_an_encoder_of_one_size_is_built_for_the_images(name: str) -> None:
    assert fault_of_encoder(name, 32) is None


def test_an_encoder_that_takes_no_images_of_the_size_is_told_before_anything_is_drawn() -> None:
    told = fault_of_encoder("convnext_atto", 16)
    assert told is not None
    assert told.startswith(
        "encoder.backbone: convnext_atto takes no images of 16 px (Calculated padded input"
    )


def test_the_nodes_that_are_looked_for_are_registered() -> None:
    nodes = [node for pipeline in register_pipelines().values() for node in pipeline.nodes]
    assert {node.name.rsplit(".", 1)[-1] for node in nodes} >= DRAWING | EVALUATING | {
        "curate_captions",
        "build_report",
    }


@pytest.mark.parametrize(
    "pipeline", sorted(name for name in register_pipelines() if name not in ("corpus", "scorer"))
)
def test_what_ships_passes(pipeline: str) -> None:
    assert fault(pipeline) is None


@pytest.mark.parametrize("pipeline", ["__default__", "image_sets", "tuning"])
def test_a_missing_model_is_told_where_images_are_drawn(pipeline: str, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="nowhere: no such folder"):
        check(pipeline, catalog(tmp_path / "nowhere"))


@pytest.mark.parametrize("pipeline", ["curation", "evaluation", "pretraining"])
def test_a_missing_model_hinders_no_run_that_draws_nothing(pipeline: str, tmp_path: Path) -> None:
    assert fault(pipeline, catalog(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("model", ["generator", "scorer"])
def test_a_flipped_byte_of_a_shipped_model_is_found_before_the_first_node(model: str, tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECT / "data/06_models" / model, tmp_path / model)
    path = next(folder.rglob("*model.safetensors"))
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(StableRepError, match=rf"{path.name} is not the file that SHA256SUMS records"):
        check("image_sets", catalog(**{model: folder}))


def test_a_generator_of_another_librarys_classes_is_found_before_the_first_node(tmp_path: Path) -> None:
    folder = shutil.copytree(GENERATOR, tmp_path / "generator")
    (folder / "SHA256SUMS").unlink()
    index = json.loads((folder / "model_index.json").read_text()) | {"unet": ["os", "system"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(GeneratorError, match=r"model_index\.json: unet is os\.system; must be a class of"):
        check("image_sets", catalog(folder))


def test_an_embedded_generator_without_digests_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(GENERATOR, tmp_path / "generator")
    (folder / "SHA256SUMS").unlink()
    check("image_sets", catalog(folder))
    assert "generator: no SHA256SUMS; whether its files changed is not known" in caplog.text


def test_a_scorer_that_is_damaged_and_has_no_digests_is_found_where_images_are_to_be_scored(
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(SCORER, tmp_path / "scorer")
    (folder / "SHA256SUMS").unlink()
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(DataError, match="scorer: not a complete scorer .*SafetensorError"):
        check("image_sets", catalog(scorer=folder))
    assert fault("training", catalog(scorer=folder)) is None
    assert fault("image_sets", catalog(scorer=folder), alignment="unscored") is None


def test_the_model_of_each_generated_set_is_looked_for(tmp_path: Path) -> None:
    other = {"source": "generated", "model_folder": str(tmp_path / "elsewhere")}
    with pytest.raises(GeneratorError, match="elsewhere: no such folder"):
        check("image_sets", **{"image_sets.other": other})


def test_too_few_captions_are_told_where_curation_and_training_run() -> None:
    with pytest.raises(DataError, match="captions: got 127; must be at least 128"):
        check("__default__", corpus=sentences(127))
    check("__default__", corpus=sentences(128))
    check("curation", corpus=sentences(127))


@pytest.mark.parametrize(("text", "hindered"), [("a dog on a beach", True), ("a nine", False)])
def test_captions_of_an_earlier_run_that_cannot_be_rendered_are_found_before_images_are_drawn(
    text: str, hindered: bool
) -> None:
    given = catalog()
    given["caption_set"] = MemoryDataset(pd.DataFrame({"text": ["a two", text]}))
    told = fault("image_sets", given)
    if hindered:
        assert told is not None and told.startswith("image_sets.real is rendered, but 1 of 2 captions do not")
        assert "a dog on a beach" in told
    else:
        assert told is None
    assert fault("curation", given) is None


def test_a_limit_of_the_captions_counts() -> None:
    with pytest.raises(DataError, match="captions: got 100; must be at least 128"):
        check("__default__", corpus=sentences(1024), **{"curation.max_captions": 100})


def test_a_limit_of_an_arms_image_set_counts() -> None:
    with pytest.raises(DataError, match="captions: got 60; must be at least 128.*clip_real"):
        check("__default__", corpus=sentences(1024), **{"image_sets.real.num_captions": 60})


def test_a_corpus_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for pipeline in ("curation", "training", "image_sets"):
        with pytest.raises(DataError, match=r"none\.csv"):
            check(pipeline, **{"corpus.path": str(tmp_path / "none.csv")})


@pytest.mark.parametrize("pipeline", ["__default__", "curation"])
@pytest.mark.parametrize("experiment", ["own_captions", "digit_scenes"])
def test_captions_of_a_format_that_is_not_read_are_told_first(
    pipeline: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "captions.docx"
    path.write_text("caption\na nine\n")

    def too_late(*_: Any) -> None:
        raise AssertionError("the encoder was built before the captions were looked at")

    monkeypatch.setattr("pipelines.run.preflight.check_encoder", too_late)
    given = {"experiment": experiment, "corpus.path": str(path)}
    told = str(fault(pipeline, **given))
    assert f"{path}: its ending tells no format; must be one of .csv" in told
    monkeypatch.undo()
    if pipeline == "curation":  # the default run would go on to count captions
        assert fault(pipeline, **given, **{"curation.reading.format": "csv"}) is None


def test_an_evaluation_set_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(tmp_path / "none")}
    with pytest.raises(DataError, match="none: does not exist"):
        check("evaluation_sets", **{"evaluation_sets.mine": folder})
    assert fault("curation", **{"evaluation_sets.mine": folder}) is None


class Signs(Sentences):
    """Text, which a mirror image does not show."""

    name = "signs"
    mirrorable = False


def test_flips_are_refused_where_a_mirror_image_shows_something_else() -> None:
    signs = {"_target_": f"{__name__}.Signs"}
    flips = "training.augmentation.flip_probability"
    with pytest.raises(ConfigError, match=rf"{flips}: got 0\.5; must be 0 for corpus 'signs'"):
        check("training", corpus=signs, **{flips: 0.5})
    check("training", corpus=signs, **{flips: 0.0})
    check("training", corpus=sentences(9), **{flips: 0.5})


def test_flips_of_one_method_are_refused_too() -> None:
    signs = {"_target_": f"{__name__}.Signs"}
    told = r"training\.augmentation_by_method\.clip\.flip_probability: got 0\.5; must be 0 for corpus 'signs'"
    with pytest.raises(ConfigError, match=told):
        check("training", corpus=signs, **{"training.augmentation_by_method.clip.flip_probability": 0.5})


def test_flips_of_one_arm_are_refused_too() -> None:
    signs = {"_target_": f"{__name__}.Signs"}
    own = {"arms.clip_real.training": {"augmentation": {"flip_probability": 0.25}}}
    told = r"arms\.clip_real\.training\.augmentation\.flip_probability: got 0\.25; must be 0"
    with pytest.raises(ConfigError, match=told):
        check("training", corpus=signs, **{"training.augmentation.flip_probability": 0.0}, **own)


class Photos(Corpus):
    """Images without captions and labels."""

    name = "photos"

    def has_captions(self) -> bool:
        return False


@pytest.mark.parametrize("pipeline", ["training", "image_sets"])
def test_images_cannot_be_rendered_by_a_corpus_that_cannot(pipeline: str) -> None:
    with pytest.raises(ConfigError, match=r"image_sets\.real\.source: rendered, but corpus 'photos' cannot"):
        check(pipeline, corpus={"_target_": f"{__name__}.Photos"})


SETS = {
    "own": {"source": "corpus"},
    "mixed": {"source": "mixture", "of": {"own": 1.0}},
    "drawn": {"source": "rendered", "images_per_caption": 2},
    "generated": {"source": "generated"},
}


def arms_of(method: str, images: str, corpus: Corpus, **changed: Any) -> str | None:
    """Returns why an arm cannot be trained."""
    settings = {**DEFAULT["method"][method], **changed}
    parameters = DEFAULT | {
        "image_sets": SETS,
        "arms": {"a": {"method": method, "images": images}},
        "method": DEFAULT["method"] | {method: settings},
    }
    try:
        check_arms(corpus, parameters)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize("images", ["own", "mixed"])
@pytest.mark.parametrize("method", ["clip", "stablerep_plus"])
def test_a_method_with_text_needs_captions(method: str, images: str) -> None:
    told = f"arms.a: method {method} cannot be trained on image set {images!r}: it needs captions, and corpus"
    assert str(arms_of(method, images, Photos())).startswith(f"{told} 'photos' has none. Change arms.a in")
    assert arms_of(method, images, Sentences()) is None
    assert arms_of("simclr", images, Photos()) is None


def test_a_method_with_labels_needs_tasks() -> None:
    assert "it needs labels, and corpus 'photos' has none" in str(arms_of("supcon", "own", Photos()))


def test_a_method_with_a_dimension_per_class_needs_enough_of_them() -> None:
    images = {"labelled": {"source": "corpus", "evaluation_set": "scenes"}}
    arm = {"method": "supervised", "images": "labelled", "head": {"out_dim": 9}, "training": {}}
    parameters = DEFAULT | {"image_sets": images, "arms": {"a": arm}}
    with pytest.raises(
        ConfigError, match="each of the 10 classes, and its head has 9. Set arms.a.head.out_dim"
    ):
        check_arms(Photos(), parameters)
    check_arms(Photos(), parameters | {"arms": {"a": arm | {"head": {"out_dim": 10}}}})


def test_what_images_of_an_evaluation_set_lack_is_told_of_the_set(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "photos", 40)
    photos = {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(tmp_path / "photos")}
    images = {"labelled": {"source": "corpus", "evaluation_set": "photos"}}
    arms = {"a": {"method": "clip", "images": "labelled"}}
    parameters = DEFAULT | {"image_sets": images, "arms": arms, "evaluation_sets": {"photos": photos}}
    with pytest.raises(ConfigError, match="it needs captions, and corpus .* has none"):
        check_arms(Sentences(), parameters)


def test_a_method_needs_as_many_images_of_a_caption_as_it_takes() -> None:
    told = str(arms_of("stablerep", "drawn", Sentences(), images_per_caption=3))
    assert "it draws 3 images of each caption, and the set has 2" in told
    assert arms_of("stablerep", "drawn", Sentences(), images_per_caption=2) is None
    assert "and the set has 4" in str(arms_of("stablerep", "generated", Sentences(), images_per_caption=5))
    assert arms_of("stablerep", "generated", Sentences(), images_per_caption=4) is None


def test_an_arm_without_captions_is_told_before_the_run(tmp_path: Path) -> None:
    images = write_class_folders(tmp_path / "images", 60)
    given = {"experiment": "own_images", "corpus.path": str(images)}
    assert fault("__default__", **given) is None, "arms.clip_real is left out"
    told = fault("__default__", **given, **{"arms.clip_real.if_possible": False})
    assert str(told).startswith("arms.clip_real: method clip cannot be trained on image set 'real'")


@pytest.mark.parametrize(
    ("method", "values", "told"),
    [
        ("simclr", {"views_per_image": 1}, "method.simclr.views_per_image: got 1; must be >= 2"),
        ("simclr", {"temperature": 0}, "method.simclr.temperature: got 0"),
        ("simclr", {"temperature": "abc"}, "method.simclr.temperature: got 'abc'; must be a number"),
        ("stablerep", {"tile": 2.5}, "method.stablerep.tile: got 2.5; must be an integer or null"),
        ("stablerep", {"images_per_caption": 1}, "method.stablerep.images_per_caption: got 1; must be >= 2"),
        ("clip", {"_target_": "stablerep.methods.clip.CLAP"}, "method.clip._target_: got .*CLAP"),
    ],
)
@pytest.mark.parametrize("pipeline", ["__default__", "training", "tuning"])
def test_a_method_that_refuses_its_settings_is_told(
    pipeline: str, method: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        check(pipeline, **{f"method.{method}": values})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "resnet17"}, "encoder.backbone.name: got 'resnet17'"),
        ({"standardise": "each"}, "encoder.backbone.standardise: got 'each'"),
        ({"act_layer": "gleu"}, "cannot be built"),
        ({"size_px": 0}, "encoder.backbone.size_px: got 0; must be >= 1"),
        ({"size_px": -5}, "encoder.backbone.size_px: got -5; must be >= 1"),
        ({"_target_": "stablerep.models.residual.Nothing"}, "cannot be built"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check("training", **{"encoder.backbone": values})


def test_heads_that_do_not_divide_the_text_towers_width_are_told() -> None:
    with pytest.raises(
        ConfigError, match=r"encoder\.text\.num_heads: got 3; must divide encoder\.text\.width"
    ):
        check("training", **{"encoder.text.num_heads": 3})


def test_an_encoder_of_timm_is_looked_at_by_its_name() -> None:
    with pytest.raises(ConfigError, match="got 'vit_nothing'; must be a timm model"):
        check("training", encoder="vit_base_patch16_224", **{"encoder.backbone.name": "vit_nothing"})
    assert fault("training", encoder="vit_base_patch16_224") is None


@pytest.mark.parametrize("pipeline", ["__default__", "evaluation"])
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("test_vit", "missing; must be a safetensors file or a folder with one"),
        ("test_vitt", r"references\.dinov3\.model: got 'test_vitt'; must be a timm model"),
    ],
)
def test_a_reference_that_cannot_be_loaded_is_told_before_anything_is_drawn(
    model: str, told: str, pipeline: str, tmp_path: Path
) -> None:
    reference = {"model": model, "weights": str(tmp_path / "none.safetensors")}
    with pytest.raises(StableRepError, match=told):
        check(pipeline, **{"references.dinov3": reference})
    assert fault("training", **{"references.dinov3": reference}) is None  # which evaluates nothing


def test_a_fault_starts_no_tracked_run_and_no_node(bare_project: Path, tmp_path: Path) -> None:
    # in another process, for Kedro keeps the project that it was configured for
    code = (
        "from kedro.framework.startup import bootstrap_project as b\n"
        "from kedro.framework.session import KedroSession as S\n"
        "import sys\n"
        f"b({str(bare_project)!r})\n"
        "params = {'method.simclr.temperature': 0}\n"
        f"with S.create({str(bare_project)!r}, runtime_params=params) as session:\n"
        "    session.load_context()\n"
        "    try: session.run(pipeline_names=['training'])\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, 'pipelines.tracking.run' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "ConfigError False"


def write_flat_folder(root: Path, num: int = 100) -> Path:
    for number in range(num):
        write_png(root / f"{number:03}.png", number)
    return root


def captions_beside(root: Path, texts: list[str]) -> Path:
    """Writes one image per text, without labels."""
    write_flat_folder(root, len(texts))
    lines = [f"{number:03}.png,{text}" for number, text in enumerate(texts)]
    (root / "metadata.csv").write_text("\n".join(["file_name,text", *lines]) + "\n")
    return root


def image_folder(path: Path) -> dict[str, Any]:
    return {"_target_": "stablerep.corpora.image_folder.ImageFolder", "path": str(path)}


@pytest.mark.parametrize("pipeline", ["__default__", "evaluation_sets", "evaluation"])
def test_an_evaluation_set_without_labels_is_refused(pipeline: str, tmp_path: Path) -> None:
    mine = {"evaluation_sets.mine": image_folder(write_flat_folder(tmp_path / "flat"))}
    told = r"evaluation_sets\.mine: the images of corpus 'flat' have no labels.*evaluation_sets\.mine=null\."
    with pytest.raises(ConfigError, match=told):
        check(pipeline, **mine)
    assert fault("training", **mine) is None


@pytest.mark.parametrize("captions", [True, False])
@pytest.mark.parametrize("pipeline", ["__default__", "evaluation"])
def test_a_corpus_without_labels_is_no_evaluation_set(captions: bool, pipeline: str, tmp_path: Path) -> None:
    texts = [f"photo {number}" for number in range(200)]
    folder = captions_beside(tmp_path, texts) if captions else write_flat_folder(tmp_path)
    told = fault(pipeline, experiment="own_images", **{"corpus.path": str(folder)})
    assert str(told).startswith("evaluation_sets.held_out: the images of corpus")


def test_an_evaluation_set_without_images_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluation_sets\.mine: corpus 'sentences' has no images of its"):
        check("evaluation_sets", **{"evaluation_sets.mine": sentences(9)})


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"evaluation.knn._target_": "nope.X"}, r"evaluation\.knn\._target_: got .*nope\.X"),
        ({"evaluation.knn.num_neighbours": 0}, r"evaluation\.knn\.num_neighbours: got 0; must be >= 1"),
        ({"evaluation.mine": {"_target_": "builtins.dict"}}, r"evaluation\.mine\._target_: .* is a dict"),
    ],
)
@pytest.mark.parametrize("pipeline", ["__default__", "evaluation", "tuning"])
def test_an_evaluation_that_refuses_its_settings_is_told(
    pipeline: str, entry: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        check(pipeline, **entry)
    assert fault("training", **entry) is None


@pytest.mark.parametrize("pipeline", ["__default__", "evaluation", "tuning"])
def test_evaluations_that_all_need_text_are_told(pipeline: str) -> None:
    told = r"evaluation: got zero_shot; at least one .*--params evaluation=\[linear_probe,zero_shot\]\."
    with pytest.raises(ConfigError, match=told):
        check(pipeline, evaluation=["zero_shot"])
    with pytest.raises(ConfigError, match="got zero_shot, calibration; at least one evaluation must give an"):
        check(pipeline, evaluation=["zero_shot", "calibration"])
    assert fault(pipeline, evaluation=["zero_shot", "knn"]) is None


@pytest.mark.parametrize("pipeline", ["__default__", "evaluation"])
def test_more_neighbours_than_labelled_train_images_are_told(pipeline: str, tmp_path: Path) -> None:
    folder = image_folder(write_class_folders(tmp_path / "few", 20))
    given = {"evaluation_sets.mine": folder}
    told = (
        r"evaluation\.knn\.num_neighbours: got 40; must be <= \d\d, .* of task 'class' of evaluation set 'mi"
    )
    with pytest.raises(ConfigError, match=told):
        check(pipeline, **given, **{"evaluation.knn.num_neighbours": 40})
    assert fault(pipeline, **given, **{"evaluation.knn.num_neighbours": 20}) is None


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"executor.num_cpu_processes": 0}, r"executor\.num_cpu_processes: got 0"),
        ({"executor._target_": "nowhere.Executor"}, r"executor\._target_: got .*nowhere\.Executor"),
        ({"executor": "ray", "executor.max_retries": -1}, r"executor\.max_retries: got -1; must be >= 0"),
    ],
)
def test_an_executor_that_refuses_its_settings_is_told(entry: dict[str, Any], told: str) -> None:
    for pipeline in ("__default__", "image_sets", "tuning"):
        with pytest.raises(ConfigError, match=told):
            check(pipeline, **entry)
    assert fault("training", **entry) is None
    rendered = {"image_sets.synthetic": {"source": "rendered", "images_per_caption": 4}}
    assert fault("__default__", **rendered, **entry) is None, "no set is generated"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"_target_": "nope.X"}, r"^alignment\.scorer\._target_: got 'nope\.X'; must be the full name"),
        ({"_target_": "builtins.object"}, r"^alignment\.scorer\.folder: builtins\.object takes no such"),
        ({"batch_size": 1.5}, r"^alignment\.scorer\.batch_size: got 1\.5; must be an integer"),
        ({"sze": 1}, r"^alignment\.scorer\.sze: .* takes no such argument"),
    ],
)
def test_a_scorer_that_refuses_its_settings_is_told(entry: dict[str, Any], told: str) -> None:
    scorer = {**DEFAULT["alignment"]["scorer"], **entry}
    refusal = fault("image_sets", **{"alignment.scorer": scorer})
    assert refusal is not None
    assert re.search(told, refusal)


def test_a_filter_that_does_not_exist_is_told_before_captions_are_read() -> None:
    told = fault("curation", **{"curation.filters": [{"_target_": "nope.X"}]})
    assert told is not None
    assert told.startswith("curation.filters[0]._target_: got 'nope.X'; must be the full name of a class")


def test_an_empty_list_of_filters_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check("curation", **{"curation.filters": []})
    assert "curation.filters is empty: every caption that can be read is kept" in caplog.text


def own_images(folder: Path, **further: Any) -> dict[str, Any]:
    """A run on the images of a folder, evaluated on the scenes of the default experiment."""
    scenes = {
        "evaluation_sets.held_out": None,
        "evaluation_sets.scenes": DEFAULT["evaluation_sets"]["scenes"],
    }
    return {"experiment": "own_images", "corpus.path": str(folder), **scenes, **further}


NO_CLIP = {"arms.clip_real": None}  # not if_possible: that needs the folder
MIXED = {"image_sets.mixed": {"source": "mixture", "of": {"real": 1.0}}}


@pytest.mark.parametrize("captions", ["none", "one image each", "several images each"])
@pytest.mark.parametrize("images", ["real", "mixed"])
@pytest.mark.parametrize("method", ["stablerep", "stablerep_plus"])
def test_a_method_of_several_images_per_caption_needs_captions_with_several(
    captions: str, images: str, method: str, tmp_path: Path
) -> None:
    if captions == "none":
        write_flat_folder(tmp_path, 400)
    else:
        share = 4 if captions == "several images each" else 1
        captions_beside(tmp_path, [f"photo {number // share}" for number in range(400)])
    arm = {"arms.mine": {"method": method, "images": images}}
    told = fault("training", **own_images(tmp_path, **MIXED, **NO_CLIP, **arm))
    if captions == "several images each":
        assert told is None
    elif captions == "none" and method == "stablerep_plus":
        assert "it needs captions" in str(told)
    else:
        assert str(told).startswith(
            f"arms.mine: method {method} cannot be trained on image set {images!r}: it takes several images "
            "of each caption, 0 captions have 2 images or more, and one batch needs 32."
        )


@pytest.mark.parametrize("images", ["real", "mixed"])
@pytest.mark.parametrize("pipeline", ["__default__", "training"])
def test_images_that_fill_no_batch_are_told(images: str, pipeline: str, tmp_path: Path) -> None:
    write_flat_folder(tmp_path, 60)
    given = own_images(tmp_path, **MIXED, **{"arms.simclr_real.images": images})
    told = (
        rf"arms\.simclr_real: image set '{images}' has \d\d different captions .* at least 64, those of one"
    )
    with pytest.raises(DataError, match=told):
        check(pipeline, **given)
    assert fault(pipeline, **given, **{"training.batch.captions": 8}) is None
    assert fault("image_sets", **given) is None, "no arm is trained"


def test_a_limit_of_own_images_counts(tmp_path: Path) -> None:
    given = own_images(write_flat_folder(tmp_path, 200))
    assert fault("training", **given) is None
    with pytest.raises(DataError, match="image set 'real' has 63 different captions"):
        check("training", **given, **{"image_sets.real.num_images": 63})
    with pytest.raises(DataError, match=r"image set 'real': has \d+ images; .* asks for 201"):
        check("training", **given, **{"image_sets.real.num_images": 201})


@pytest.mark.parametrize("further", [{}, MIXED])
@pytest.mark.parametrize("pipeline", ["__default__", "image_sets", "training"])
def test_a_corpus_without_images_gives_no_image_set(
    pipeline: str, further: dict[str, Any], tmp_path: Path
) -> None:
    told = fault(pipeline, **own_images(tmp_path, **further, **NO_CLIP), corpus=sentences(1024))
    assert str(told).startswith("image_sets.real: got source corpus, but corpus 'sentences' has no images of")


def test_an_evaluation_set_that_cannot_be_read_is_told_by_its_own_key(tmp_path: Path) -> None:
    paths = {"corpus.path": "captions.csv", "evaluation_sets.imagenet.path": str(tmp_path / "none")}
    told = fault("evaluation_sets", experiment="paper", **paths)
    assert str(told) == (
        f"evaluation_sets.imagenet: {tmp_path / 'none'}: does not exist; must be a folder of images. Set "
        "evaluation_sets.imagenet.path in conf/params/experiment/<name>.yaml."
    )


def test_a_corpus_that_is_an_evaluation_set_is_told_by_the_corpus_key(tmp_path: Path) -> None:
    arm = {"arms.clip_real.if_possible": False}  # else the folder is looked at before the run
    told = fault("evaluation", experiment="own_images", **arm, **{"corpus.path": str(tmp_path / "none")})
    assert str(told).endswith("Set corpus.path in conf/params/corpus/<name>.yaml.")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"generator.guidance_scale": 3.0}, "generator.guidance_scale"),
        ({"generator": {"guidance_scale": 3.0}}, "generator.guidance_scale"),
    ],
)
def test_values_of_a_generator_that_nothing_uses_are_told(
    given: dict[str, Any], shown: str, tmp_path: Path
) -> None:
    folder = write_class_folders(tmp_path, 150)
    told = fault("__default__", **own_images(folder, **given))
    assert str(told).startswith(
        f"--params: got {shown}, but experiment 'own_images' generates no images; must"
    )
    added = {
        "image_sets.synthetic": {"source": "generated"},
        "arms.mine": {"method": "simclr", "images": "synthetic"},
    }
    named = fault("training", **own_images(folder, **given, **added))
    assert "generates no images" not in str(named)


def test_a_generator_that_is_used_may_be_given(tmp_path: Path) -> None:
    of_others = {"generator.images_per_caption": 2, "generator.saved_size_px": 16}
    given = own_images(write_class_folders(tmp_path, 60), **of_others)
    assert fault("__default__", **given) is None, "other sections refer to them"
    no_set = {f"image_sets.{name}": None for name in DEFAULT["image_sets"]}
    only_real = {
        **no_set,
        **{f"arms.{name}": None for name in DEFAULT["arms"]},
        "image_sets.drawn": {"source": "rendered"},
        "arms.mine": {"method": "simclr", "images": "drawn"},
        "generator.guidance_scale": 3.0,
    }
    assert "generates no images" in str(fault("training", **only_real))
    assert fault("tuning", **only_real) is None, "the study draws images"


def test_what_an_experiment_chooses_is_not_what_the_user_gave(tmp_path: Path) -> None:
    write_class_folders(tmp_path, 60)
    arms = {"stablerep", "stablerep_plus", "simclr_synthetic", "clip_synthetic", "clip_real"}
    none_generated = {f"arms.{name}": None for name in arms} | {"image_sets.synthetic": None}
    given = own_images(tmp_path, **none_generated) | {"experiment": "own_images_generated"}
    assert fault("training", **given) is None


def test_a_real_part_limits_a_mixture_with_generated_images(tmp_path: Path) -> None:
    half = {"image_sets.half": {"source": "mixture", "of": {"real": 0.5, "synthetic": 0.5}}}
    parts = {"image_sets.synthetic": {"source": "generated"}, **half, "arms.simclr_real.images": "half"}
    write_flat_folder(tmp_path, 30)
    given = own_images(tmp_path, **parts)
    told = r"arms\.simclr_real: image set 'half' has \d\d images at most, .*; must be at least 64"
    with pytest.raises(DataError, match=told):
        check("training", **given, **{"generator.images_per_caption": 4})
    mostly_drawn = {"image_sets.half.of": {"real": 0.2, "synthetic": 0.8}}
    assert fault("training", **given, **mostly_drawn, **{"generator.images_per_caption": 4}) is None


def test_a_generator_that_nothing_uses_is_told() -> None:
    parameters = {"image_sets": {"real": {"source": "corpus"}}, "experiment_name": "mine"}
    with pytest.raises(
        ConfigError, match=r"got generator=sdxl_turbo, but experiment 'mine' generates no images"
    ):
        check_generator_is_used({"generator": "sdxl_turbo"}, parameters)


def fault_of_pretraining(folder: Path, **runtime: Any) -> str | None:
    return fault_of_recipe(corpus="image_folder", **{"corpus.path": str(folder), **runtime})


def fault_of_recipe(**runtime: Any) -> str | None:
    parameters = compose(PROJECT / "conf/params", {"experiment": "photographs", **runtime})
    try:
        check_before_run(create_pipeline(parameters), catalog(), parameters, runtime)
    except StableRepError as error:
        return str(error)
    return None


def test_a_generator_learns_from_labelled_images_by_templates(tmp_path: Path) -> None:
    assert fault_of_pretraining(write_class_folders(tmp_path)) is None


def test_a_generator_that_has_no_captions_to_learn_from_is_reported(tmp_path: Path) -> None:
    told = fault_of_pretraining(write_class_folders(tmp_path), **{"corpus.caption_templates": None})
    assert told is not None
    assert "corpus 'images' has no image with a caption in train" in told
    assert "set corpus.caption_templates" in told


def test_templates_of_images_without_labels_are_reported(tmp_path: Path) -> None:
    for number in range(30):
        write_png(tmp_path / f"{number}.png", number)
    told = fault_of_pretraining(tmp_path)
    assert told is not None and "corpus.caption_templates: got" in told and "no labels" in told


def test_a_corpus_of_captions_alone_trains_no_generator() -> None:
    recipe = {"pretraining": "photographs_cpu", "generator": "photographs"}
    concepts = {"experiment": "own_captions", "corpus": "concepts", "corpus.classes": ["cat", "dog"]}
    told = fault_of_recipe(**recipe, **concepts)
    assert told is not None and "corpus 'concepts' has no images of its own" in told


@pytest.mark.parametrize("runtime", [{"generator.size_px": 16}, {"pretraining.images.size_px": 64}])
def test_a_generator_is_measured_at_the_size_of_its_images(runtime: dict[str, int], tmp_path: Path) -> None:
    told = fault_of_pretraining(write_class_folders(tmp_path), **runtime)
    assert told is not None and told.startswith("generator.size_px: got ")


def test_images_whose_side_the_networks_cannot_halve_are_reported(tmp_path: Path) -> None:
    told = fault_of_pretraining(write_class_folders(tmp_path), **{"pretraining.images.size_px": 30})
    assert told is not None and "30 pixels a side, which must be a multiple of 4" in told


def test_local_crops_that_an_arm_cannot_have_are_told() -> None:
    crops = {"training.local_crops.per_image": 2}
    assert "per_image: got 2 for arm 'clip_synthetic'; must be 0 for CLIP" in str(fault("training", **crops))
    of_one = {"arms.stablerep.training": {"local_crops": {"per_image": 2}}}
    assert fault("training", **of_one) is None
    of_one["arms.stablerep.training"]["local_crops"]["size_px"] = 16
    told = str(fault("training", **of_one))
    assert "size_px: got 16, of which the encoder gives 128 features, and 512 of its own 32 px" in told
