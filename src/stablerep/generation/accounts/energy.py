"""Energy that the machine reports: of NVIDIA GPUs by NVML, of the processors by Linux's powercap (RAPL).

Only what a counter says; nothing is estimated from what a device might take. Where no counter can be read
(many virtual machines, and RAPL for everyone but root) there is no figure.
"""

from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")


def gpu_energy_j() -> float | None:
    """Returns what the current GPU has taken since its driver was loaded, in joules.

    Source: `nvmlDeviceGetTotalEnergyConsumption`, millijoules, from the Volta generation on.
    """
    if not torch.cuda.is_available():
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        device = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(device)) / 1000
    except pynvml.NVMLError:
        return None  # an older GPU, a slice of one, or a driver that does not tell


def processor_counters_j(root: Path = POWERCAP) -> dict[str, tuple[float, float]]:
    """Returns package -> (joules so far, joules at which its counter starts again at 0).

    Source: https://docs.kernel.org/power/powercap/powercap.html; whole packages, `intel-rapl:0` and the like,
    which contain their parts. AMD's stand under the same name.
    """
    counters = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            now, most = (int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            continue  # root's alone
        counters[zone.name] = (now / 1e6, most / 1e6)
    return counters


def processor_energy_j(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> float | None:
    """Returns what the processors took between two readings; None where nothing was read.

    A counter that ran over once is put right; one that did so twice cannot be told.
    """
    both = sorted(set(before) & set(after))
    if not both:
        return None
    taken = 0.0
    for name in both:
        start, most = before[name]
        end = after[name][0]
        taken += end - start if end >= start else end - start + most
    return taken
