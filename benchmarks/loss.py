"""The multi-positive loss, tiled against dense and against the authors' formulation: time and peak memory.

    python -m benchmarks.loss
    python -m benchmarks.loss --sizes 65536 --forms tiled

Forward and backward, D 256, six images a caption, each form at each size in a process of its own, so that
peak memory is its own; on a GPU where there is one. A form whose matrices do not fit into the memory is left
out, and said to be. The last lines are the tiled form's ratios to the others, at each size that both were
run at.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from stablerep.methods.multi_positive import multi_positive_loss

TEMPERATURE = 0.1
NUM_MATRICES = 6  # float32 ones of N x N that the authors' form holds at its peak; the dense one holds 5


def authors_loss(z_ND: Tensor, labels_N: Tensor) -> Tensor:
    """The authors' formulation, written anew: matrices of targets and masked logits, a soft cross-entropy."""
    self_NN = torch.eye(len(z_ND), device=z_ND.device)
    mask_NN = (labels_N[:, None] == labels_N[None, :]).float() * (1 - self_NN)
    logits_NN = z_ND @ z_ND.T / TEMPERATURE
    logits_NN = logits_NN - self_NN * 1e9
    logits_NN = logits_NN - logits_NN.max(dim=1, keepdim=True).values.detach()
    target_NN = mask_NN / mask_NN.sum(dim=1, keepdim=True).clamp(min=1)
    return -(target_NN * F.log_softmax(logits_NN, dim=1)).sum(dim=1).mean()


def run(
    form: str, num: int, dims: int, tile: int, repeats: int, num_to_warm_up: int | None = None
) -> dict[str, float]:
    """Times one form at one size; the first pass warms up and is not counted.

    Args:
        form: authors, dense or tiled.
        num: embeddings.
        dims: of each.
        tile: of the tiled form.
        repeats: passes that are counted.
        num_to_warm_up: embeddings of the first pass; None takes all.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    z_ND = F.normalize(torch.randn(num, dims, generator=generator), dim=1).to(device).requires_grad_()
    labels_N = (torch.arange(num) // 6).to(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def once(z_ND: Tensor, labels_N: Tensor) -> float:
        z_ND.grad = None
        if form == "authors":
            loss = authors_loss(z_ND, labels_N)
        else:
            loss = multi_positive_loss(z_ND, labels_N, TEMPERATURE, tile if form == "tiled" else None)
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return float(loss.detach())

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    warm = slice(num_to_warm_up)
    loss = once(z_ND[warm].detach().requires_grad_(), labels_N[warm])
    started = time.monotonic()
    for _ in range(repeats):
        loss = once(z_ND, labels_N)
    seconds = (time.monotonic() - started) / repeats
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": seconds, "peak_mib": memory, "loss": loss}


def main() -> None:
    """Runs every form at every size and prints a table and the ratios."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 8256, 16384, 32768, 65536])
    parser.add_argument("--forms", nargs="+", default=["authors", "dense", "tiled"])
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--tile", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("FORM", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        form, num = given.one
        print(json.dumps(run(form, int(num), given.dims, given.tile, given.repeats)))
        return
    results: dict[tuple[str, int], dict[str, float]] = {}
    for num in given.sizes:
        for form in given.forms:
            wanted = 0 if form == "tiled" else NUM_MATRICES * 4 * num**2
            if wanted > free_bytes():
                print(f"{num:7,} {form:8} left out: it would hold {wanted / 2**30:.0f} GiB", flush=True)
                continue
            command = [sys.executable, "-m", "benchmarks.loss", *sys.argv[1:], "--one", form, str(num)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                print(f"{num:7,} {form:8} did not finish (exit code {done.returncode})", flush=True)
                continue
            figures = results[form, num] = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{num:7,} {form:8} {figures['seconds']:8.3f} s  {figures['peak_mib']:9,.0f} MiB  "
                f"loss {figures['loss']:.5f}",
                flush=True,
            )
    for num in given.sizes:
        for form in ("authors", "dense"):
            if {("tiled", num), (form, num)} <= results.keys():
                tiled, other = results["tiled", num], results[form, num]
                memory = other["peak_mib"] / max(1.0, tiled["peak_mib"])
                print(f"{form} memory / tiled memory at {num} = {memory:.1f}")
                print(f"tiled seconds / {form} seconds at {num} = {tiled['seconds'] / other['seconds']:.2f}")


def free_bytes() -> int:
    """Returns what memory is free, of the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
