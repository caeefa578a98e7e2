"""A file between rooms that is damaged, missing or of another form: its node, and how to make it again."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog

from pipelines.cli import in_one_message
from pipelines.run.current import CURRENT
from pipelines.run.makers import how_to_make

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataCatalog]:
    """The project's catalog with its paths below a folder, as the catalog of a run."""
    configure_project("pipelines")
    entries = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    for entry in entries.values():
        for key in ("path", "filepath"):
            if key in entry:
                entry[key] = str(tmp_path / entry[key])
    made = DataCatalog.from_config(entries)
    monkeypatch.setattr(CURRENT, "catalog", made)
    yield made


def told(catalog: DataCatalog, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the one message of a command that loads a dataset."""
    with pytest.raises(SystemExit) as ended, in_one_message():
        catalog.load(name)
    assert ended.value.code == 1
    return capsys.readouterr().err


def not_parquet(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"\x00" * 100)


def other_columns(path: Path) -> None:
    pd.DataFrame({"x": [1, 2]}).to_parquet(path)


def a_mapping(path: Path) -> None:
    path.write_text('{"a": "b"}')


def cut_json(path: Path) -> None:
    path.write_text('{"success": tr')


def a_folder(path: Path) -> None:
    path.mkdir()


CASES: list[tuple[str, Callable[[Path], None], str, str]] = [
    (name, damage, node, command)
    for name, node, command in [
        ("curated_captions", "curate_captions", "--pipelines curation"),
        ("caption_set", "check_captions", "--pipelines validation"),
        ("metrics", "evaluate_encoders", "--pipelines evaluation"),
        ("unit_scores", "evaluate_encoders", "--pipelines evaluation"),
        ("image_audit", "audit_images", "--pipelines reporting"),
        (
            "evaluation_set_of_scenes",
            "evaluation_sets.scenes.index_evaluation_set",
            "--namespaces evaluation_sets.scenes",
        ),
    ]
    for damage in (not_parquet, other_columns, a_folder)
] + [
    ("caption_gate", damage, "check_captions", "--pipelines validation")
    for damage in (cut_json, a_mapping, a_folder)
]


@pytest.mark.parametrize(("name", "damage", "node", "command"), CASES)
def test_a_damaged_file_is_one_message_with_its_node_and_its_command(
    name: str,
    damage: Callable[[Path], None],
    node: str,
    command: str,
    catalog: DataCatalog,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = catalog.get(name)._filepath
    path.parent.mkdir(parents=True, exist_ok=True)
    damage(path)
    message = told(catalog, name, capsys)
    assert message.startswith(f"\nDataError: {path}: ")
    assert f"Node '{node}' makes it. Make it again: `kedro run {command}`" in message


@pytest.mark.parametrize(
    "name",
    [
        "curated_captions",
        "metrics",
        "caption_gate",
        "image_set_of_synthetic",
        "encoder_of_stablerep_seed_0",
    ],
)
def test_a_missing_file_names_its_node_and_its_command(
    name: str, catalog: DataCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    message = told(catalog, name, capsys)
    assert f"{catalog.get(name)._filepath}" in message and ": missing; must be there" in message
    assert re.search(r"Node '[a-z0-9_.]+' makes it\. Make it again: `kedro run --", message)


def test_a_damaged_file_of_a_folder_names_the_folder_and_the_file(
    catalog: DataCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    path = catalog.get("image_set_of_synthetic")._filepath
    path.mkdir(parents=True)
    (path / "image_set.json").write_text("[1, 2]")
    message = told(catalog, "image_set_of_synthetic", capsys)
    assert f"{path}: cannot be read as the tables of a finished image set (image_set.json: is no" in message
    assert "`kedro run --namespaces image_sets.synthetic`" in message


def test_seconds_of_another_form_have_no_node_and_can_be_removed(
    catalog: DataCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    path = catalog.get("stage_seconds")._filepath
    path.parent.mkdir(parents=True)
    for text in ('{"a": "b"}', "[1, 2]", "5", "null", '{"a": -1}', '{"a": true}', '{"a": NaN}'):
        path.write_text(text)
        message = told(catalog, "stage_seconds", capsys)
        assert f"{path}: cannot be read as JSON" in message and "Remove it" in message


def test_a_file_of_people_has_no_node(catalog: DataCatalog, capsys: pytest.CaptureFixture[str]) -> None:
    message = told(catalog, "takedowns", capsys)
    assert "Restore it with git" in message and "makes it" not in message


def test_every_command_runs_the_node_that_makes_the_file(catalog: DataCatalog) -> None:
    outputs = {name for pipeline in pipelines.values() for name in pipeline.all_outputs()}
    found = 0
    for name in sorted(outputs):
        path = getattr(catalog.get(name), "_filepath", None) if name in catalog else None
        if path is None:
            continue
        how = how_to_make(path)
        match = re.search(r"Node '(\S+)' makes it\..* `kedro run --(\w+) (\S+)`", str(how))
        assert match, name
        node, option, part = match.groups()
        whole = pipelines["__default__"] if option == "namespaces" else pipelines[part]
        if option == "namespaces":
            whole = whole.filter(node_namespaces=[part])
        assert node in {each.name for each in whole.nodes}
        found += 1
    assert found > 15


def test_without_a_run_nothing_is_known_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CURRENT, "catalog", None)
    assert how_to_make(Path("data/03_primary/caption_set.parquet")) is None
