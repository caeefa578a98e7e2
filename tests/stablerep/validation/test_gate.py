"""Gates pass, fail with the rows in the message, and warn."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from stablerep.errors import ConfigError, GateError
from stablerep.records import caption_id_of
from stablerep.validation.gate import check_captions, check_images

_CONFIG = Path(__file__).parents[3] / "conf/params/validation/default.yaml"
_INTERPOLATED = {
    "${generation.saved_size_px}": 32,
    "${generation.images_per_caption}": 2,
    "${plus:${generation.images_per_caption},${scoring.policy.max_remakes}}": 2,
    "${scoring.usual_min}": 0.5,
}


def _resolve(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolve(each) for each in value]
    return _INTERPOLATED.get(value, value) if isinstance(value, str) else value


RULES = _resolve(yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))["gates"])
TEXTS = [f"a {word} nine" for word in ("black", "navy", "crimson", "green", "purple", "brown")]


def _captions(texts: list[str | None] = TEXTS) -> pd.DataFrame:  # type: ignore[assignment]
    return pd.DataFrame(
        {
            "caption_id": [caption_id_of(text or "") for text in texts],
            "text": pd.Series(texts, dtype="str"),
            "source": pd.Series(["test"] * len(texts), dtype="str"),
            "licence": pd.Series(["CC0-1.0"] * len(texts), dtype="str"),
            "line": range(2, len(texts) + 2),
        }
    )


def _images() -> pd.DataFrame:
    rows = [(caption_id_of(text), index) for text in TEXTS for index in range(2)]
    return pd.DataFrame(rows, columns=["caption_id", "image_index"]).assign(
        decodable=True,
        digest_matches=True,
        width_px=32,
        height_px=32,
        pixel_std=0.2,
        num_images_of_caption=2,
        alignment=0.6,
    )


def test_captions_pass_the_shipped_rules(tmp_path: Path) -> None:
    frame = _captions()
    before = frame.copy()
    report = check_captions(frame, RULES["captions"], tmp_path)
    assert report["success"]
    assert [rule["name"] for rule in report["rules"]] == [
        "at_least_one_row",
        *(rule["name"] for rule in RULES["captions"]),
    ]
    assert all(rule["success"] and rule["unexpected"] == [] for rule in report["rules"])
    assert report["rules"][1]["observed"] == len(TEXTS)
    assert json.loads(json.dumps(report)) == report
    pd.testing.assert_frame_equal(frame, before)


def test_images_pass_the_shipped_rules(tmp_path: Path) -> None:
    report = check_images(_images(), RULES["images"], tmp_path)
    assert report["success"]
    assert len(report["rules"]) == len(RULES["images"]) + 1


def test_data_docs_are_built_and_only_the_last_run_stays(tmp_path: Path) -> None:
    for _ in range(2):
        check_captions(_captions(), RULES["captions"], tmp_path)
    check_images(_images(), RULES["images"], tmp_path)
    for gate in ("captions", "images"):
        index = (tmp_path / gate / "index.html").read_text(encoding="utf-8")
        pages = list((tmp_path / gate / "validations").rglob("*.html"))
        assert len(pages) == 1
        assert pages[0].relative_to(tmp_path / gate).as_posix() in index


@pytest.mark.parametrize(
    ("rule", "frame", "rows"),
    [
        ("enough_captions", _captions(TEXTS[:1]), ["observed 1"]),
        (
            "unique_caption_id",
            _captions([*TEXTS, "A navy NINE"]),
            ["2 rows", "text 'a navy nine', line 3", "text 'A navy NINE', line 8"],
        ),
        ("no_missing_text", _captions([*TEXTS, None]), ["1 rows", f"{caption_id_of('')}', text None"]),
        ("no_missing_source", _captions().assign(source=None), ["6 rows", "text 'a black nine'"]),
        ("no_missing_licence", _captions().assign(licence=None), ["6 rows", "text 'a black nine'"]),
        ("num_words_in_bounds", _captions([*TEXTS, ""]), ["1 rows", "line 8, num_words 0"]),
        ("num_words_in_bounds", _captions([*TEXTS, "a " * 61]), ["1 rows", "num_words 61"]),
        ("share_of_distinct_texts", _captions([*TEXTS, "a navy nine.", "A navy, nine!"]), ["0.75"]),
    ],
)
def test_a_caption_rule_that_fails_names_its_rows(
    rule: str, frame: pd.DataFrame, rows: list[str], tmp_path: Path
) -> None:
    with pytest.raises(GateError) as caught:
        check_captions(frame, RULES["captions"], tmp_path)
    message = str(caught.value)
    told = next(part for part in message.split("\n- ") if part.startswith(rule))
    for row in rows:
        assert row in told
    page = tmp_path / "captions/index.html"
    assert str(page) in message
    assert page.is_file()


def test_num_words_bounds_themselves_pass(tmp_path: Path) -> None:
    frame = _captions([*TEXTS, "nine", " ".join(["a"] * 60)])
    assert check_captions(frame, RULES["captions"], tmp_path)["success"]


@pytest.mark.parametrize(
    ("rule", "change", "row"),
    [
        ("every_image_decodable", {"decodable": False}, "decodable False"),
        ("every_image_as_made", {"digest_matches": False}, "digest_matches False"),
        ("width_as_configured", {"width_px": 33}, "width_px 33"),
        ("height_as_configured", {"height_px": 0}, "height_px 0"),
        ("no_near_constant_image", {"pixel_std": 0.029}, "pixel_std 0.029"),
        ("every_caption_fully_drawn", {"num_images_of_caption": 1}, "num_images_of_caption 1"),
    ],
)
def test_an_image_rule_that_fails_names_its_rows(
    rule: str, change: dict[str, Any], row: str, tmp_path: Path
) -> None:
    frame = _images()
    for column, value in change.items():
        frame.loc[3, column] = value
    with pytest.raises(GateError) as caught:
        check_images(frame, RULES["images"], tmp_path)
    assert f"1 of {len(RULES['images']) + 1} rules failed on 12 rows" in str(caught.value)
    named = f"caption_id '{caption_id_of(TEXTS[1])}', image_index 1, {row}"
    assert f"{rule} (" in str(caught.value)
    assert named in str(caught.value)


def test_pixel_std_bound_itself_passes(tmp_path: Path) -> None:
    assert check_images(_images().assign(pixel_std=0.03), RULES["images"], tmp_path)["success"]


def test_many_low_scores_are_warned_of_and_end_no_run(tmp_path: Path) -> None:
    def rule(alignment: Any) -> dict[str, Any]:
        result = check_images(_images().assign(alignment=alignment), RULES["images"], tmp_path)
        assert result["success"]
        return next(each for each in result["rules"] if each["name"] == "images_match_their_captions")

    assert rule(0.5)["success"]
    assert not rule([0.49] * 2 + [0.6] * 10)["success"]
    # images that were not scored
    assert rule(float("nan"))["success"]


def test_only_the_first_ten_rows_are_named(tmp_path: Path) -> None:
    frame = _captions([f"a {number}" for number in range(15)]).assign(source=None)
    with pytest.raises(GateError) as caught:
        check_captions(frame, RULES["captions"], tmp_path)
    assert "'a 9'" in str(caught.value)
    assert "'a 10'" not in str(caught.value)
    assert "and 5 more" in str(caught.value)


@pytest.mark.parametrize("check", [check_captions, check_images])
def test_an_empty_table_fails_whatever_the_rules(check: Any, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="at_least_one_row"):
        check(_captions([]), [], tmp_path)


def test_severity_warn_reports_and_lets_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = _captions().assign(licence=["unknown"] + ["CC0-1.0"] * 5)
    report = check_captions(frame, RULES["captions"], tmp_path)
    assert report["success"]
    warned = [rule for rule in report["rules"] if not rule["success"]]
    assert [rule["name"] for rule in warned] == ["licence_known"]
    assert warned[0]["num_unexpected"] == 1
    assert warned[0]["unexpected"][0]["text"] == "a black nine"
    assert warned[0]["severity"] == "warn"
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert any("licence_known" in each and "'a black nine'" in each for each in warnings)


def test_the_same_fault_fails_where_the_rule_says_so(tmp_path: Path) -> None:
    rules = [{**rule, "severity": "fail"} for rule in RULES["captions"]]
    with pytest.raises(GateError, match="licence_known"):
        check_captions(_captions().assign(licence="unknown"), rules, tmp_path)


def test_a_rule_that_cannot_be_computed_is_a_config_error(tmp_path: Path) -> None:
    rule = {
        "name": "broken",
        "type": "expect_column_values_to_match_regex",
        "kwargs": {"column": "text", "regex": "("},
    }
    with pytest.raises(ConfigError, match=r"gates\.captions\.broken: .* cannot be computed"):
        check_captions(_captions(), [rule], tmp_path)


def test_great_expectations_is_imported_only_when_a_gate_is_asked() -> None:
    code = (
        "import sys; import stablerep.validation.gate, pipelines.validation, pipelines.curation; "
        "assert not {'great_expectations', 'pandera', 'torch'} & set(sys.modules)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_images_that_do_not_match_are_told_and_stop_nothing(tmp_path: Path) -> None:
    result = check_images(_images().assign(alignment=-0.9), RULES["images"], tmp_path)
    assert result["success"]
    assert "images_match_their_captions" in str(result)
