"""What `generator.dtype=auto` means."""

import json
import logging

import pytest
import torch

from stablerep.errors import ConfigError
from stablerep.generation.diffusion.precision import dtype_of_set, fastest_dtype, with_dtype_chosen
from stablerep.generation.diffusion.settings import DTYPES, GeneratorSettings

AUTO = GeneratorSettings(
    guidance_scale=3.0, num_inference_steps=5, images_per_caption=1, size_px=16, dtype="auto"
)


@pytest.fixture
def machine(monkeypatch):
    """Returns a function that makes this a machine of such a processor or GPU."""

    def become(*instructions, cuda=None):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: cuda)

    return become


def begin(store, text):
    store.mkdir(exist_ok=True)
    (store / "generator.json").write_text(text)


@pytest.mark.parametrize(
    ("instructions", "cuda", "fastest"),
    [
        (["avx2", "avx512_f"], None, "float32"),
        (["avx512_f", "avx512_bf16"], None, "bfloat16"),
        (["amx_tile", "amx_bf16"], None, "bfloat16"),
        (["avx2"], True, "bfloat16"),
        (["avx512_bf16"], False, "float32"),  # it is the GPU that draws
    ],
)
def test_bfloat16_is_drawn_where_it_is_multiplied(machine, instructions, cuda, fastest):
    machine(*instructions, cuda=cuda)
    assert fastest_dtype() == fastest
    assert with_dtype_chosen(AUTO).dtype == fastest


def test_this_machine_has_one():
    assert fastest_dtype() in DTYPES


def test_a_set_that_was_begun_elsewhere_keeps_its_arithmetic(machine, tmp_path, caplog):
    begin(tmp_path / "images", json.dumps({"dtype": "float32", "model": "tiny"}))
    folder = tmp_path / "tiny"
    machine("avx512_bf16")
    with caplog.at_level(logging.WARNING, "stablerep"):
        assert with_dtype_chosen(AUTO, tmp_path / "images", folder).dtype == "float32"
    assert "generator.dtype=bfloat16 draws all of it again" in caplog.text
    # who names one gets it
    named = AUTO.changed(dtype="bfloat16")
    assert with_dtype_chosen(named, tmp_path / "images", folder).dtype == "bfloat16"
    # what another model drew is drawn again in any case
    assert dtype_of_set(tmp_path / "images", "other") == "bfloat16"
    machine()
    caplog.clear()
    assert dtype_of_set(tmp_path / "images", "tiny") == "float32"
    assert not caplog.text


def test_a_set_that_is_not_there_is_drawn_in_the_fastest(machine, tmp_path):
    machine("avx512_bf16")
    assert dtype_of_set(tmp_path / "images", "tiny") == "bfloat16"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"dtype": "float8", "model": "tiny"}', "{}"])
def test_a_description_that_cannot_be_read_decides_nothing(machine, tmp_path, text):
    begin(tmp_path / "images", text)
    machine("avx512_bf16")
    assert dtype_of_set(tmp_path / "images", "tiny") == "bfloat16"


@pytest.mark.parametrize(
    "target",
    [
        "diffusers.NoSuchScheduler",
        "os.system",
        "nowhere.Sampler",
        "subprocess.Popen",
        "diffusers.DiffusionPipeline",
    ],
)
def test_a_sampler_that_does_not_exist_is_told(target):
    with pytest.raises(
        ConfigError, match=rf"generator\.scheduler\._target_: got '{target}'; must be a sampler"
    ):
        _ = AUTO.changed(scheduler={"_target_": target}).scheduler_class
