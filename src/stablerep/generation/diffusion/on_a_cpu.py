"""Settings of the generator that are meant for a GPU and slow on a CPU."""

from stablerep.generation.diffusion.precision import fastest_dtype
from stablerep.generation.diffusion.settings import GeneratorSettings

# Stable Diffusion 1.5 at 512 px computes for minutes an image on a CPU from about ten steps on
_MANY = 10 * 512 * 512
_FILE = "conf/params/generator/<name>.yaml"


def slow_on_a_cpu(settings: GeneratorSettings) -> list[str]:
    """Returns a warning for each setting that is slow on a CPU, with what to do.

    Measured with the embedded generator on one thread of a CPU, 64 images of 8 steps: 1.3 s in float32,
    10.4 s in float16; compiled 43 s for the first 64 and 2.8 s for the next.

    Args:
        settings: with a dtype of `settings.DTYPES`.
    """
    warnings = []
    if settings.dtype == "float16":
        warnings.append(
            "generator.dtype is float16, which a CPU computes several times more slowly than float32; set "
            f"float32 or auto in {_FILE}"
        )
    if settings.dtype == "bfloat16" and fastest_dtype() != "bfloat16":
        warnings.append(
            "generator.dtype is bfloat16, which this processor does not multiply in hardware: float32 is "
            f"faster; set float32 or auto in {_FILE}"
        )
    if settings.compile:
        warnings.append(
            "generator.compile is true: on a CPU each process compiles for up to several minutes before its "
            f"first image, and is hardly faster afterwards; set it to false in {_FILE}"
        )
    if settings.num_inference_steps * settings.size_px**2 >= _MANY:
        warnings.append(
            f"{settings.num_inference_steps} steps at {settings.size_px} px: a CPU takes minutes per image "
            "with a model of Stable Diffusion's size; the forecast follows after the first steps. Use a "
            f"GPU, fewer generator.num_inference_steps or a smaller generator.size_px, in {_FILE}"
        )
    return warnings
