"""The nearest of the known names."""

from stablerep.nearest_name import must_be_one_of, nearest_name

KNOWN = ["dtype", "guidance_scale", "size_px"]


def test_a_misspelled_name_has_a_nearest_one() -> None:
    assert nearest_name("guidance_scal", KNOWN) == "guidance_scale"


def test_a_name_like_none_of_them_has_none() -> None:
    assert nearest_name("zzz", KNOWN) is None
    assert nearest_name("zzz", []) is None


def test_the_cutoff_decides_what_is_near() -> None:
    assert nearest_name("type", KNOWN, cutoff=0.8) == "dtype"
    assert nearest_name("type", KNOWN, cutoff=0.95) is None


def test_the_sentence_names_all_and_asks_about_the_nearest() -> None:
    assert must_be_one_of("sizepx", reversed(KNOWN)) == (
        "must be one of dtype, guidance_scale, size_px. Did you mean 'size_px'?"
    )
    assert must_be_one_of("zzz", KNOWN) == "must be one of dtype, guidance_scale, size_px."


def test_a_long_list_of_names_is_cut() -> None:
    told = must_be_one_of("n77", [f"n{number:02}" for number in range(99)])
    assert told.startswith("must be one of n00, n01, ")
    assert told.endswith(" n29 and 69 more. Did you mean 'n77'?")
