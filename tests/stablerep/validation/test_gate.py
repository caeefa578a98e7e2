"""Gates pass, fail with the rows in the message, and warn."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.config.loader import compose
from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.captions_file import clean_captions
from stablerep.digit_scenes.grammar import VOCABULARIES
from stablerep.errors import ConfigError, GateError
from stablerep.validation.gate import check_captions, check_images, check_real_images

ROOT = Path(__file__).parents[3]
GATES = compose(ROOT / "conf/params", {"generator.images_per_caption": 2})["validation"]
# any captions' gates: a handful of captions names too few of the default's terms
PLAIN = GATES | {
    "groups": {},
    "captions": {k: v for k, v in GATES["captions"].items() if k != "most_name_a_term"},
}
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
    rows = [(caption_id_of(text), index, text) for text in TEXTS for index in range(2)]
    return pd.DataFrame(rows, columns=["caption_id", "image_index", "text"]).assign(
        decodable=True,
        digest_matches=True,
        width_px=32,
        height_px=32,
        wanted_size_px=32,
        pixel_std=0.2,
        alignment=0.6,
        duplicate_of=pd.Series([None] * 12, dtype="str"),
        hash_distance_bits=float("nan"),
        near_duplicate_of=pd.Series([None] * 12, dtype="str"),
        evaluation_text=pd.Series([None] * 12, dtype="str"),
    )


def _drawn() -> pd.DataFrame:
    ids = [caption_id_of(text) for text in TEXTS]
    columns = {"caption_id": ids, "text": TEXTS, "num_images": 2, "num_wanted": 2}
    columns |= {"num_stored": 2, "diversity": 0.2}
    return pd.DataFrame(columns)


def test_captions_pass_the_shipped_rules(tmp_path: Path) -> None:
    frame = _captions()
    before = frame.copy()
    report = check_captions(frame, PLAIN, tmp_path)
    assert report["success"]
    assert [rule["name"] for rule in report["rules"]] == ["at_least_one_row", *PLAIN["captions"]]
    assert all(rule["success"] and rule["unexpected"] == [] for rule in report["rules"])
    assert report["rules"][1]["observed"] == len(TEXTS)
    assert json.loads(json.dumps(report)) == report
    pd.testing.assert_frame_equal(frame, before)


def test_the_shipped_captions_pass_the_shipped_gates(tmp_path: Path) -> None:
    report = check_captions(_captions(clean_captions()), GATES, tmp_path)
    assert all(rule["success"] for rule in report["rules"])
    assert {rule["table"] for rule in report["rules"]} == {"captions", "terms", "term_pairs"}


def test_images_pass_the_shipped_rules(tmp_path: Path) -> None:
    report = check_images(_images(), _drawn(), GATES, tmp_path)
    assert report["success"]
    assert len(report["rules"]) == len(GATES["images"]) + len(GATES["images_of_captions"]) + 2


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
        (
            "few_repeated_texts",
            _captions([*TEXTS, "a navy nine.", "A navy, nine!"]),
            ["2 rows", "'A navy, nine!', line 9", f"repeat_of '{caption_id_of('a navy nine')}'"],
        ),
    ],
)
def test_a_caption_rule_that_fails_names_its_rows(
    rule: str, frame: pd.DataFrame, rows: list[str], tmp_path: Path
) -> None:
    with pytest.raises(GateError) as caught:
        check_captions(frame, PLAIN, tmp_path)
    message = str(caught.value)
    told = next(part for part in message.split("\n- ") if part.startswith(rule))
    for row in rows:
        assert row in told
    page = tmp_path / "captions/index.html"
    assert str(page) in message
    assert f"validation.captions.{rule}" in message
    assert page.is_file()


def test_a_caption_of_the_evaluation_set_is_refused_whatever_its_case(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no_evaluation_caption .*: 1 rows\n.*'a navy nine', line 3"):
        check_captions(_captions(), PLAIN, tmp_path, ["A Navy nine.", "a cat"])


def _scenes(num: int, ink_of_nine: str) -> list[str]:
    """Captions with digits and inks in turn, but for the nines."""
    inks = list(GATES["groups"]["ink"])
    words = [
        (digit, inks[(n + k) % 8]) for n in range(num) for k, digit in enumerate(GATES["groups"]["digit"])
    ]
    pairs = [(digit, ink_of_nine if digit == "nine" and ink_of_nine else ink) for digit, ink in words]
    grounds = list(GATES["groups"]["ground"])
    return [f"a {ink} {digit} on {grounds[(i // 3) % 8]} number {i}" for i, (digit, ink) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("rule", "texts", "told"),
    [
        (
            "every_term_named",
            [each.replace("zero", "one") for each in _scenes(16, "")],
            "term 'zero', num_captions 0",
        ),
        (
            "no_term_prevails",
            [*_scenes(16, ""), *[f"seven {n}" for n in range(60)]],
            "term 'seven'.*share 0.34",
        ),
        (
            "no_pair_sticks_together",
            _scenes(32, "black"),
            "'nine', other_group 'ink', other_term 'black'.*pmi_low",
        ),
        ("no_pair_shuns_each_other", _scenes(80, "black"), "term 'nine'.*other_term 'navy', pmi_high -"),
        (
            "most_name_a_term",
            [*_scenes(16, ""), *[f"a cat {n}" for n in range(18)]],
            "text 'a cat 0'.*num_groups 0",
        ),
    ],
)
def test_captions_without_coverage_or_balance_are_refused(
    rule: str, texts: list[str | None], told: str, tmp_path: Path
) -> None:
    with pytest.raises(GateError) as caught:
        check_captions(_captions(texts), GATES, tmp_path)
    part = next(part for part in str(caught.value).split("\n- ") if rule in part)
    assert re.search(told, part)


def test_even_scenes_pass_the_bounds_on_terms(tmp_path: Path) -> None:
    assert check_captions(_captions(_scenes(16, "")), GATES, tmp_path)["success"]


def test_captions_that_name_one_group_only_have_no_pairs_to_bound(tmp_path: Path) -> None:
    texts = [f"{term} {n}" for terms in GATES["groups"].values() for term in terms for n in range(2)]
    report = check_captions(_captions(texts), GATES, tmp_path)
    assert {rule["table"] for rule in report["rules"]} == {"captions", "terms"}


def test_num_words_bounds_themselves_pass(tmp_path: Path) -> None:
    frame = _captions([*TEXTS, "nine", " ".join(["a"] * 60)])
    assert check_captions(frame, PLAIN, tmp_path)["success"]


@pytest.mark.parametrize(
    ("rule", "change", "row"),
    [
        ("every_image_decodable", {"decodable": False}, "decodable False"),
        ("every_image_as_made", {"digest_matches": False}, "digest_matches False"),
        ("width_as_configured", {"width_px": 33}, "width_px 33, wanted_size_px 32"),
        ("width_as_configured", {"width_px": None}, "width_px None, wanted_size_px 32"),
        ("height_as_configured", {"height_px": 0}, "height_px 0, wanted_size_px 32"),
        ("no_near_constant_image", {"pixel_std": 0.029}, "pixel_std 0.029"),
        ("no_exact_duplicate", {"duplicate_of": "c-1.0"}, "duplicate_of 'c-1.0'"),
        (
            "few_near_duplicates",
            {"hash_distance_bits": 15, "near_duplicate_of": "c-1.0"},
            "near_duplicate_of 'c-1.0', hash_distance_bits 15.0",
        ),
        ("no_evaluation_caption_drawn", {"evaluation_text": "a navy nine"}, "evaluation_text 'a navy nine'"),
    ],
)
def test_an_image_rule_that_fails_names_its_rows(
    rule: str, change: dict[str, Any], row: str, tmp_path: Path
) -> None:
    frame = _images()
    for column, value in change.items():
        frame.loc[3, column] = value
    with pytest.raises(GateError) as caught:
        check_images(frame, _drawn(), GATES, tmp_path)
    assert "gate images: 1 of " in str(caught.value)
    named = f"caption_id '{caption_id_of(TEXTS[1])}', image_index 1, text 'a navy nine', {row}"
    assert f"{rule} (" in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "change", "row"),
    [
        ("every_caption_fully_drawn", {"num_images": 1}, "num_images 1, num_wanted 2"),
        (
            "every_caption_fully_drawn",
            {"num_images": 0, "diversity": float("nan")},
            "num_images 0, num_wanted 2",
        ),
        ("images_of_a_caption_differ", {"diversity": 0.079}, "diversity 0.079"),
    ],
)
def test_a_rule_on_the_images_of_a_caption_that_fails_names_the_caption(
    rule: str, change: dict[str, Any], row: str, tmp_path: Path
) -> None:
    frame = _drawn()
    for column, value in change.items():
        frame.loc[2, column] = value
    with pytest.raises(GateError) as caught:
        check_images(_images(), frame, GATES, tmp_path)
    assert f"{rule} (" in str(caught.value)
    assert f"caption_id '{caption_id_of(TEXTS[2])}', text 'a crimson nine', {row}" in str(caught.value)


def _real_images() -> pd.DataFrame:
    ids = [caption_id_of(text) for text in TEXTS]
    columns = {
        "image_id": [f"{number}.png" for number in range(len(TEXTS))],
        "caption_id": ids,
        "text": TEXTS,
    }
    none = pd.Series([None] * len(TEXTS), dtype="str")
    return pd.DataFrame(columns).assign(width_px=32, height_px=24, duplicate_of=none, evaluation_text=none)


def test_real_images_pass_the_shipped_rules(tmp_path: Path) -> None:
    report = check_real_images(_real_images(), GATES, tmp_path)
    assert all(rule["success"] for rule in report["rules"])
    assert [rule["table"] for rule in report["rules"]] == ["real_images"] * (len(GATES["real_images"]) + 1)
    assert (tmp_path / "images/index.html").is_file()


def test_a_real_image_that_is_used_for_evaluation_is_named(tmp_path: Path) -> None:
    frame = _real_images()
    frame.loc[3, "evaluation_text"] = "a green nine"
    with pytest.raises(GateError, match=r"validation\.real_images\.no_evaluation_caption_used") as caught:
        check_real_images(frame, GATES, tmp_path)
    named = f"image_id '3.png', caption_id '{caption_id_of(TEXTS[3])}', text 'a green nine'"
    assert f"no_evaluation_caption_used (expect_column_values_to_be_null): 1 rows\n    {named}" in str(
        caught.value
    )


def test_copies_among_real_images_are_warned_of_and_end_no_run(tmp_path: Path) -> None:
    frame = _real_images()
    frame.loc[3, "duplicate_of"] = "0.png"
    report = check_real_images(frame, GATES, tmp_path)
    assert report["success"]
    (broken,) = [rule for rule in report["rules"] if not rule["success"]]
    assert broken["name"] == "few_exact_duplicates"
    assert broken["unexpected"][0] == {
        "image_id": "3.png",
        "caption_id": caption_id_of(TEXTS[3]),
        "text": "a green nine",
        "duplicate_of": "0.png",
    }


def test_bounds_on_images_themselves_pass(tmp_path: Path) -> None:
    images = _images().assign(pixel_std=0.03, hash_distance_bits=16.0)
    assert check_images(images, _drawn().assign(diversity=0.08), GATES, tmp_path)["success"]


def test_an_image_of_no_caption_of_the_set_is_refused(tmp_path: Path) -> None:
    frame = _images()
    frame.loc[3, "text"] = None
    with pytest.raises(GateError, match="every_image_of_the_caption_set"):
        check_images(frame, _drawn(), GATES, tmp_path)


def test_many_low_scores_are_warned_of_and_end_no_run(tmp_path: Path) -> None:
    def rule(alignment: Any) -> dict[str, Any]:
        result = check_images(_images().assign(alignment=alignment), _drawn(), GATES, tmp_path)
        assert result["success"]
        return next(each for each in result["rules"] if each["name"] == "images_match_their_captions")

    assert rule(0.5)["success"]
    assert not rule([0.49] * 2 + [0.6] * 10)["success"]
    # images that were not scored
    assert rule(float("nan"))["success"]


def test_only_the_first_ten_rows_are_named(tmp_path: Path) -> None:
    frame = _captions([f"a {number}" for number in range(15)]).assign(source=None)
    with pytest.raises(GateError) as caught:
        check_captions(frame, PLAIN, tmp_path)
    assert "'a 9'" in str(caught.value)
    assert "'a 10'" not in str(caught.value)
    assert "and 5 more" in str(caught.value)


def test_rows_of_equal_labels_are_told_apart(tmp_path: Path) -> None:
    frame = _captions()
    frame.index = [0] * len(frame)
    with pytest.raises(GateError, match="num_words 61"):
        check_captions(frame.assign(text=[*TEXTS[:5], "a " * 61]), PLAIN, tmp_path)


def test_an_empty_table_fails_whatever_the_rules(tmp_path: Path) -> None:
    bare = {name: {} for name in GATES}
    with pytest.raises(GateError, match="at_least_one_row"):
        check_captions(_captions([]), bare, tmp_path)
    with pytest.raises(GateError, match="at_least_one_row"):
        check_images(_images()[:0], _drawn(), bare, tmp_path)


def test_severity_warn_reports_and_lets_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = _captions().assign(licence=["unknown"] + ["CC0-1.0"] * 5)
    report = check_captions(frame, PLAIN, tmp_path)
    assert report["success"]
    warned = [rule for rule in report["rules"] if not rule["success"]]
    assert [rule["name"] for rule in warned] == ["licence_known"]
    assert warned[0]["num_unexpected"] == 1
    assert warned[0]["unexpected"][0]["text"] == "a black nine"
    assert warned[0]["severity"] == "warn"
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert any("licence_known" in each and "'a black nine'" in each for each in warnings)


def test_the_same_fault_fails_where_the_rule_says_so(tmp_path: Path) -> None:
    rules = {name: {**rule, "severity": "fail"} for name, rule in PLAIN["captions"].items()}
    with pytest.raises(GateError, match="licence_known"):
        check_captions(_captions().assign(licence="unknown"), PLAIN | {"captions": rules}, tmp_path)


def test_a_rule_that_cannot_be_computed_is_a_config_error(tmp_path: Path) -> None:
    rule = {
        "type": "expect_column_values_to_match_regex",
        "kwargs": {"column": "text", "regex": "("},
    }
    with pytest.raises(ConfigError, match=r"validation\.captions\.broken: .* cannot be computed"):
        check_captions(_captions(), PLAIN | {"captions": {"broken": rule}}, tmp_path)


def test_great_expectations_is_imported_only_when_a_gate_is_asked() -> None:
    code = (
        "import sys; import stablerep.validation.gate, pipelines.validation, pipelines.curation; "
        "assert not {'great_expectations', 'pandera', 'torch'} & set(sys.modules)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_images_that_do_not_match_are_told_and_stop_nothing(tmp_path: Path) -> None:
    result = check_images(_images().assign(alignment=-0.9), _drawn(), GATES, tmp_path)
    assert result["success"]
    assert "images_match_their_captions" in str(result)


def test_the_groups_of_the_shipped_gates_are_the_grammars() -> None:
    assert GATES["groups"] == {
        name: {term: [term] for term in VOCABULARIES[name]} for name in ("digit", "ink", "ground")
    }


def test_rules_on_terms_are_read_where_no_caption_has_any(tmp_path: Path) -> None:
    gates = GATES | {"groups": {}, "terms": {"x": {"type": "expect_nothing", "severity": "loud"}}}
    with pytest.raises(ConfigError, match=r"validation\.terms\.x\.severity: got 'loud'"):
        check_captions(_captions(), gates, tmp_path)


def test_the_gate_of_any_captions_tells_of_bias_and_stops_nothing(tmp_path: Path) -> None:
    gates = compose(ROOT / "conf/params", {"experiment": "own_captions", "corpus.path": "captions.csv"})[
        "validation"
    ]
    paired = [("woman", "nurse"), ("man", "doctor"), ("man", "cook"), ("man", "builder")]
    texts = [f"a {who} who is a {work} {n}" for n in range(40) for who, work in paired]
    report = check_captions(_captions(texts), gates, tmp_path)
    broken = {rule["name"] for rule in report["rules"] if not rule["success"]}
    assert broken == {"every_term_named", "no_pair_sticks_together", "no_pair_shuns_each_other"}
