"""`dvc repro` in a clone without a remote, and after one caption was edited and another taken down."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def test_an_edit_or_a_takedown_costs_its_own_images_and_no_other(checkout, run):
    composed = run("python", "-m", "pipelines.dvc.compose", "experiment=smoke")
    assert composed.returncode == 0, composed.stdout + composed.stderr
    described = checkout / "data/05_model_input/synthetic/finished/image_set.json"
    generator = checkout / "data/06_models/generator/model_index.json"
    born = generator.stat().st_mtime_ns

    first = run("dvc", "repro")
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-4000:]
    assert json.loads(described.read_text())["facts"]["generation"]["num_made_images"] == 96 * 2
    assert generator.stat().st_mtime_ns == born, "the shipped generator must not be trained again"

    shown = run("dvc", "metrics", "show", "--json")
    figures = json.loads(shown.stdout)[""]["data"]["data/08_reporting/metrics.json"]["data"]
    assert figures["stablerep"]["scenes.linear_probe.accuracy"].keys() == {"seed_0"}
    plotted = run("dvc", "plots", "show", "--json")
    assert plotted.returncode == 0, plotted.stdout[-2000:] + plotted.stderr[-4000:]
    drawn = {"training loss", "linear_probe on scenes", "linear_probe on hard_scenes"}
    assert json.loads(plotted.stdout)["data"].keys() == drawn

    second = run("dvc", "repro")
    assert second.returncode == 0
    assert "Running stage" not in second.stdout

    captions = checkout / "data/01_raw/captions.csv"
    lines = captions.read_text().splitlines(keepends=True)
    _, source, licence = lines[5].rsplit(",", 2)
    lines[5] = f"a magenta handwritten eight on a plain white background,{source},{licence}"
    captions.write_text("".join(lines))
    third = run("dvc", "repro")
    assert third.returncode == 0, third.stdout[-2000:] + third.stderr[-4000:]
    made = json.loads(described.read_text())["facts"]["generation"]
    assert made["num_made_images"] == 2
    assert made["num_kept"] == 95
    assert made["num_dropped"] == 1
    made_of_it = ("image_sets-synthetic", "training-stablerep-seed_0")
    for stage in ("curation", "validation", *made_of_it, "evaluation", "reporting"):
        assert f"Running stage '{stage}'" in third.stdout
    assert "Running stage 'pretraining'" not in third.stdout

    manifest = checkout / "data/05_model_input/synthetic/manifest.parquet"
    gone = pd.read_parquet(manifest)["caption_id"].iloc[0]
    taken = run("stablerep", "takedown", gone, "--yes", "--reason", "licence withdrawn", "--who", "Ada")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    fourth = run("dvc", "repro")
    assert fourth.returncode == 0, fourth.stdout[-2000:] + fourth.stderr[-4000:]
    made = json.loads(described.read_text())["facts"]["generation"]
    # its images went at once; smoke wants 96 of the captions, so the next one takes its place
    assert (made["num_made_images"], made["num_kept"], made["num_dropped"]) == (2, 95, 0)
    left = pd.read_parquet(manifest)["caption_id"]
    assert len(left) == 96 * 2
    assert gone not in set(left)
    assert "Running stage 'training-stablerep-seed_0'" in fourth.stdout
