"""Composition of the parameters, and what is told when they are wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.config.loader import GROUP_KEYS, HydraConfigLoader, compose, main
from pipelines.config.params_option import parse_params
from stablerep.errors import ConfigError

PROJECT = Path(__file__).parents[3]
FOLDER = PROJECT / "conf" / "params"
EXPERIMENTS = sorted(path.stem for path in (FOLDER / "experiment").glob("*.yaml"))
OPTIONS = [(path.parent.name, path.stem) for path in sorted(FOLDER.glob("*/*.yaml"))]


def refused(runtime: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(FOLDER, runtime)
    return str(caught.value)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_shipped_experiment_composes(experiment: str) -> None:
    parameters = compose(FOLDER, {"experiment": experiment})
    assert parameters["experiment_name"] == experiment
    assert parameters["arms"]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_shipped_option_composes_or_says_what_does_not_fit(group: str, option: str) -> None:
    choice = [option] if group == "method" else option
    arms = [{"name": "one", "method": option if group == "method" else "simclr", "images": "synthetic"}]
    # with flips, which are for other images than the embedded generator's
    other = {"generator": "sdxl_turbo"} if (group, option) == ("training", "paper") else {}
    parameters = compose(FOLDER, {**other, group: choice, "arms": arms})
    assert parameters["arms"][0]["name"] == "one"


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_config_file_has_the_header(group: str, option: str) -> None:
    text = (FOLDER / group / f"{option}.yaml").read_text()
    for word in ("# Source:", "# Run:", "# Runtime:"):
        assert word in text, word


def test_every_folder_is_a_known_group() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(GROUP_KEYS)


def test_the_default_is_digit_scenes_with_its_seven_arms() -> None:
    parameters = compose(FOLDER, {})
    assert parameters["experiment_name"] == "digit_scenes"
    assert {arm["name"] for arm in parameters["arms"]} >= {"stablerep", "clip_real", "simclr_real"}


def test_paper_has_the_papers_numbers() -> None:
    parameters = compose(FOLDER, {"experiment": "paper"})
    assert parameters["model"]["encoder"]["name"] == "vit_base_patch16_224"
    assert parameters["model"]["head"] == {"hidden_dim": 4096, "out_dim": 256, "batch_norm": "per_view"}
    assert parameters["generation"]["guidance_scale"] == 2.0
    assert parameters["generation"]["images_per_caption"] == 10
    assert parameters["generation"]["num_shards"] == 10_000
    assert parameters["methods"]["stablerep"]["images_per_caption"] == 6
    optimisation = parameters["optimisation"]
    assert parameters["batch"] == {"captions": 43 * 32, "images_per_caption": 6, "chunk": 43 * 6}
    assert optimisation["learning_rate"] == pytest.approx(2e-4 * 8256 / 256 / 2, rel=0.01)
    assert optimisation["weight_decay"] == 0.1


@pytest.mark.parametrize("generator", ["stable_diffusion_1_5", "sdxl_turbo", "lcm_dreamshaper_v7"])
def test_own_captions_take_any_generator_and_learn_from_its_images_alone(generator: str) -> None:
    parameters = compose(FOLDER, {"experiment": "own_captions", "generator": generator})
    assert {arm["images"] for arm in parameters["arms"]} == {"synthetic"}
    assert parameters["captions"]["filters"][3]["max_words"] == 50
    assert parameters["generation"]["num_shards"] == 64  # the generator's, not the embedded one's
    assert parameters["generation"]["images_per_caption"] == 4


def test_the_small_encoder_takes_images_as_they_are_stored() -> None:
    parameters = compose(FOLDER, {"experiment": "own_captions", "generator": "stable_diffusion_1_5"})
    assert parameters["generation"]["size_px"] == 512
    assert parameters["model"]["encoder"]["size_px"] == parameters["generation"]["saved_size_px"] == 256
    small = {"experiment": "own_captions", "generation": {"saved_size_px": 16}}
    assert compose(FOLDER, small)["model"]["encoder"]["size_px"] == 16


def test_values_given_at_run_time_replace_those_of_the_files() -> None:
    runtime = {"experiment": "smoke", "generation": {"num_inference_steps": 5, "guidance_scale": 3}}
    generation = compose(FOLDER, runtime)["generation"]
    assert generation["num_inference_steps"] == 5
    assert generation["guidance_scale"] == 3.0
    assert isinstance(generation["guidance_scale"], float)
    assert generation["images_per_caption"] == 2


def test_an_interpolation_follows_a_value_given_at_run_time() -> None:
    parameters = compose(FOLDER, {"generation": {"images_per_caption": 8}})
    assert parameters["methods"]["stablerep"]["images_per_caption"] == 8


def test_the_cluster_is_chosen_and_addressed_at_run_time() -> None:
    runtime = {"executor": "ray", "execution": {"address": "auto", "num_workers": 8}}
    execution = compose(FOLDER, runtime)["execution"]
    assert execution["_target_"].endswith(".RayExecutor")
    assert (execution["address"], execution["num_workers"]) == ("auto", 8)
    assert "Did you mean 'num_workers'?" in refused(runtime | {"execution": {"num_worker": 8}})
    # a setting of the one is no setting of the other
    assert "execution.num_workers: unknown key" in refused({"execution": {"num_workers": 8}})


@pytest.mark.parametrize("name", ["accelerate", "local", "ray"])
def test_a_shipped_executor_is_made_and_names_a_key_out_of_range(name: str) -> None:
    from pipelines.generation.nodes import executor_of

    section = compose(FOLDER, {"executor": name})["execution"]
    assert type(executor_of(section)).__name__ == f"{name.capitalize()}Executor"
    with pytest.raises(ConfigError, match=r"^execution\.max_retries: got -1; must be >= 0"):
        executor_of(section | {"max_retries": -1})
    with pytest.raises(ConfigError, match=r"^execution: got .*unexpected keyword argument 'retries'"):
        executor_of(section | {"retries": 1})


def test_the_image_gate_allows_as_many_further_images_as_the_policy_draws() -> None:
    def bounds(**policy: Any) -> tuple[int, int]:
        changed = {"scoring": {"policy": policy}} if policy else {}
        rules = compose(FOLDER, changed)["gates"]["images_of_captions"]
        kwargs = rules["every_caption_fully_drawn"]["kwargs"]
        return kwargs["min_value"], kwargs["max_value"]

    assert bounds() == (4, 4)
    assert bounds(on_reject="remake", max_remakes=3) == (4, 7)


def test_a_policy_without_a_scorer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"scoring\.scorer: got null; must name a class"):
        compose(FOLDER, {"alignment": "unscored", "scoring": {"policy": {"min_alignment": 0.5}}})


def test_several_methods_are_chosen_as_a_list() -> None:
    arms = [{"name": "one", "method": "clip", "images": "real"}]
    parameters = compose(FOLDER, {"method": ["simclr", "clip"], "arms": arms})
    assert set(parameters["methods"]) == {"simclr", "clip"}


def test_every_choice_that_the_readme_shows_composes() -> None:
    text = (PROJECT / "README.md").read_text()
    shown = re.findall(r'--params (?:"([^"]+)"|([^`\s]+))', text)
    assert len(shown) > 4
    for quoted, bare in shown:
        compose(FOLDER, parse_params(quoted or bare))


def test_a_typo_in_a_key_names_the_nearest_key() -> None:
    message = refused({"generation": {"guidance_scal": 3}})
    assert message.startswith("generation.guidance_scal: unknown key")
    assert "Did you mean 'guidance_scale'?" in message


def test_a_typo_in_a_top_level_key_names_the_nearest_group_or_key() -> None:
    assert "Did you mean 'generation'?" in refused({"generatio": {"size_px": 32}})
    assert "Did you mean 'experiment'?" in refused({"experimnt": "smoke"})


def test_a_typo_deep_in_a_free_mapping_is_found() -> None:
    message = refused({"methods": {"simclr": {"temprature": 0.2}}})
    assert message.startswith("methods.simclr.temprature: unknown key")
    assert "Did you mean 'temperature'?" in message


def test_a_wrong_type_names_the_key() -> None:
    assert refused({"generation": {"guidance_scale": "a"}}).startswith("generation.guidance_scale: got 'a'")
    assert "must be a whole number" in refused({"scenes": {"num_test_scenes_per_hand": 2.5}})
    assert "must be a whole number" in refused({"optimisation": {"log_every": True}})
    assert "optimisation.betas[0]" in refused({"optimisation": {"betas": ["x", 0.9]}})


def test_a_section_given_as_a_number_names_its_keys() -> None:
    message = refused({"generation": 3})
    assert message.startswith("generation: got 3")
    assert "generation.guidance_scale" in message


def test_a_group_given_as_a_mapping_says_which_key_to_use() -> None:
    message = refused({"generator": {"num_inference_steps": 5}})
    assert message.startswith("generator: got values of num_inference_steps")
    assert "generation.num_inference_steps=..." in message


def test_an_unknown_option_lists_the_options_and_the_nearest() -> None:
    message = refused({"experiment": "smok"})
    assert "digit_scenes, own_captions, paper, references, smoke" in message
    assert "Did you mean 'smoke'?" in message
    assert "Did you mean 'clip'?" in refused({"method": ["simclr", "clipp"]})


def test_a_list_for_a_group_that_takes_one_is_refused() -> None:
    assert "must be one name" in refused({"generator": ["embedded"]})


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        ("generation", {"guidance_scale": -1}, "generation.guidance_scale"),
        ("generation", {"guidance_scale": float("nan")}, "generation.guidance_scale"),
        ("generation", {"num_inference_steps": 0}, "generation.num_inference_steps"),
        ("generation", {"dtype": "float8"}, "generation.dtype"),
        ("generation", {"guidance_interval": [0.5, 0.5]}, "generation.guidance_interval: got [0.5, 0.5]"),
        ("generation", {"guidance_interval": [0.8, 0.2]}, "generation.guidance_interval: got [0.8, 0.2]"),
        ("optimisation", {"learning_rate": 0.0}, "optimisation.learning_rate: got 0.0"),
        ("optimisation", {"learning_rate": float("inf")}, "optimisation.learning_rate: got inf"),
        ("optimisation", {"weight_decay": float("inf")}, "optimisation.weight_decay: got inf"),
        ("optimisation", {"betas": [0.9, 1.0]}, "optimisation.betas[1]: got 1.0"),
        ("optimisation", {"betas": [-0.1, 0.9]}, "optimisation.betas[0]: got -0.1"),
        ("probe", {"num_neighbours": 4001}, "probe.num_neighbours: got 4001; must be <= scenes."),
        ("optimisation", {"warmup_share": 1.5}, "optimisation.warmup_share"),
        ("optimisation", {"num_images": 64}, "optimisation.num_images"),
        ("optimisation", {"mixed_precision": "fp8"}, "optimisation.mixed_precision"),
        ("optimisation", {"augmentation": {"min_crop": 0}}, "optimisation.augmentation.min_crop"),
        ("model", {"head": {"hidden_dim": 0}}, "model.head.hidden_dim"),
        ("scenes", {"num_probe_train_scenes": 1}, "scenes.num_probe_train_scenes"),
        ("captions", {"max_captions": 0}, "captions.max_captions"),
        ("probe", {"attributes": ["colour"]}, "probe.attributes[0]"),
        ("probe", {"probe_c": []}, "probe.probe_c"),
        ("study", {"low": 9.0}, "study.high"),
        ("pretraining_recipe", {"caption_dropout": 2}, "pretraining.caption_dropout"),
    ],
)
def test_a_value_out_of_range_names_key_and_bound(section: str, values: dict, key: str) -> None:
    message = refused({section: values})
    assert message.startswith(key)
    assert "must be" in message


def test_the_bounds_themselves_are_allowed() -> None:
    optimisation = {"warmup_share": 1, "betas": [0, 0.9999], "weight_decay": 0}
    values = {
        "generation": {"guidance_scale": 0},
        "optimisation": optimisation,
        "probe": {"num_neighbours": 4000},
    }
    assert compose(FOLDER, values)["generation"]["guidance_scale"] == 0.0


def test_a_batch_must_hold_whole_captions_and_two_of_them() -> None:
    of_four = {"stablerep": {"images_per_caption": 4}}
    assert "multiple of 4" in refused(
        {"batch": {"captions": 33, "images_per_caption": 2}, "methods": of_four}
    )
    arms = [{"name": "one", "method": "stablerep", "images": "synthetic"}]
    small = {"batch": {"captions": 1}, "optimisation": {"num_images": 8}, "arms": arms}
    assert refused(small).startswith("batch.captions: got 1, with 4 images of each 4 views")
    small["batch"]["captions"] = 2
    assert compose(FOLDER, small)["batch"]["captions"] == 2


def test_what_was_once_the_size_of_a_batch_is_refused() -> None:
    assert "batch_size" in refused({"optimisation": {"batch_size": 128}})


def test_more_images_in_a_batch_than_are_made_is_refused() -> None:
    message = refused({"methods": {"stablerep": {"images_per_caption": 8}}})
    assert "must be <= generation.images_per_caption = 4" in message


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ({"name": "a", "method": "stablerap", "images": "synthetic"}, "Did you mean 'stablerep'?"),
        ({"name": "a", "method": "simclr", "images": "sinthetic"}, "Did you mean 'synthetic'?"),
        ({"name": "a", "method": "stablerep", "images": "real"}, "one image a caption"),
        ({"name": "a", "method": "simclr"}, "arms[0].images: missing"),
        ({"name": "a", "method": "simclr", "images": "real", "seed": 1}, "arms[0].seed: unknown key"),
    ],
)
def test_an_arm_that_cannot_be_trained_is_refused(arm: dict, told: str) -> None:
    assert told in refused({"arms": [arm]})


def test_mirror_images_of_digits_are_refused() -> None:
    flips = {"augmentation": {"flip_probability": 0.5}}
    told = "optimisation.augmentation.flip_probability: got 0.5; must be 0 for images of digits"
    assert refused({"optimisation": flips}).startswith(told)
    own = {"experiment": "own_captions", "optimisation": flips}
    assert refused(own).startswith(told), "the embedded generator draws digits"
    parameters = compose(FOLDER, {**own, "generator": "sdxl_turbo"})
    assert parameters["optimisation"]["augmentation"]["flip_probability"] == 0.5
    real = [{"name": "a", "method": "simclr", "images": "real"}]
    assert refused({**own, "generator": "sdxl_turbo", "arms": real}).startswith(told)


@pytest.mark.parametrize("name", ["", "../a", "a b", "a/b", "stäble", "a.b", "a\n"])
def test_an_arms_name_that_is_no_files_name_is_refused(name: str) -> None:
    message = refused({"arms": [{"name": name, "method": "simclr", "images": "real"}]})
    assert message.startswith(f"arms: got the name {name!r}; must be of the letters")


def test_two_arms_of_one_name_are_refused() -> None:
    arm = {"name": "a", "method": "simclr", "images": "real"}
    assert "got 'a' twice" in refused({"arms": [arm, arm]})
    assert refused({"arms": []}).startswith("arms: got none")


def test_the_loader_gives_kedro_the_parameters_and_leaves_the_catalog_alone(bare_project: Path) -> None:
    loader = HydraConfigLoader(
        str(bare_project / "conf"), base_env="base", default_run_env="local", runtime_params={"seed": 3}
    )
    assert loader["parameters"]["seed"] == 3
    assert loader["catalog"]["captions"]["filepath"] == "data/01_raw/captions.csv"
    assert loader["parameters"] is loader["parameters"]


def test_a_parameters_file_in_kedros_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "parameters.yml").write_text("seed: 1\n")
    loader = HydraConfigLoader(str(tmp_path), base_env="base", default_run_env="local")
    with pytest.raises(ConfigError, match=r"parameters\.yml: parameters files are not read"):
        loader["parameters"]


def test_params_yaml_holds_exactly_what_was_composed(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    assert main([str(path), "--params", "experiment=smoke,seed=5"]) == 0
    assert yaml.safe_load(path.read_text()) == compose(FOLDER, {"experiment": "smoke", "seed": 5})
    assert [each.name for each in tmp_path.iterdir()] == ["params.yaml"]


def test_a_fault_leaves_the_old_params_yaml_and_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("old: true\n")
    assert main([str(path), "--params", "sed=5"]) == 1
    assert "Did you mean 'seed'?" in capsys.readouterr().err
    assert path.read_text() == "old: true\n"
