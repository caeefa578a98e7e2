"""What a user may mistype: each is one message that says what is wrong, and exit code 1, before a node runs.

Every case goes through the real command, in a copy of the project without data: a run that gets past all
checks of its input ends there with a message on the captions file.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project

from pipelines import cli
from pipelines.run.current import CURRENT

PROJECT = Path(__file__).parents[2]
RunCommand = Callable[..., str]


@pytest.fixture
def conf(bare_project: Path) -> Path:
    """A configuration that a test may damage."""
    folder = bare_project / "conf"
    for name in ("base", "params"):
        (folder / name).unlink()
        shutil.copytree(PROJECT / "conf" / name, folder / name)
    return folder


@pytest.fixture
def refused(bare_project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunCommand]:
    """Runs the command; returns what it says where it ends with exit code 1 and one message."""
    monkeypatch.chdir(bare_project)
    monkeypatch.setattr(cli, "PROJECT", bare_project)
    configure_project("pipelines")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.cli, ["run", *arguments])
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == 1
        assert result.stderr.count("Error: ") == 1
        assert "no file" not in result.stderr, "the run got past every check of its input"
        return result.stderr

    yield run
    CURRENT.options, CURRENT.parameters = {}, None


@pytest.mark.parametrize(
    ("option", "given", "meant"),
    [
        ("--pipelines", "curatoin", "curation"),
        ("--pipelines", "training.clip_rael.seed_0", "training.clip_real.seed_0"),
        ("--pipeline", "curatoin", "curation"),
        ("--namespaces", "training.clip_rael", "training.clip_real"),
        ("--nodes", "curate_caption", "curate_captions"),
        ("--from-nodes", "curate_caption", "curate_captions"),
        ("--to-nodes", "buildreport", "build_report"),
        ("--from-inputs", "captionset", "caption_set"),
        ("--to-outputs", "metricss", "metrics"),
        ("--runner", "SequentialRuner", "SequentialRunner"),
        ("--env", "lokal", "local"),
        ("--params", "generater=embedded", "generator"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(
    refused: RunCommand, option: str, given: str, meant: str
) -> None:
    told = refused(option, given)
    assert given.partition("=")[0] in told
    assert f"Did you mean {meant!r}?" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tags", "nope"], "--tags: got 'nope', and no node has a tag"),
        (["--nodes", "curate_captions", "--namespaces", "training"], "have no node in common"),
        (["--runner", "os.path"], "--runner: got 'os.path'; must be one of ParallelRunner"),
        (["--runner", "AbstractRunner"], "--runner: got 'AbstractRunner'; must be one of"),
        (["--runner", "no.such.Runner"], "--runner: got 'no.such.Runner'; must be one of"),
        (["--runner-params", "workers=1"], "--runner-params: workers: unknown to SequentialRunner; must be"),
        (["--runner-params", "is_async=1"], "is_async: got 1; must be true or false"),
        (
            ["--runner", "ThreadRunner", "--runner-params", "max_workers=0"],
            "max_workers: got 0; must be >= 1",
        ),
        (["--runner-params", "is_async=[1"], "--runner-params: got 'is_async=[1'; its value is not YAML"),
        (["--load-versions", "metrics"], "--load-versions: got 'metrics'; must be dataset:version"),
        (["--load-versions", "metrics:../x"], "--load-versions: got 'metrics:../x'; must be"),
        (["--load-versions", "metrics:2026"], "--load-versions: got 'metrics'; no dataset of the catalog is"),
        (["--pipeline", "training", "--pipelines", "training"], "cannot be used together"),
        (["--conf-source", "/nope"], "--conf-source: got '/nope', which has no params/config.yaml; must"),
        (["--config", "/nope"], "/nope: cannot be read (No such file or directory); must"),
        *(
            ([f"--{option}", ""], f"--{option}: has no value; must have one")
            for option in ("pipelines", "namespaces", "nodes", "to-outputs", "runner", "env", "conf-source")
        ),
    ],
)
def test_an_option_with_a_value_that_it_does_not_take_is_refused(
    refused: RunCommand, arguments: list[str], told: str
) -> None:
    assert told in refused(*arguments)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "must have the key `run`"),
        (b"run: 3", "must have the key `run`"),
        (b"run: [1", "line 1: is not YAML"),
        (b"run: {nope: x}", "run.nope: unknown; must be one of"),
        (b"run: {pipelines: [curation]}", "run.pipelines: got ['curation']; must be text"),
        (b"run: {is_async: maybe}", "run.is_async: got 'maybe'; must be true or false"),
        (b"run: {params: {'seeds[': 1}}", "got the key 'seeds['; must be names"),
        (b"run: {pipelines: ''}", "--pipelines: has no value"),
    ],
)
def test_a_file_of_options_that_is_wrong_is_named(
    refused: RunCommand, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "options.yml"
    path.write_bytes(content)
    assert told in refused("--config", str(path))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("[=1", "--params: got the key '['; must be names separated by dots"),
        ("seed[=1", "--params: got the key 'seed['; must be names separated by dots"),
        ("seeds[x]=1", "--params: got the key 'seeds[x]'; must be names"),
        ("seeds[9]=1", "seeds[9]: got the item 9 of a list of 3; must be a number below 3"),
        ("seeds.x=1", "seeds.x: got the item 'x' of a list of 3; must be a number"),
        (".=1", "--params: got the key '.'"),
        (f"generator.{'a.' * 3000}b=1", "must be names separated by dots"),
        ("seed=!!int x", "--params: got 'seed=!!int x'; its value has 'x', which cannot be read as !!int"),
        ("seeds=[!!timestamp x]", "which cannot be read as !!timestamp"),
        ("seeds=[" + "9" * 5000 + "]", "which cannot be read as !!int"),
        ("seeds=" + "9" * 4000, "(4000 characters)"),
        ("seeds=" + "[" * 3000, "is nested too deeply"),
        ("seeds=" + "{a: " * 300 + "}" * 300, "is nested too deeply"),
        ("seeds=&a [*a]", "is nested too deeply, or an alias"),
        ("seeds=[1", "its value is not YAML"),
        ("experiment_name=!!python/object/apply:os.getcwd []", "has the tag !!python/object/apply:os.getcwd"),
        (
            "arms.x={method:stablerep,images:synthetic}",
            "where a space is missing: must be `method: stablerep`",
        ),
        (
            "arms.x={method: stablerep,images:synthetic}",
            "where a space is missing: must be `images: synthetic`",
        ),
        ("generator.images_per_caption=1.5", "generator.images_per_caption: got 1.5; must be an integer"),
        ("generator.price_per_hour=.inf", "generator.price_per_hour: got inf; must be"),
        ("generator.cache_mib=.nan", "generator.cache_mib: got nan; must be"),
        ("experiment_name=../../etc", "experiment_name: got the name '../../etc'; must be made of A to Z"),
        ("experiment_name=" + "a" * 101, "at most 100 characters"),
        ("size_name=../x", "size_name: got the name '../x'; must be"),
        ("method.simclr.temperature=.inf", "method.simclr.temperature: got inf; must be a finite number"),
        ("method.simclr.temperature=abc", "method.simclr.temperature: got 'abc'; must be a number"),
        ("method.simclr._target_=nope.X", "method.simclr._target_: got 'nope.X'; must be the full name"),
        ("method.simclr._target_=os.getcwd", "which is a builtin_function_or_method; must be the full name"),
        (
            "method.simclr={_target_: builtins.dict}",
            "method.simclr._target_: builtins.dict is a dict; it",
        ),
        ("corpus._target_=stablerep.corpora", "which is a module; must be the full name of a class"),
        ("corpus.path=3", "corpus.path: got 3; must be a string"),
        ("corpus.path=null", "corpus.path: got None; must be a string"),
        ("experiment_name=${nope}", "experiment_name: Interpolation key 'nope' not found"),
    ],
)
def test_a_value_of_params_that_makes_no_sense_is_refused(
    refused: RunCommand, params: str, told: str
) -> None:
    message = refused("--params", params)
    assert told in message
    assert len(message) < 1500


@pytest.mark.parametrize("file", ["base/catalog.yml", "local/credentials.yml", "base/globals.yml"])
def test_a_file_of_kedros_that_is_no_yaml_is_named_with_the_line(
    refused: RunCommand, conf: Path, file: str
) -> None:
    (conf / file).write_text("a: 1\nb:\n\tc: 1\n", encoding="utf-8")
    assert f"conf/{file}, line 3: has a tab at the beginning of the line; must be indented" in refused()


@pytest.mark.parametrize(
    "file", ["config.yaml", "generator/embedded.yaml", "experiment/digit_scenes.yaml", "method/clip.yaml"]
)
def test_a_file_of_parameters_that_is_no_yaml_is_named_with_the_line(
    refused: RunCommand, conf: Path, file: str
) -> None:
    (conf / "params" / file).write_text("a: 1\nb: 2\na: 3\n", encoding="utf-8")
    assert f"conf/params/{file}, line 3: has the key 'a' twice; must have it once" in refused()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("type: pipelines.datasets.JSONDataset", "type: no.such.Dataset", "'curation_ledger': .*'no'"),
        ("type: pipelines.datasets.JSONDataset", "type: pathlib.Path", "'curation_ledger': .*must extend"),
        ("type: pipelines.datasets.JSONDataset", "typ: x", "'curation_ledger': 'type' is missing"),
        ("filepath: data/01_raw/takedowns.csv", "nope: 1", "'takedowns': .*'nope'"),
        ("schemas.Takedowns", "schemas.Nope", "'takedowns': validator: got '.*schemas.Nope'; must be"),
        ("schemas.Takedowns", "schemas.Takedowns\n  credentials: nope", "Unable to find credentials 'nope'"),
        ("data/05_model_input/{set}", "data/05_model_input/{nope}", r"\{nope\}"),
        (
            "data/01_raw/takedowns.csv",
            "${nope}",
            r"catalog.yml, line 12: .*filepath: .* 'nope' not",
        ),
        ("\nmetrics:", "\nmetricss:", "has no entry for 'metrics'; must have one"),
    ],
)
def test_an_entry_of_the_catalog_that_makes_no_dataset_is_named(
    refused: RunCommand, conf: Path, old: str, new: str, told: str
) -> None:
    path = conf / "base/catalog.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert re.search(told, refused())


def test_an_empty_catalog_is_refused_because_everything_made_would_be_lost(
    refused: RunCommand, conf: Path
) -> None:
    (conf / "base/catalog.yml").write_text("", encoding="utf-8")
    assert "has no entry for 'caption_audit' and" in refused()


def test_one_entry_in_two_files_is_refused(refused: RunCommand, conf: Path) -> None:
    (conf / "base/catalog_more.yml").write_text("metrics: {type: pandas.CSVDataset, filepath: a}\n")
    assert "catalog_more.yml" in refused()


def test_a_defaults_list_that_leads_back_to_its_own_file_is_refused(refused: RunCommand, conf: Path) -> None:
    path = conf / "params/experiment/digit_scenes.yaml"
    path.write_text(f"# @package _global_\ndefaults: [smoke]\n{path.read_text(encoding='utf-8')}")
    told = refused("--params", "experiment=smoke")
    assert "defaults list of experiment/digit_scenes.yaml and experiment/smoke.yaml leads back" in told


def test_defaults_that_name_no_file_are_told_without_hydras_search_path(
    refused: RunCommand, conf: Path
) -> None:
    path = conf / "params/config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("generator: embedded", "generator: nope"))
    told = refused()
    assert "Could not find 'generator/nope'" in told
    assert "provider=" not in told


def test_a_leading_tilde_is_the_users_home(bare_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.config.loader import compose

    monkeypatch.setenv("HOME", "/home/ada")
    given: dict[str, Any] = {"corpus.path": "~/captions.csv", "generator.model_folder": "~/models/x"}
    composed = compose(PROJECT / "conf/params", given)
    assert composed["corpus"]["path"] == "/home/ada/captions.csv"
    assert composed["generator"]["model_folder"] == "/home/ada/models/x"
