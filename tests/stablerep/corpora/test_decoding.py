"""Images of every mode come out as RGB, as Pillow converts them or, where it does not, as they look."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from stablerep.corpora import decoding
from stablerep.corpora.decoding import decode_rgb
from stablerep.storage.pixels import UnreadableImageError

NOISE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def as_array(data: bytes) -> np.ndarray:
    image = decode_rgb(data)
    assert image.dtype == torch.uint8 and image.shape[0] == 3
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_opaque_modes_are_converted_as_pillow_does(mode: str) -> None:
    image = Image.fromarray(NOISE).convert(mode)
    np.testing.assert_array_equal(as_array(encoded(image)), np.array(image.convert("RGB")))


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("L", "JPEG"), ("CMYK", "TIFF"), ("RGB", "WEBP")]
)
def test_other_formats_are_converted_as_pillow_does(mode: str, form: str) -> None:
    data = encoded(Image.fromarray(NOISE).convert(mode), form)
    np.testing.assert_array_equal(as_array(data), np.array(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_stand_on_white(mode: str) -> None:
    alpha = np.full((6, 9), 128, np.uint8)
    alpha[0] = 0
    image = Image.fromarray(NOISE).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    colours = np.array(image.convert("RGBA"))[..., :3].astype(float)
    expected = colours * alpha[..., None] / 255 + 255 * (1 - alpha[..., None] / 255)
    found = as_array(encoded(image))
    assert (found[0] == 255).all()
    assert np.abs(found - expected).max() <= 1


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    found = as_array(encoded(image, transparency=0))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [10, 20, 30]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(form: str) -> None:
    grey = np.array([[0, 256, 32768, 65535]], np.uint16)
    found = as_array(encoded(Image.fromarray(grey), form))
    np.testing.assert_array_equal(found[0, :, 0], [0, 1, 128, 255])


@pytest.mark.parametrize("values", [np.float32([[0.5]]), np.int32([[70000]])])
def test_a_range_that_cannot_be_known_is_refused(values: np.ndarray) -> None:
    with pytest.raises(UnreadableImageError, match="unknown range"):
        decode_rgb(encoded(Image.fromarray(values), "TIFF"))


def test_the_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = as_array(encoded(Image.fromarray(NOISE), exif=exif))
    np.testing.assert_array_equal(found, np.rot90(NOISE, -1))


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert as_array(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("data", [b"", b"not an image", encoded(Image.fromarray(NOISE))[:60]])
def test_damaged_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="not an image that Pillow can decode"):
        decode_rgb(data)


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(NOISE))
    monkeypatch.setattr(decoding, "MAX_PIXELS", 53)
    with pytest.raises(UnreadableImageError, match="9 x 6 pixels; must be at most 53"):
        decode_rgb(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow's own error
    with pytest.raises(UnreadableImageError, match="decompression bomb"):
        decode_rgb(data)
