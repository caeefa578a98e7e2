"""The policy carried out: what is drawn, scored, kept and pruned. Images are rows, scores a table."""

import pandas as pd
import pytest

from stablerep.alignment.remake import apply_policy, summarise
from stablerep.alignment.settings import AlignmentPolicy


class Studio:
    """An image set of rows whose scores are known beforehand; counts what is asked of it."""

    def __init__(self, alignments, images_per_caption):
        self.alignments, self.num = alignments, images_per_caption
        self.there, self.scored = set(), set()
        self.num_calls = 0
        self.draw({}, keeps_spare=True)
        self.num_calls = 0

    def draw(self, further, keeps_spare):
        self.num_calls += 1
        wanted = {(c, i) for c in self.alignments for i in (*range(self.num), *further.get(c, ()))}
        made = len(wanted - self.there)
        self.there = self.there | wanted if keeps_spare else wanted
        return self.manifest(), made

    def manifest(self):
        rows = [(*key, "intact") for key in sorted(self.there)]
        return pd.DataFrame(rows, columns=["caption_id", "image_index", "state"])

    def score(self, manifest):
        keys = set(zip(manifest["caption_id"], manifest["image_index"], strict=True))
        new = keys - self.scored
        self.scored |= new
        rows = [(c, i, self.alignments[c][i]) for c, i in sorted(keys)]
        return pd.DataFrame(rows, columns=["caption_id", "image_index", "alignment"]), len(new)

    def run(self, policy):
        scores, _ = self.score(self.manifest())
        return apply_policy(self.manifest(), scores, self.num, policy, self.draw, self.score)


@pytest.fixture
def studio():
    """Two images a caption: a has a bad one and a bad first remake, b is good, c is hopeless."""
    return Studio(
        {"a": [0.9, 0.1, 0.2, 0.8, 0.9], "b": [0.7, 0.6, 0.0, 0.0, 0.0], "c": [0.1] * 5}, images_per_caption=2
    )


DROP = AlignmentPolicy(min_alignment=0.5)
REMAKE = AlignmentPolicy(min_alignment=0.5, on_reject="remake", max_remakes=3)


def states(aligned):
    table = aligned.manifest
    return {
        caption: "".join("+" if state == "intact" else "-" for state in rows)
        for caption, rows in table.groupby("caption_id")["state"]
    }


def test_dropping_draws_nothing_and_counts_what_is_lost(studio, caplog):
    aligned = studio.run(DROP)
    assert states(aligned) == {"a": "+-", "b": "++", "c": "--"}
    expected = {
        "num_images": 6,
        "num_intact": 3,
        "num_rejected_misaligned": 3,
        "num_rejected_unsafe": 0,
        "num_remade": 0,
        "num_short_captions": 2,
        "num_captions_without_images": 1,
        "threshold": 0.5,
        "num_made_images": 0,
    }
    assert aligned.ledger.items() >= expected.items()
    assert studio.num_calls == 0
    assert "1 captions have no image left" in caplog.text


def test_remaking_draws_further_images_until_enough_are_good_or_the_bound_is_met(studio):
    aligned = studio.run(REMAKE)
    # a: the first further image is bad, the second is good; c: three further ones and no more
    assert states(aligned) == {"a": "+--+", "b": "++", "c": "-----"}
    assert aligned.ledger["num_remade"] == aligned.ledger["num_made_images"] == 5
    assert aligned.ledger["num_short_captions"] == aligned.ledger["num_captions_without_images"] == 1


def test_a_second_run_decides_the_same_and_draws_and_scores_nothing(studio):
    first = studio.run(REMAKE)
    studio.num_calls, known = 0, set(studio.scored)
    second = studio.run(REMAKE)
    pd.testing.assert_frame_equal(first.manifest, second.manifest)
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert studio.num_calls == 0
    assert studio.scored == known
    assert second.ledger == first.ledger | {"num_made_images": 0, "num_scored": 0}


def test_the_way_to_a_policy_leaves_no_trace(studio):
    direct = Studio(studio.alignments, 2)
    expected = direct.run(REMAKE)
    studio.run(AlignmentPolicy(min_alignment=0.95, on_reject="remake", max_remakes=3))
    found = studio.run(REMAKE)
    pd.testing.assert_frame_equal(found.manifest, expected.manifest)
    pd.testing.assert_frame_equal(found.scores.reset_index(drop=True), expected.scores)
    assert studio.there == direct.there


def test_spare_images_are_pruned_where_nothing_is_remade_any_more(studio):
    studio.run(REMAKE)
    found = studio.run(DROP)
    assert len(studio.there) == len(found.manifest) == len(found.scores) == 6


def test_a_share_is_that_of_the_first_drawn_images_so_remaking_does_not_move_it(studio):
    policy = AlignmentPolicy(drop_share=0.34, on_reject="remake", max_remakes=3)
    aligned = studio.run(policy)
    # of six, two are dropped; three have 0.1 and a tie is kept whole
    assert aligned.ledger["threshold"] == 0.1
    assert aligned.ledger["num_rejected_misaligned"] == 0
    assert studio.run(policy).ledger["threshold"] == 0.1


def test_a_further_image_that_the_safety_checker_blanks_is_followed_by_another(studio):
    draw = studio.draw

    def draw_blanked(further, keeps_spare):
        manifest, made = draw(further, keeps_spare)
        blanked = (manifest["caption_id"] == "a") & (manifest["image_index"] == 3)
        return manifest.assign(state=manifest["state"].mask(blanked, "rejected_unsafe")), made

    studio.draw = draw_blanked
    assert states(studio.run(REMAKE))["a"] == "+---+"


def test_what_was_not_scored_has_no_distribution(studio):
    nothing = pd.DataFrame({"caption_id": [], "image_index": [], "alignment": []}).astype(
        {"caption_id": "str", "image_index": "int64", "alignment": "float64"}
    )
    aligned = apply_policy(studio.manifest(), nothing, 2, AlignmentPolicy(), studio.draw, studio.score)
    assert aligned.ledger["mean"] is None and aligned.ledger["quantiles"]["q50"] is None
    assert aligned.ledger["num_intact"] == 6


@pytest.mark.parametrize("score", [-1.0, 0.1, 1.0])
def test_the_figures_of_equal_scores_are_that_score(score):
    table = pd.DataFrame({"caption_id": "a", "image_index": range(7), "state": "intact", "alignment": score})
    ledger = summarise(table, 7, None)
    figures = [ledger[name] for name in ("mean", "min", "max", "mean_of_accepted")]
    assert {*figures, *ledger["quantiles"].values()} == {score}
