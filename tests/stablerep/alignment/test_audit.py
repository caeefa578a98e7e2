"""What images show against what their captions ask for."""

import numpy as np
import pandas as pd
import pytest
import torch

from stablerep.alignment.audit import (
    TERM_TYPES,
    audit_pairs,
    audit_terms,
    no_rows,
    pick,
    read_terms,
    wilson,
)
from stablerep.curation.audit import Audit
from stablerep.curation.settings import AuditSettings
from stablerep.reporting.audit import draw_gaps, skewed_pairs

AUDIT = Audit(
    AuditSettings(
        groups={"digit": {"one": ["one"], "two": ["two"]}, "ink": {"red": ["red"], "blue": ["blue"]}},
        prompts={"digit": "a {}", "ink": "{} ink"},
        pairs=[["digit", "ink"]],
    )
)


class Reads:
    """A scorer of images whose first pixel is digit + 2 * ink."""

    scorer_id = "a-test"

    def score(self, images: torch.Tensor, texts: list[str]) -> torch.Tensor:
        wanted = {"a one": (0, 0), "a two": (0, 1), "red ink": (1, 0), "blue ink": (1, 1)}
        codes = images[:, 0, 0, 0].int()
        bits = torch.stack([codes % 2, codes // 2], dim=1)
        return torch.tensor([float(bits[i, wanted[t][0]] == wanted[t][1]) for i, t in enumerate(texts)])


def images_of(*codes: int) -> torch.Tensor:
    return torch.tensor(codes, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_one_term_of_each_group_is_read_off_each_image() -> None:
    shown = read_terms(images_of(0, 1, 2, 3), AUDIT, Reads())
    assert shown.tolist() == [
        [True, False, True, False],
        [False, True, True, False],
        [True, False, False, True],
        [False, True, False, True],
    ]


def test_the_gap_is_of_images_whose_caption_names_the_group() -> None:
    texts = ["a one", "a one", "a two in red ink", "a red digit", "a one or two"]
    shown = read_terms(images_of(0, 1, 1, 2, 0), AUDIT, Reads())
    table = audit_terms(texts, shown, AUDIT).set_index("term")
    assert table.loc["one", ["num_asked", "num_drawn"]].tolist() == [2, 1]
    assert table.loc["one", "asked"] == pytest.approx(2 / 3)
    assert table.loc["one", "gap"] == pytest.approx(-1 / 3)
    assert table.loc["one", "matched"] == pytest.approx(0.5)
    assert table.loc["two", "matched"] == 1
    assert table.loc["red", ["num_asked", "num_drawn"]].tolist() == [2, 1]
    assert np.isnan(table.loc["blue", "matched"])
    assert table.loc["blue", "gap"] == pytest.approx(0.5)
    draw_gaps(table.reset_index())


def test_a_generator_that_ties_terms_together_is_found_out() -> None:
    codes = [0, 3] * 200  # one is always red, two always blue
    texts = ["a one in red ink", "a one in blue ink", "a two in red ink", "a two in blue ink"] * 100
    pairs = audit_pairs(texts, read_terms(images_of(*codes), AUDIT, Reads()), AUDIT)
    assert set(pairs["verdict"]) == {"balanced"}
    one_red = pairs[(pairs["term_a"] == "one") & (pairs["term_b"] == "red")].iloc[0]
    assert one_red["pmi_drawn"] == pytest.approx(1, abs=0.02)
    assert {(row["term_a"], row["term_b"]) for row in skewed_pairs(pairs)} == {
        ("one", "blue"),
        ("two", "red"),
    }


def test_wilsons_interval() -> None:
    # E. B. Wilson's formula at 10 of 100, as tables have it
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert np.isnan(wilson(0, 0)).all()


def test_wilsons_interval_of_none_and_of_all_ends_at_exactly_0_and_1() -> None:
    # every size up to 5,000 was looked at once; the formula itself misses 0 first at 2, 1 at 20
    for num in [*range(1, 300), 4_999, 2**40]:
        (low, high), (all_low, all_high) = wilson(0, num), wilson(num, num)
        assert low == 0 < high < 1, num
        assert 0 < all_low < all_high == 1, num


def test_wilsons_interval_holds_its_share() -> None:
    for num in (1, 2, 7, 100):
        for num_of in range(num + 1):
            low, high = wilson(num_of, num)
            assert 0 <= low <= num_of / num <= high <= 1
    assert wilson(1, 2**40)[0] > 0 and wilson(2**40 - 1, 2**40)[1] < 1


def test_the_images_picked_depend_on_no_order() -> None:
    table = pd.DataFrame(
        {"caption_id": [f"c-{n // 2}" for n in range(40)], "image_index": [n % 2 for n in range(40)]}
    )
    one, other = pick(table, 10), pick(table.sample(frac=1, random_state=0), 10)
    keys = [set(zip(each["caption_id"], each["image_index"], strict=True)) for each in (one, other)]
    assert keys[0] == keys[1] and len(keys[0]) == 10
    assert len(pick(table, 100)) == 40


def test_no_images_have_tables_without_rows() -> None:
    terms, pairs = no_rows()
    assert list(terms) == list(TERM_TYPES) and terms.empty and pairs.empty
