"""The report's section on what the image sets are like."""

import io
from dataclasses import replace

import pandas as pd
from PIL import Image

from stablerep.reporting.content import ReportContent
from stablerep.reporting.guidance import set_metric_over_guidance
from stablerep.reporting.image_set_metrics import table_of_groups
from stablerep.reporting.report import build_report
from tests.stablerep.reporting.content import make_content
from tests.stablerep.reporting.test_report import Page, text_of

ROWS = [
    ("synthetic", "vendi", "all", 11.25, 1000, "scorer a-01"),
    ("real", "vendi", "all", 11.5, 900, "scorer a-01"),
    ("zoo.validation", "vendi", "all", 12.5, 1600, "scorer a-01"),
    ("synthetic", "coverage", "all", 0.873, 1000, "scorer a-01"),
    ("synthetic", "coverage", "species=cow", 0.5, 90, "scorer a-01"),
    ("synthetic", "vendi", "species=cow", 3.5, 90, "scorer a-01"),
    ("real", "vendi", "species=cow", 3.25, 80, "scorer a-01"),
    ("synthetic", "overlap.zoo.test", "all", 0.001, 1800, "perceptual hash"),
    ("synthetic", "label_accuracy.species", "all", 0.968, 954, "none"),
]


def measured() -> pd.DataFrame:
    names = ["image_set", "metric", "group", "value", "num_images", "extractor"]
    reference = {
        "reference": "zoo.validation",
        "reference_digest": "d" * 32,
        "num_reference": 1600,
        "version": 1,
    }
    return pd.DataFrame(ROWS, columns=names).assign(**reference)


def near() -> pd.DataFrame:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="PNG")
    picture = buffer.getvalue()
    row = {"image_set": "synthetic", "kind": "training_image", "other_set": "training", "extractor": "hash"}
    pictures = {"picture": picture, "other_picture": picture}
    rows = [
        {**row, **pictures, "image_id": f"c-{n}.0", "other_id": f"image {n}", "similarity": n / 100}
        for n in range(30)
    ]
    return pd.DataFrame(rows)


def with_metrics() -> ReportContent:
    return replace(make_content(), set_metrics=measured(), near_images=near())


def test_metrics_stand_in_rows_and_sets_with_the_reference_in_columns() -> None:
    page = build_report(with_metrics())
    text = text_of(page)
    assert "Compared with the reference zoo.validation: 1,600 images" in text
    assert (
        "metric synthetic real zoo.validation reference vendi scorer a-01 11.2 n = 1,000 11.5 n = 900 12.5"
        in text
    )
    assert "coverage, % scorer a-01 87.3 n = 1,000 –" in text
    assert "label accuracy: species, % 96.8 n = 954" in text
    assert Page(page).open == []


def test_overlaps_are_folded_and_stand_in_a_table_of_their_own() -> None:
    page = build_report(with_metrics())
    folded = page[page.index("<summary>Images of evaluation sets that are") :]
    folded = folded[: folded.index("</details>")]
    assert "overlap: zoo: test, %" in folded and "vendi" not in folded


def test_classes_and_groups_have_a_row_for_each_set() -> None:
    assert table_of_groups(measured()) == (
        ["coverage", "vendi"],
        [("species=cow", "synthetic", [0.5, 3.5]), ("species=cow", "real", [None, 3.25])],
    )
    assert table_of_groups(measured().query("group == 'all'")) is None


def test_the_nearest_pairs_are_shown_and_no_more_than_a_dozen() -> None:
    page = build_report(with_metrics())
    assert page.count('alt="training: image ') == 12
    assert "0.290" in page and 'alt="image c-29.0"' in page and 'alt="image c-2.0"' not in page


def test_diversity_has_a_curve_over_the_guidance_scale_of_several_sets() -> None:
    content = with_metrics()
    assert set_metric_over_guidance(content, "vendi") == {}, "one generated set"
    drawn = replace(content.image_sets["synthetic"], settings={"source": "generated", "guidance_scale": 8.0})
    two = replace(content, image_sets={**content.image_sets, "real": drawn})
    (points,) = set_metric_over_guidance(two, "vendi").values()
    assert [(point.scale, point.interval.value) for point in points] == [(2.0, 11.25), (8.0, 11.5)]
    assert set_metric_over_guidance(two, "recall") == {}


def test_a_run_without_metrics_of_sets_has_no_section() -> None:
    assert "What the image sets are like" not in build_report(make_content())
