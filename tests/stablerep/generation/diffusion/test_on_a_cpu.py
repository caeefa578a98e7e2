"""Settings that are meant for a GPU are named where a CPU draws."""

import pytest

from stablerep.generation.diffusion import on_a_cpu
from stablerep.generation.diffusion.on_a_cpu import slow_on_a_cpu


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"dtype": "float16"}, ["generator.dtype is float16"]),
        ({"dtype": "bfloat16"}, ["generator.dtype is bfloat16"]),
        ({"compile": True}, ["generator.compile is true"]),
        ({"size_px": 512, "num_inference_steps": 50}, ["50 steps at 512 px"]),
        ({"size_px": 512, "num_inference_steps": 9}, []),
        ({"dtype": "float16", "compile": True}, ["generator.dtype is float16", "generator.compile is true"]),
    ],
)
def test_each_setting_is_named_with_what_to_do(changes, told, settings, monkeypatch) -> None:
    monkeypatch.setattr(on_a_cpu, "fastest_dtype", lambda: "float32")
    found = slow_on_a_cpu(settings(**changes))
    assert [line.startswith(start) for line, start in zip(found, told, strict=True)] == [True] * len(told)
    assert all("conf/params/generator/<name>.yaml" in line for line in found)


def test_bfloat16_is_fine_where_the_processor_multiplies_it(settings, monkeypatch) -> None:
    monkeypatch.setattr(on_a_cpu, "fastest_dtype", lambda: "bfloat16")
    assert slow_on_a_cpu(settings(dtype="bfloat16")) == []
