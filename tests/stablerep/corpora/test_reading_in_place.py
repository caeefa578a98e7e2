"""Images are read where they lie, checked against their digest, and resized as Pillow does it."""

import errno
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from stablerep.corpora.reading_in_place import FileReader, ImagesInPlace, Place, ResizedPixels, resized
from stablerep.errors import ConfigError
from stablerep.storage.outages import OutageError
from stablerep.storage.pixels import ImagesInMemory, UnreadableImageError
from stablerep.storage.shards import digest_of
from tests.stablerep.corpora.images import pixels, png


def images_of(folder: Path, number: int = 3) -> ImagesInPlace:
    """Images inside one file, one behind the other."""
    data = [png(seed) for seed in range(number)]
    (folder / "all").write_bytes(b"head" + b"".join(data))
    sizes = [len(each) for each in data]
    table = pd.DataFrame(
        {
            "key": [f"i{row}" for row in range(number)],
            "path": "all",
            "offset": 4 + np.cumsum([0, *sizes[:-1]]),
            "size_bytes": sizes,
            "row": -1,
            "digest": [digest_of(each) for each in data],
        }
    )
    return ImagesInPlace(FileReader(folder), table)


def test_images_are_read_by_their_place(tmp_path: Path) -> None:
    images = pickle.loads(pickle.dumps(images_of(tmp_path)))
    for row in (2, 0, 1):
        np.testing.assert_array_equal(images.read(row).permute(1, 2, 0).numpy(), pixels(row))


def test_a_subset_keeps_names_and_has_another_fingerprint(tmp_path: Path) -> None:
    images = images_of(tmp_path)
    chosen = images.subset(torch.tensor([2, 0]))
    assert [chosen.name_of(row) for row in range(len(chosen))] == ["i2", "i0"]
    assert torch.equal(chosen.read(0), images.read(2))
    assert chosen.fingerprint() != images.fingerprint()


def test_a_changed_file_is_an_unreadable_image_and_a_missing_one_an_outage(tmp_path: Path) -> None:
    images = images_of(tmp_path)
    (tmp_path / "all").write_bytes(b"x" * 2000)
    with pytest.raises(UnreadableImageError, match="i1: has changed since"):
        images.read(1)
    (tmp_path / "all").unlink()
    with pytest.raises(OutageError, match="all: is missing") as caught:
        images.read(1)
    assert not isinstance(caught.value, UnreadableImageError)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
def test_a_failure_of_the_file_system_is_not_a_damaged_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    images = images_of(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(number, "no luck")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OutageError, match="the file system failed") as caught:
        images.read(0)
    assert not isinstance(caught.value, UnreadableImageError)


def test_a_whole_file_is_read_where_there_is_no_offset(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"whole")
    assert FileReader(tmp_path).read(Place("a", -1, -1, -1)) == b"whole"


@pytest.mark.parametrize(("height", "width"), [(40, 60), (61, 40), (8, 8), (5, 9), (16, 100)])
def test_the_shorter_side_is_resized_and_the_centre_cropped(height: int, width: int) -> None:
    # smooth: the two libraries round their bicubic weights differently
    small = np.random.default_rng(1).integers(40, 215, (4, 4, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    found = resized(torch.from_numpy(np.array(image)).permute(2, 0, 1), 8)
    scale = 8 / min(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    left, top = (size[0] - 8) // 2, (size[1] - 8) // 2
    expected = np.array(image.resize(size, Image.Resampling.BICUBIC))[top : top + 8, left : left + 8]
    assert found.shape == (3, 8, 8) and found.dtype == torch.uint8
    assert np.abs(found.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 2


def test_resized_images_keep_their_names_and_differ_by_their_size() -> None:
    images = ImagesInMemory(torch.zeros((3, 3, 20, 30), dtype=torch.uint8))
    small = ResizedPixels(images, 10).subset(torch.tensor([2]))
    assert len(small) == 1 and small.read(0).shape == (3, 10, 10) and small.name_of(0) == "image 2"
    assert ResizedPixels(images, 10).fingerprint() != ResizedPixels(images, 11).fingerprint()
    with pytest.raises(ConfigError, match="size_px"):
        ResizedPixels(images, 0)
