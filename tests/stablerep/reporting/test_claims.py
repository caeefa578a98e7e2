"""The page of claims: which arms a claim compares, its verdict, and how metrics of sets go with accuracy."""

import numpy as np
import pandas as pd
import pytest

from stablerep.reporting.claims import (
    FAILS,
    HOLDS,
    MISSING,
    OPEN,
    Comparison,
    Run,
    claims_markdown,
    compare,
    correlate,
)

SEEDS = (0, 1, 2)
NUM_UNITS = 60
# image set -> its entry
SETS = {
    "real": {"source": "rendered", "images_per_caption": 1},
    **{
        f"w{scale}": {"source": "generated", "guidance_scale": scale, "policy": {}}
        for scale in (1, 2, 4, 6, 8)
    },
    "i1": {"source": "generated", "images_per_caption": 1, "num_captions": 80},
    "i4": {"source": "generated", "images_per_caption": 4, "num_captions": 20},
    "c1": {"source": "generated", "images_per_caption": 1},
    "c4": {"source": "generated", "images_per_caption": 4},
    "drop_0": {"source": "generated", "policy": {"drop_share": 0.0}},
    "drop_10": {"source": "generated", "policy": {"drop_share": 0.1}},
}
# arm -> method, image set, accuracy
ARMS = {
    "simclr_real": ("simclr", "real", 0.60),
    "clip_real": ("clip", "real", 0.65),
    **{f"simclr_w{w}": ("simclr", f"w{w}", 0.50 + 0.02 * w) for w in (1, 2, 4, 6, 8)},
    **{f"stablerep_w{w}": ("stablerep", f"w{w}", 0.80 - 0.02 * w) for w in (1, 2, 4, 6, 8)},
    "clip_w2": ("clip", "w2", 0.75),
    "plus_w2": ("stablerep_plus", "w2", 0.76),
    "simclr_i1": ("simclr", "i1", 0.4),
    "stablerep_i4": ("stablerep", "i4", 0.6),
    "simclr_c1": ("simclr", "c1", 0.45),
    "stablerep_c4": ("stablerep", "c4", 0.7),
    "keep": ("stablerep", "drop_0", 0.7),
    "drop": ("stablerep", "drop_10", 0.6),
}
METRICS = {"diversity": -1.0, "alignment": 1.0}  # metric -> its sign over the guidance scale


def run_of(changed: dict[str, float] | None = None, without: tuple[str, ...] = (), seeds=SEEDS) -> Run:
    """Returns a run in which arms have their accuracies, or `changed` ones."""
    rng = np.random.default_rng(0)
    shared = rng.random(NUM_UNITS)
    rows, scores = [], []
    arms = {name: arm for name, arm in ARMS.items() if name not in without}
    for arm, (method, _, usual) in arms.items():
        text = method in ("clip", "stablerep_plus")
        for evaluation in ("linear_probe", "zero_shot") if text else ("linear_probe",):
            for seed in seeds:
                level = (changed or {}).get(arm, usual)
                luck = 0.9 * shared[:, None] + 0.1 * rng.random((NUM_UNITS, 20))
                score = (luck < level).mean(axis=1)
                key = {"arm": arm, "seed": seed, "set": "zoo", "task": "species", "evaluation": evaluation}
                key |= {"metric": "accuracy"}
                rows.append(key | {"value": score.mean(), "validation": level, "method": method})
                units = [f"u{unit}" for unit in range(NUM_UNITS)]
                scores.append(pd.DataFrame({"unit": units, "score": score}).assign(**key))
    return Run(
        pd.DataFrame(rows),
        pd.concat(scores, ignore_index=True),
        {name: {"method": method, "images": images} for name, (method, images, _) in arms.items()},
        SETS,
        seeds,
        200,
        set_metrics(),
        "claims",
    )


def set_metrics() -> pd.DataFrame:
    """Returns a diversity that falls with the guidance scale, and an alignment that rises up to a point."""
    rows = [
        {"image_set": f"w{scale}", "metric": metric, "group": group, "value": value}
        for scale in (1, 2, 4, 6, 8)
        for metric, value in (("diversity", -float(scale)), ("alignment", min(scale, 3.0) + scale % 4))
        for group in ("all", "class: cat")
    ]
    return pd.DataFrame(rows)


def comparison(run: Run, says: str) -> Comparison:
    (found,) = [each for each in compare(run) if says in each.says]
    return found


def test_the_best_guidance_is_chosen_on_validation_images_and_compared_on_test_images():
    found = comparison(run_of(), "at its best guidance")
    assert found.compared.startswith("SimCLR w8 and SimCLR real")
    assert found.verdict == HOLDS
    worse = comparison(run_of({f"simclr_w{w}": 0.3 for w in (1, 2, 4, 6, 8)}), "at its best guidance")
    assert worse.verdict == FAILS
    tied = comparison(run_of({f"simclr_w{w}": 0.6 for w in (1, 2, 4, 6, 8)}), "at its best guidance")
    assert tied.verdict == OPEN


def test_each_claim_compares_its_own_arms():
    found = {each.says: each.compared for each in compare(run_of())}
    assert found["StableRep is above SimCLR on synthetic images"].startswith("StableRep w1 and SimCLR w8")
    assert found["StableRep is above CLIP on real images"].startswith("StableRep w1 and CLIP real")
    assert found["StableRep is above CLIP on synthetic images"].startswith("StableRep w1 and CLIP w2")
    # on the images of StableRep+, not at StableRep's own best scale
    assert found["StableRep+ is above StableRep"].startswith("plus w2 and StableRep w2")
    assert found["StableRep+ is above CLIP on real images, zero-shot"].endswith("zero-shot")
    assert found["Dropping badly aligned images helps: the worst 10 %"].startswith("drop and keep")


def test_dropping_that_does_harm_reads_so():
    assert comparison(run_of(), "Dropping badly aligned").verdict == FAILS


def test_a_claim_without_its_arms_is_not_measured():
    run = run_of(without=("clip_real", "plus_w2", "keep", "drop"))
    verdicts = {each.says: each.verdict for each in compare(run)}
    assert verdicts["StableRep is above CLIP on real images"] == MISSING
    assert verdicts["StableRep+ is above StableRep"] == MISSING
    assert verdicts["Dropping badly aligned images helps"] == MISSING
    assert verdicts["StableRep is above CLIP on synthetic images"] == HOLDS


def test_rank_correlations_are_those_of_whole_sets_with_the_accuracy_of_a_methods_arms():
    run = run_of()
    found = {each.metric: each for each in correlate(run, run.tested[0], "stablerep")}
    assert found["diversity"].value == pytest.approx(1)  # both fall with the guidance scale
    assert found["diversity"].num_sets == 5
    assert (found["diversity"].low, found["diversity"].high) == pytest.approx((1, 1))
    alignment = found["alignment"]
    ranks = pd.Series([2.0, 4.0, 3.0, 5.0, 3.0]).rank().corr(pd.Series([5.0, 4.0, 3.0, 2.0, 1.0]))
    assert alignment.value == pytest.approx(ranks)
    half = 1.96 * np.sqrt(1.06 / 2)
    assert (alignment.low, alignment.high) == pytest.approx(
        (np.tanh(np.arctanh(ranks) - half), np.tanh(np.arctanh(ranks) + half))
    )
    assert alignment.above_alignment is None
    above = found["diversity"].above_alignment
    assert above is not None and above.value == pytest.approx(1 - abs(ranks))
    other = {each.metric: each for each in correlate(run, run.tested[0], "simclr")}
    assert other["diversity"].value == pytest.approx(-1)


def test_the_page_has_a_row_of_each_claim_and_each_scale_and_number():
    page = claims_markdown(run_of())
    for letter in "abcdefgh":
        assert f"({letter}) " in page
    assert "| 8 | " in page and "**80" not in page
    assert "| 1 | **" in page  # StableRep's best scale
    four = next(line for line in page.splitlines() if line.startswith("| 4 |") and ";" in line)
    assert four.count("+") >= 2  # above one image per caption at both
    assert "with 3 seeds" in page and "Two seeds" not in page


def test_few_seeds_and_missing_metrics_are_said():
    run = run_of(seeds=(0,))
    assert "One seed" in claims_markdown(run)
    empty = Run(**{**vars(run_of()), "set_metrics": pd.DataFrame()})
    assert "(h) Rank correlation of metrics of image sets with accuracy: not measured." in claims_markdown(
        empty
    )
