"""One new thing is one file and one config: corpus, filter, method, evaluation, set metric, executor."""

import json
import textwrap
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
CODE = {
    "my_corpus.py": '''
        """A corpus that renders captions as the embedded one does, mirrored."""

        from stablerep.corpora.corpus import Rendered
        from stablerep.digit_scenes.corpus import DigitScenes


        class Mirrored(DigitScenes):
            name = "mirrored"

            def render(self, texts, images_per_caption, name, seed):
                drawn = super().render(texts, images_per_caption, name, seed)
                return Rendered(drawn.pixels.flip(-1), drawn.labels)
    ''',
    "my_filter.py": '''
        """Drops captions about nines."""

        from stablerep.curation.filter import CaptionFilter, reason_where


        class NoNines(CaptionFilter):
            name = "no_nines"

            def score(self, captions):
                return captions["text"].str.contains("nine").cast(float)

            def fault(self, score):
                return reason_where(score > 0, "is_a_nine")
    ''',
    "my_method.py": '''
        """SimCLR with a weight of its own."""

        from dataclasses import dataclass

        from stablerep.methods.simclr import SimCLR


        @dataclass(frozen=True)
        class Weighted(SimCLR):
            weight: float = 1.0

            def __call__(self, batch, logit_scale):
                losses = super().__call__(batch, logit_scale)
                return {name: self.weight * loss for name, loss in losses.items()}
    ''',
    "my_evaluation.py": '''
        """Nearest neighbours under another name."""

        from stablerep.evaluation.knn import NearestNeighbours


        class Near(NearestNeighbours):
            name = "near"
    ''',
    "my_set_metric.py": '''
        """How many captions the measured images have."""

        from stablerep.image_set_metrics.metric import ALL, Measured, SetMetric


        class NumCaptions(SetMetric):
            name = "num_captions"
            version = 1

            def measure(self, comparison, prepared):
                captions = comparison.sample.table["caption_id"]
                yield Measured("num_captions", ALL, float(captions.nunique()), len(captions))
    ''',
    "my_executor.py": '''
        """Makes shards in this process and says so in a file."""

        from pathlib import Path

        from stablerep.generation.image_sets.workers import ShardMaker


        class Here:
            label = "here"

            def __init__(self, note):
                self.note = note

            def software(self, here):
                return here

            def num_processes(self, num_shards):
                return 1

            def make(self, workshop, plans):
                maker = ShardMaker(workshop)
                for plan in plans:
                    Path(self.note).write_text("made")
                    yield maker.make(plan)
    ''',
}
CONFIGS = {
    "corpus/mine.yaml": "_target_: my_corpus.Mirrored\npath: data/01_raw/captions.csv\n",
    "curation/mine.yaml": "defaults: [digit_scenes, _self_]\nfilters: [{_target_: my_filter.NoNines}]\n",
    "method/weighted.yaml": "# @package method.weighted\n_target_: my_method.Weighted\nweight: 0.5\n",
    "evaluation/near.yaml": "# @package evaluation.near\n_target_: my_evaluation.Near\nnum_neighbours: 5\n",
    "set_metrics/num_captions.yaml": "num_captions:\n  _target_: my_set_metric.NumCaptions\n",
    "executor/mine.yaml": "_target_: my_executor.Here\nnote: made_by_mine.txt\n",
}


def test_the_smoke_experiment_runs_with_one_new_thing_of_each_kind(checkout: Path, run) -> None:
    plugins = checkout.parent / "plugins"
    plugins.mkdir()
    for name, code in CODE.items():
        (plugins / name).write_text(textwrap.dedent(code), encoding="utf-8")
    for name, text in CONFIGS.items():
        (checkout / "conf/params" / name).write_text(text, encoding="utf-8")
    params = (
        "experiment=smoke,corpus=mine,curation=mine,executor=mine,"
        "method=[stablerep,stablerep_plus,simclr,clip,supcon,weighted],"
        "evaluation=[linear_probe,near],set_metrics=[num_captions],"
        "validation.terms.every_term_named.severity=warn,"  # the filter drops all nines
        "image_sets.mine={source: rendered},arms.mine={method: weighted, images: mine}"
    )
    path = f"{checkout / 'src'}:{plugins}"
    finished = run("kedro", "run", "--params", params, extra={"PYTHONPATH": path})
    assert finished.returncode == 0, finished.stderr[-4000:]
    metrics = pd.read_parquet(checkout / "data/07_model_output/metrics.parquet")
    assert {"mine", "stablerep", "untrained", "raw_pixels"} < set(metrics["arm"])
    assert set(metrics["evaluation"]) == {"linear_probe", "near"}
    of_sets = pd.read_parquet(checkout / "data/07_model_output/image_set_metrics.parquet")
    assert set(of_sets["metric"]) == {"num_captions"}
    assert {"mine", "synthetic"} < set(of_sets["image_set"])
    assert (checkout / "made_by_mine.txt").read_text() == "made"
    rejected = pd.read_parquet(checkout / "data/03_primary/rejected_captions.parquet")
    assert "is_a_nine" in set(rejected["reason"])
    described = json.loads((checkout / "data/05_model_input/mine/finished/image_set.json").read_text())
    assert described["source"] == "rendered"
