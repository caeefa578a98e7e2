"""Composition of the parameters, and the messages about what is wrong with them."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipelines.config.loader import HydraConfigLoader, compose, write_parameters
from pipelines.config.params_option import parse_params
from pipelines.config.schema import Parameters
from stablerep.errors import ConfigError
from tests.pipelines.small_projects import write_photos

PROJECT = Path(__file__).parents[3]
FOLDER = PROJECT / "conf" / "params"
EXPERIMENTS = sorted(path.stem for path in (FOLDER / "experiment").glob("*.yaml"))
OPTIONS = [(path.parent.name, path.stem) for path in sorted(FOLDER.glob("*/*.yaml"))]
OWN_CAPTIONS = {"experiment": "own_captions", "corpus.path": "captions.csv"}


def refused(runtime: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(FOLDER, runtime)
    return str(caught.value)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with captions: where an arm needs captions if there are any, the corpus is looked at."""
    return write_photos(tmp_path_factory.mktemp("data") / "photos")


def composed(runtime: dict[str, Any]) -> dict[str, Any]:
    """Composes, with a value for each key that only a user knows."""
    given = dict(runtime)
    for _ in range(5):
        try:
            return compose(FOLDER, given)
        except ConfigError as error:
            missing = re.match(r"(\S+): missing; must be given\. Add --params", str(error))
            if missing is None:
                raise
            given[missing[1]] = 100 if missing[1].rpartition(".")[2].startswith("num_") else "/given"
    raise AssertionError(given)


@pytest.mark.parametrize("size", ["full", "smoke"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_shipped_experiment_composes_in_every_size(experiment: str, size: str, photos: Path) -> None:
    own = {"corpus.path": str(photos)} if experiment == "own_images" else {}
    parameters = composed({"experiment": experiment, "size": size} | own)
    assert parameters["experiment_name"] == experiment
    assert parameters["arms"]
    if size == "smoke":
        assert parameters["training"]["num_images"] == 1024


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_shipped_option_composes(group: str, option: str, photos: Path) -> None:
    arms: dict[str, Any] = {}
    if (group, option) == ("experiment", "own_images"):
        arms = {"corpus.path": str(photos)}
    if group == "method":
        arms = {"experiment": "references", "method": [option]}
        arms |= {f"arms.supcon_{images}": None for images in ("synthetic", "real", "rendered")}
        arms |= {"arms.supervised": None, "arms.one": {"method": option, "images": "synthetic"}}
    if (group, option) == ("training", "paper"):
        arms = {"generator.images_per_caption": 10}
    parameters = composed({group: option} | arms)
    assert parameters["arms"]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_config_file_has_the_header(group: str, option: str) -> None:
    text = (FOLDER / group / f"{option}.yaml").read_text()
    # a corpus by itself takes no time and has no metric
    measured = [] if group == "corpus" else ["# Runtime:", "# Expected:"]
    for word in ("# Source:", "# Run:", *measured):
        assert word in text, word


def test_every_group_has_a_default_and_its_values_stand_under_its_name() -> None:
    defaults = yaml.safe_load((FOLDER / "config.yaml").read_text())["defaults"]
    groups = [next(iter(each)) for each in defaults if isinstance(each, dict)]
    assert sorted(groups) == sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    assert set(groups) - {"experiment", "size"} <= set(Parameters.model_fields)


def test_the_default_is_digit_scenes_with_its_seven_arms() -> None:
    parameters = compose(FOLDER, {})
    assert parameters["experiment_name"] == "digit_scenes"
    assert list(parameters["arms"]) == [
        "stablerep", "stablerep_plus", "simclr_synthetic", "clip_synthetic", "simclr_real", "clip_real",
        "stablerep_rendered",
    ]  # fmt: skip
    assert parameters["image_sets"]["rendered"]["images_per_caption"] == 4
    assert parameters["seeds"] == [0, 1, 2]


def test_composing_imports_no_class_that_the_files_name() -> None:
    parameters = compose(FOLDER, {"executor._target_": "nowhere.Executor"})
    assert parameters["executor"]["_target_"] == "nowhere.Executor"


def test_smoke_is_digit_scenes_in_the_smoke_size_with_the_labels_reference() -> None:
    smoke, small = compose(FOLDER, {"experiment": "smoke"}), compose(FOLDER, {"size": "smoke"})
    assert set(smoke["arms"]) - set(small["arms"]) == {"supcon_real"}
    for section in ("training", "generator", "curation", "reporting", "tuning", "image_sets"):
        assert smoke[section] == small[section], section
    assert compose(FOLDER, {"experiment": "smoke", "size": "smoke"}) == smoke
    assert smoke["executor"]["num_cpu_processes"] == 1
    # a choice of the command line wins
    assert compose(FOLDER, {"experiment": "smoke", "executor": "ray"})["executor"]["address"] is None


def test_a_size_combines_with_any_experiment_and_wins_over_its_numbers() -> None:
    parameters = compose(FOLDER, {**OWN_CAPTIONS, "size": "smoke"})
    assert parameters["generator"]["images_per_caption"] == 2
    assert parameters["training"]["batch"]["images_per_caption"] == 2


def test_paper_has_the_papers_numbers() -> None:
    parameters = composed({"experiment": "paper"})
    assert parameters["encoder"]["backbone"] == {
        "_target_": "stablerep.models.encoders.TimmEncoder",
        "name": "vit_base_patch16_224",
        "size_px": 224,
        "standardise": "imagenet",
        "dynamic_img_size": False,
    }
    assert list(parameters["evaluation"]) == ["sgd_probe", "knn"], "the paper's probe"
    probe = parameters["evaluation"]["sgd_probe"]
    assert (probe["num_epochs"], probe["batch_size"], probe["momentum"]) == (90, 1024, 0.9)
    head = {"hidden_dim": 4096, "out_dim": 256, "kind": "stablerep", "batch_norm": "per_view"}
    assert parameters["encoder"]["head"] == head
    text = {"width": 512, "num_layers": 12, "num_heads": 8, "out_dim": 512, "max_tokens": 77}
    folder = parameters["generator"]["model_folder"]
    assert parameters["encoder"]["text"] == text | {"tokenizer_folder": f"{folder}/tokenizer"}
    training = parameters["training"]
    assert training["batch"] == {"captions": 43 * 32, "images_per_caption": 6, "chunk": 43 * 6}
    assert training["learning_rate"] == pytest.approx(2e-4 * 8256 / 256 / 2, rel=0.01)
    told = {"weight_decay": 0.1, "betas": [0.9, 0.98], "epochs": 15, "warmup_epochs": 0.5}
    told |= {"num_images": None, "warmup_share": None, "max_grad_norm": None, "ema_decay": None}
    assert {key: training[key] for key in told} == told
    methods = parameters["method"]
    assert {name: each.get("temperature") for name, each in methods.items()} == {
        "stablerep": 0.1, "stablerep_plus": 0.1, "simclr": 0.1, "supcon": 0.1, "supervised": 0.1,
        "clip": None,
    }  # fmt: skip
    assert methods["stablerep"]["images_per_caption"] == methods["stablerep_plus"]["images_per_caption"] == 6
    assert methods["stablerep_plus"]["text_weight"] == 1.0
    assert methods["simclr"]["views_per_image"] == 2
    assert not any(arm["training"] or arm["head"] for arm in parameters["arms"].values())


def test_paper_has_the_papers_views() -> None:
    training = composed({"experiment": "paper"})["training"]
    strong = {"min_crop": 0.08, "jitter": 0.4, "jitter_probability": 0.8, "grey_probability": 0.2}
    strong |= {"blur_probability": 0.5, "blur_sigma": [0.1, 2.0], "flip_probability": 0.5}
    strong |= {"downsample_probability": 0.0, "downsample_px": [64, 128]}
    assert training["augmentation"] == strong
    chances = ("jitter_probability", "grey_probability", "blur_probability", "flip_probability")
    weak = {"min_crop": 0.5} | dict.fromkeys(chances, 0.0)
    assert training["augmentation_by_method"] == {"clip": weak}


def test_paper_has_the_papers_images_of_raw_captions() -> None:
    parameters = composed({"experiment": "paper"})
    generator = parameters["generator"]
    assert generator["repository"] == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    told = {"guidance_scale": 2.0, "guidance_interval": [0.0, 1.0], "num_inference_steps": 50}
    told |= {"images_per_caption": 10, "size_px": 512, "saved_size_px": 256, "negative_prompt": ""}
    told |= {"safety_checker": False, "num_shards": 10_000}
    assert {key: generator[key] for key in told} == told
    assert generator["scheduler"] == {"_target_": "diffusers.DDIMScheduler"}
    assert parameters["alignment"]["scorer"] is None
    assert parameters["curation"]["max_captions"] is None
    filters = [each["_target_"].rpartition(".")[2] for each in parameters["curation"]["filters"]]
    assert filters == ["Empty", "Duplicates"]
    assert all(set(each) == {"_target_"} for each in parameters["curation"]["filters"])


def test_paper_is_evaluated_on_the_imagenet_that_the_user_names() -> None:
    paper = {"experiment": "paper", "corpus.path": "captions.csv"}
    assert refused(paper).startswith("evaluation_sets.imagenet.path: missing; must be given. Add --params ev")
    sets = compose(FOLDER, {**paper, "evaluation_sets.imagenet.path": "/imagenet"})["evaluation_sets"]
    assert sets["imagenet"]["path"] == "/imagenet"


@pytest.mark.parametrize("corpus", ["image_folder", "parquet"])
def test_own_images_train_on_a_corpus_and_are_evaluated_on_what_it_holds_out(
    corpus: str, photos: Path, tmp_path: Path
) -> None:
    own = {"experiment": "own_images", "corpus": corpus}
    assert refused(own).startswith("corpus.path: missing; must be given. Add --params corpus.path=...")
    if corpus == "parquet":
        images = sorted(photos.rglob("*.png"))
        table = {"image": [each.read_bytes() for each in images], "caption": "a photo"}
        pd.DataFrame(table).to_parquet(tmp_path / "photos.parquet")
        photos = tmp_path / "photos.parquet"
    parameters = compose(FOLDER, {**own, "corpus.path": str(photos)})
    assert parameters["corpus"]["path"] == str(photos)
    assert parameters["evaluation_sets"] == {"held_out": parameters["corpus"]}
    assert parameters["arms"]["simclr_real"]["if_possible"] is False
    assert parameters["arms"]["clip_real"]["if_possible"] is True
    assert parameters["encoder"]["backbone"]["size_px"] == 64


def test_own_images_are_compared_with_as_many_generated_ones() -> None:
    own = {"experiment": "own_images_generated", "corpus.path": "/images", "generator": "sdxl_turbo"}
    sets = compose(FOLDER, own)["image_sets"]
    assert sets["real"]["num_images"] is None
    assert sets["synthetic"]["as_many_as"] == "real"
    parameters = compose(FOLDER, {**own, "image_sets.real.num_images": 400})
    assert parameters["image_sets"]["real"]["num_images"] == 400
    assert {arm["images"] for arm in parameters["arms"].values()} == {"real", "synthetic"}
    assert not any(arm["if_possible"] for arm in parameters["arms"].values())


def test_a_generator_beside_own_images_adds_the_generated_sets_and_arms() -> None:
    own = {"corpus.path": "/images", "generator": "sdxl_turbo", "generator.num_shards": 3}
    assert compose(FOLDER, {"experiment": "own_images", **own}) == compose(
        FOLDER, {"experiment": "own_images_generated", **own}
    )


@pytest.mark.parametrize("generator", ["stable_diffusion_1_5", "sdxl_turbo", "lcm_dreamshaper_v7"])
def test_own_captions_take_any_generator_and_learn_from_its_images_alone(generator: str) -> None:
    parameters = compose(FOLDER, {**OWN_CAPTIONS, "generator": generator})
    assert {arm["images"] for arm in parameters["arms"].values()} == {"synthetic"}
    assert parameters["curation"]["filters"][3]["max_words"] == 50
    assert parameters["generator"]["num_shards"] == 64  # the generator's, not the embedded one's
    assert parameters["generator"]["images_per_caption"] == 4


def test_the_small_encoder_takes_images_as_they_are_stored() -> None:
    parameters = compose(FOLDER, {**OWN_CAPTIONS, "generator": "stable_diffusion_1_5"})
    assert parameters["generator"]["size_px"] == 512
    assert parameters["encoder"]["backbone"]["size_px"] == parameters["generator"]["saved_size_px"] == 256
    small = compose(FOLDER, {**OWN_CAPTIONS, "generator.saved_size_px": 16})
    assert small["encoder"]["backbone"]["size_px"] == 16


def test_a_choice_and_values_of_its_group_are_given_in_one_call_in_any_order() -> None:
    given = parse_params("generator.guidance_scale=3,generator=stable_diffusion_1_5,size=smoke")
    generator = compose(FOLDER, given)["generator"]
    assert generator["repository"] == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert generator["guidance_scale"] == 3.0
    assert isinstance(generator["guidance_scale"], float)
    assert generator["num_inference_steps"] == 50


def test_values_are_taken_nested_too_as_a_file_of_kedro_run_has_them() -> None:
    nested = {
        "generator": {"guidance_scale": 2.0, "num_shards": 4},
        "arms": {"clip_real": {"if_possible": True}},
    }
    parameters = compose(FOLDER, nested)
    assert parameters["generator"]["num_shards"] == 4
    assert parameters["generator"]["size_px"] == 32
    assert parameters["arms"]["clip_real"] == {
        "method": "clip", "images": "real", "training": {}, "head": {}, "if_possible": True,
        "as_much_compute_as": None,
    }  # fmt: skip


def test_an_interpolation_follows_a_value_given_at_run_time() -> None:
    parameters = compose(FOLDER, {"generator.images_per_caption": 8})
    assert parameters["method"]["stablerep"]["images_per_caption"] == 8
    assert parameters["image_sets"]["rendered"]["images_per_caption"] == 8
    assert compose(FOLDER, {"seeds": [3, 4]})["curation"]["filters"][-1]["seed"] == 3


def test_an_item_of_a_list_is_set_by_its_number() -> None:
    assert compose(FOLDER, {"curation.filters[5].max_words": 9})["curation"]["filters"][5]["max_words"] == 9


def test_the_cluster_is_chosen_and_addressed_at_run_time() -> None:
    runtime = parse_params("executor=ray,executor.address=auto,executor.num_workers=8")
    executor = compose(FOLDER, runtime)["executor"]
    assert executor["_target_"].endswith(".RayExecutor")
    assert (executor["address"], executor["num_workers"]) == ("auto", 8)
    assert "Did you mean 'num_workers'?" in refused(runtime | {"executor.num_worker": 8})
    # a setting of the one is no setting of the other
    assert "executor.num_workers: unknown key" in refused({"executor.num_workers": 8})


@pytest.mark.parametrize("name", ["accelerate", "local", "one_process", "ray"])
def test_a_shipped_executor_is_made_and_names_a_key_out_of_range(name: str) -> None:
    from pipelines.config.build import build

    section = compose(FOLDER, {"executor": name})["executor"]
    where = "conf/params/executor/<name>.yaml"
    assert type(build("executor", section, where)).__name__ == section["_target_"].rpartition(".")[2]
    with pytest.raises(ConfigError, match=r"^executor\.max_retries: got -1; must be >= 0"):
        build("executor", section | {"max_retries": -1}, where)
    with pytest.raises(
        ConfigError, match=r"^executor\.retries: .* takes no such argument; .* mean 'max_retries'"
    ):
        build("executor", section | {"retries": 1}, where)


def test_the_image_gate_allows_further_images_whatever_a_sets_own_number() -> None:
    rules = compose(FOLDER, {})["validation"]["images_of_captions"]
    rule = rules["every_caption_fully_drawn"]
    # num_wanted is each set's own; what the policy draws beyond it is no fault
    assert rule["type"] == "expect_column_pair_values_a_to_be_greater_than_b"
    assert rule["kwargs"] == {"column_A": "num_images", "column_B": "num_wanted", "or_equal": True}


def test_several_methods_are_chosen_as_a_list_and_one_by_its_name() -> None:
    arms: dict[str, Any] = {"experiment": "references"}
    arms |= {f"arms.supcon_{images}": None for images in ("synthetic", "rendered")}
    arms |= {"arms.supcon_real.method": "clip", "arms.supervised": None}
    assert set(compose(FOLDER, {**arms, "method": ["simclr", "clip"]})["method"]) == {"simclr", "clip"}
    assert set(compose(FOLDER, {**arms, "method": "clip"})["method"]) == {"clip"}
    assert set(compose(FOLDER, {"evaluation": ["knn"]})["evaluation"]) == {"knn"}


def test_entries_are_added_and_removed_at_run_time() -> None:
    given = parse_params(
        "arms.w8={method: stablerep, images: w8},image_sets.w8={source: generated, guidance_scale: 8},"
        "arms.clip_real=null,evaluation_sets.corpus=${corpus}"
    )
    parameters = compose(FOLDER, given)
    assert parameters["arms"]["w8"]["images"] == "w8"
    assert parameters["image_sets"]["w8"]["guidance_scale"] == 8
    assert "clip_real" not in parameters["arms"]
    assert parameters["evaluation_sets"]["corpus"] == parameters["corpus"]
    apart = compose(FOLDER, {"arms.new.method": "simclr", "arms.new.images": "real"})
    assert apart["arms"]["new"]["method"] == "simclr"


def test_a_mapping_with_a_class_replaces_the_one_that_was_there() -> None:
    given = {"corpus": {"_target_": "mine.Corpus", "folder": "/x"}}
    assert compose(FOLDER, given)["corpus"] == given["corpus"]


def test_a_mapping_takes_the_place_of_a_value_that_is_none() -> None:
    given = parse_params(
        "corpus=parquet,corpus.path={train: a.parquet, test: b.parquet},corpus.columns={image: jpg}"
    )
    corpus = compose(FOLDER, given)["corpus"]
    assert corpus["path"] == {"train": "a.parquet", "test": "b.parquet"}
    assert corpus["columns"] == {"image": "jpg"}


def test_every_choice_that_the_readme_shows_composes(photos: Path) -> None:
    text = (PROJECT / "README.md").read_text()
    choice = rf"(?:{'|'.join(sorted(Parameters.model_fields))}|experiment|size)[\w.]*="
    shown = re.findall(rf"`({choice}[^`]+)`", text)
    assert len(shown) > 8
    for each in shown:
        given = each.replace("corpus.path=/path", f"corpus.path={photos}")
        # what the experiments of one's own need beside the choice that is shown
        own: dict[str, Any] = {"experiment": "paper"} if given.startswith("corpus=") else {}
        if "photographs," in given:  # which arms are possible is seen in the corpus
            own = {"corpus": "image_folder", "corpus.path": str(photos)}
        if given.endswith("=null"):  # one that is taken away leaves another
            own |= parse_params("evaluation_sets.mine={_target_: mine.Photos}")
        composed(own | parse_params(given))


def test_a_typo_in_a_key_names_the_nearest_key() -> None:
    message = refused({"generator.guidance_scal": 3})
    assert message.startswith("generator.guidance_scal: unknown key")
    assert "Did you mean 'guidance_scale'?" in message


def test_a_typo_in_a_top_level_key_names_the_nearest_group_or_key() -> None:
    assert "Did you mean 'generator'?" in refused({"generatr.size_px": 32})
    assert "Did you mean 'experiment'?" in refused({"experimnt": "smoke"})


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("generation.guidance_scale", "generation is generator now"),
        ("optimisation.learning_rate", "optimisation is training now"),
        ("batch.captions", "batch is training.batch now"),
        ("model.encoder.name", "model.encoder is encoder.backbone now"),
        ("model.head.out_dim", "model is encoder now"),
        ("seed", "seed is seeds now"),
    ],
)
def test_a_key_of_before_0_2_says_what_it_is_now(key: str, told: str) -> None:
    assert refused({key: 1}) == f"{key}: unknown key; {told}."


def test_a_typo_deep_in_a_free_mapping_is_found() -> None:
    message = refused({"method.simclr.temprature": 0.2})
    assert message.startswith("method.simclr.temprature: unknown key")
    assert "Did you mean 'temperature'?" in message
    message = refused({"encoder.backbone.sizepx": 64})
    assert "Did you mean 'size_px'?" in message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"arms.clip_reel": None}, "arms.clip_reel: unknown key; must be one of clip_real"),
        ({"arms.stablerap.images": "real"}, "arms.stablerap: unknown key; must be one of clip_real"),
        ({"method.simcrl.temperature": 0.2}, "method.simcrl: unknown key; must be one of clip, simclr"),
        ({"image_sets.reel": {"num_images": 2}}, "image_sets.reel: unknown key; must be one of real"),
        (
            {"evaluation_sets.scene.num_train": 2},
            "evaluation_sets.scene: unknown key; must be one of hard_scenes, scenes",
        ),
        (
            {"validation.terms.no_term_prevail.severity": "warn"},
            "validation.terms.no_term_prevail: a rule wi",
        ),
    ],
)
def test_a_typo_in_the_name_of_an_entry_is_no_new_entry(given: dict[str, Any], told: str) -> None:
    message = refused(given)
    assert message.startswith(told)
    assert "Did you mean" in message


def test_a_wrong_type_names_the_key() -> None:
    assert refused({"generator.guidance_scale": "a"}).startswith(
        "generator.guidance_scale: got 'a'; must be a n"
    )
    assert "must be an integer" in refused({"tuning.num_scales": 2.5})
    assert "must be an integer" in refused({"training.log_every": True})
    assert "training.betas[0]" in refused({"training.betas": ["x", 0.9]})


def test_a_section_given_as_a_number_names_its_keys() -> None:
    message = refused({"training.augmentation": 3})
    assert message.startswith("training.augmentation: got 3; must be set key by key")
    assert "training.augmentation.min_crop" in message


def test_an_unknown_option_lists_the_options_and_the_nearest() -> None:
    message = refused({"experiment": "smok"})
    assert ", ".join(EXPERIMENTS) in message
    assert "Did you mean 'smoke'?" in message
    assert "Did you mean 'clip'?" in refused({"method": ["simclr", "clipp"]})
    assert "values are set by generator.<key>=..." in refused({"generator": 3})


def test_references_are_chosen_added_and_removed() -> None:
    own = {"model": "vit_small_patch16_dinov3", "weights": "/models/dinov3"}
    given = parse_params("references=[raw_pixels,untrained],references.raw_pixels=null") | {
        "references.dinov3": own
    }
    references = compose(FOLDER, given)["references"]
    assert {name: each["kind"] for name, each in references.items()} == {
        "untrained": "untrained",
        "dinov3": "pretrained",
    }
    assert references["dinov3"]["weights"] == "/models/dinov3"
    assert list(compose(FOLDER, {})["references"]) == ["untrained", "raw_pixels"]
    assert "references.pretrained.model: missing; must be given" in refused({"references": ["pretrained"]})
    assert "must be other than that of an arm" in refused({"references.stablerep": own})
    assert "A new one must have the key model" in refused({"references.mine": {"weights": "/x"}})


def test_a_list_for_a_group_that_takes_one_is_refused() -> None:
    told = refused({"generator": ["embedded"]})
    assert "Only `method`, `evaluation`, `references`, `set_metrics`, `experiment` take several" in told


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("generator.guidance_scale", -1.0, "got -1.0; must be >= 0 and <= 100"),
        ("generator.guidance_scale", float("nan"), "got nan; must be >= 0"),
        ("generator.num_inference_steps", 0, "got 0; must be >= 1 and <= 1000"),
        ("generator.dtype", "float8", "got 'float8'; must be one of auto"),
        ("generator.saved_size_px", 64, "got 64; must be >= 1 and <= 32"),
        ("generator.guidance_interval", [0.5, 0.5], "got [0.5, 0.5]; must hold the start"),
        ("generator.guidance_interval", [0.8, 0.2], "got [0.8, 0.2]; must hold the start"),
        ("training.learning_rate", float("inf"), "got inf; must be >= 0 and <= 100"),
        ("training.weight_decay", float("inf"), "got inf"),
        ("training.warmup_share", 1.5, "got 1.5; must be >= 0 and <= 1"),
        ("training.num_images", 64, "got 64; must be >= 128, the views of one step"),
        ("training.epochs", 3.0, "got 3.0 beside training.num_images = 32000; one of the two must be given"),
        ("training.warmup_epochs", 1.0, "got 1.0 beside training.warmup_share = 0.1; one of the two"),
        ("training.augmentation.blur_sigma", [2.0, 1.0], "got [2.0, 1.0]; the first must be <= the second"),
        ("training.mixed_precision", "fp8", "got 'fp8'; must be one of bf16, no"),
        ("training.probe_every", 30, "got 30; must be a multiple of training.log_every = 20"),
        ("training.augmentation.min_crop", 0, "got 0; must be >= 0.01"),
        ("encoder.head.hidden_dim", 0, "got 0; must be >= 1"),
        ("encoder.text.num_heads", 3, "got 3; must divide encoder.text.width = 128"),
        ("curation.max_captions", 0, "got 0; must be >= 1"),
        ("reporting.num_bootstrap", 10, "got 10; must be >= 100"),
        ("tuning.high", 0.5, "got 0.5; must be >= 1"),
        ("tuning.seeds", [0], "got [0]; must have at least 2"),
        ("tuning.seeds", [0, 0], "got [0, 0]; each value must occur only once"),
        ("pretraining.caption_dropout", 2, "got 2; must be >= 0 and <= 1"),
        ("pretraining.denoiser.batch_size", 0, "got 0; must be >= 1"),
        ("scorer.stage.decay_from", 2, "got 2; must be >= 0 and <= 1"),
        ("seeds", [], "got []; must be a list of one seed or more"),
        ("seeds", [1, 1], "got [1, 1]; must differ from each other"),
        ("seeds", 3, "got 3; must be a list of one seed or more"),
    ],
)
def test_a_value_out_of_range_names_key_bound_and_file(key: str, value: Any, told: str) -> None:
    message = refused({key: value})
    assert message.startswith(f"{key}: {told}")
    group = "experiment" if key == "seeds" else key.partition(".")[0]
    assert message.endswith(f"Set it in conf/params/{group}/<name>.yaml.") or message.endswith("?")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("training.betas", [0.9, 1.0], "training.betas[1]: got 1.0"),
        ("training.betas", [-0.1, 0.9], "training.betas[0]: got -0.1"),
        ("training.num_images", None, "training.epochs: got None beside training.num_images = None; one of"),
        ("seeds", [0, -1], "seeds[1]: got -1; must be >= 0"),
        ("curation.filters", [{"min_words": 2}], "curation.filters[0]._target_: missing"),
        (
            "alignment.policy.min_alignment",
            2,
            "alignment.policy.min_alignment: got 2; must be >= -1 and <= 1",
        ),
    ],
)
def test_a_value_inside_of_a_list_or_section_names_its_place(key: str, value: Any, told: str) -> None:
    assert refused({key: value}).startswith(told)


def test_a_policy_without_a_scorer_is_refused() -> None:
    given = {"alignment": "unscored", "alignment.policy.min_alignment": 0.5}
    assert refused(given).startswith("alignment.scorer: got null; must name a class")


def test_the_bounds_themselves_are_allowed() -> None:
    values = {
        "generator.guidance_scale": 0,
        "training.warmup_share": 1,
        "training.betas": [0, 0.9999],
        "training.weight_decay": 0,
    }
    assert compose(FOLDER, values)["generator"]["guidance_scale"] == 0.0


def test_the_loader_gives_kedro_the_parameters_and_leaves_the_catalog_alone() -> None:
    loader = HydraConfigLoader(
        str(PROJECT / "conf"), base_env="base", default_run_env="local", runtime_params={"seeds": [3]}
    )
    assert loader["parameters"]["seeds"] == [3]
    assert loader["catalog"]["takedowns"]["filepath"] == "data/01_raw/takedowns.csv"
    assert loader["parameters"] is loader["parameters"]


def test_a_parameters_file_in_kedros_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "parameters.yml").write_text("seed: 1\n")
    loader = HydraConfigLoader(str(tmp_path), base_env="base", default_run_env="local")
    with pytest.raises(ConfigError, match=r"parameters\.yml: parameters files are not read"):
        loader["parameters"]


def test_params_yaml_holds_exactly_what_was_composed_and_reads_back_as_objects(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    composed = compose(FOLDER, {"experiment": "smoke", "seeds": [5]})
    write_parameters(path, composed)
    written = yaml.safe_load(path.read_text())
    assert written == composed
    assert Parameters.read(written).seeds == (5,)
    assert [each.name for each in tmp_path.iterdir()] == ["params.yaml"]
