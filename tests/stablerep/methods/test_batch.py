"""What a training step holds."""

import pytest

from stablerep.errors import ConfigError
from stablerep.methods.batch import BatchSettings


@pytest.mark.parametrize(
    ("views_per_caption", "num_captions"), [(6, 1376), (2, 4128), (1, 8256)], ids=["images", "views", "one"]
)
def test_every_method_has_the_captions_that_make_up_the_views(
    views_per_caption: int, num_captions: int
) -> None:
    batch = BatchSettings(captions=43 * 32, images_per_caption=6)
    assert batch.num_views == 8256
    assert batch.captions_of(views_per_caption, "arm 'a'") == num_captions


def test_views_that_are_no_whole_captions_are_refused() -> None:
    told = (
        r"^training\.batch\.captions: got 3, with 3 images of each, 9 views; .* a multiple of 2, .* arm 'a', "
    )
    with pytest.raises(ConfigError, match=told):
        BatchSettings(captions=3, images_per_caption=3).captions_of(2, "arm 'a'")


def test_one_caption_alone_is_refused_and_two_are_not() -> None:
    with pytest.raises(ConfigError, match="hold at least two"):
        BatchSettings(captions=1, images_per_caption=4).captions_of(4, "arm 'a'")
    assert BatchSettings(captions=1, images_per_caption=4).captions_of(2, "arm 'a'") == 2


@pytest.mark.parametrize("key", ["captions", "images_per_caption", "chunk"])
def test_a_number_below_one_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^training\.batch\.{key}: got 0; must be >= 1"):
        BatchSettings(**{"captions": 1, "images_per_caption": 1} | {key: 0})
