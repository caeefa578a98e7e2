"""Of two processes each computes its rows against all: loss, gradients and statistics are those of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from stablerep.collectives import gather, own_rows, sum_of_all
from stablerep.methods import image_text, multi_positive
from stablerep.methods.image_text import image_text_loss
from stablerep.methods.multi_positive import multi_positive_loss
from stablerep.models.batch_norm import SharedBatchNorm1d, share_batch_norms

NUM, CAPTIONS, DIMS = 12, 4, 5
LABELS = torch.tensor([3, 3, 7, 1, 1, 1, 9, 7, 0, 0, 5, 5])
CAPTION = torch.arange(NUM) // 3
TILES = (None, 3)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def losses(z, text, scale, tile, anchors=slice(None), texts=slice(None)):
    """Returns both losses of unit vectors, of these anchors."""
    z, text = F.normalize(z, dim=1), F.normalize(text, dim=1)
    return (
        multi_positive_loss(z, LABELS, 0.1, tile, anchors),
        image_text_loss(z, text, CAPTION, scale, tile, anchors, texts),
    )


def head():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(DIMS, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, DIMS),
                           nn.BatchNorm1d(DIMS, affine=False))  # fmt: skip
    layers = layers.double()
    share_batch_norms(layers)
    return layers


def computed(tile, rows=slice(None), captions=slice(None)):
    """Returns losses, gradients and statistics of a head, a gather and the losses, from these rows."""
    x = drawn(NUM, DIMS)[rows].requires_grad_()
    text = drawn(CAPTIONS, DIMS, seed=1)[captions].requires_grad_()
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    layers = head()
    parts = losses(gather(layers(x)), gather(text), scale, tile, rows, captions)
    sum(parts).backward()
    shared = {name: each.grad for name, each in layers.named_parameters()} | {"scale": scale.grad}
    found = {f"grad.{name}": sum_of_all(each) for name, each in shared.items()}
    found |= {f"loss.{number}": sum_of_all(part.detach()) for number, part in enumerate(parts)}
    found |= {"grad.x": gather(x.grad), "grad.text": gather(text.grad)}
    return found | {f"statistics.{name}": each for name, each in layers.named_buffers()}


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, __file__, str(folder)], check=True, env=environment, timeout=300)
    return folder


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_give_the_loss_gradients_and_statistics_of_one(tile, rank, of_two_processes):
    one, two = computed(tile), load_file(of_two_processes / f"{tile}-{rank}.safetensors")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-9, msg=name)
    assert one["grad.x"].abs().max() > 1e-4


@pytest.mark.parametrize("tile", TILES)
def test_the_parts_of_anchors_add_up_to_the_loss(tile):
    z, text, scale = drawn(NUM, DIMS), drawn(CAPTIONS, DIMS, seed=1), torch.tensor(1.0)
    whole = losses(z, text, scale, tile)
    parts = [
        losses(z, text, scale, tile, slice(start, start + 4), texts)
        for start, texts in ((0, slice(0, 1)), (4, slice(1, 3)), (8, slice(3, 4)))
    ]
    for number in range(2):
        torch.testing.assert_close(sum(part[number] for part in parts), whole[number])


def test_a_process_compares_its_own_anchors_alone(monkeypatch):
    sizes, real = [], multi_positive.streamed_logsumexp

    def watched(rows, columns, *rest):
        sizes.append((len(rows), len(columns)))
        return real(rows, columns, *rest)

    for module in (multi_positive, image_text):
        monkeypatch.setattr(module, "streamed_logsumexp", watched)
    losses(drawn(NUM, DIMS), drawn(CAPTIONS, DIMS), torch.tensor(1.0), 3, slice(6, 12), slice(2, 4))
    assert sizes == [(6, NUM), (6, CAPTIONS), (2, NUM)]


def test_in_one_process_a_shared_batch_norm_is_torchs_and_its_names_stay():
    shared, plain = SharedBatchNorm1d(DIMS).double(), nn.BatchNorm1d(DIMS).double()
    assert shared.state_dict().keys() == plain.state_dict().keys()
    for mode in (True, False):
        shared.train(mode), plain.train(mode)
        assert torch.equal(shared(drawn(NUM, DIMS)), plain(drawn(NUM, DIMS)))
    assert own_rows(5) == slice(0, 5)


def main(folder):
    torch.distributed.init_process_group("gloo")
    for tile in TILES:
        found = computed(tile, own_rows(NUM // 2), own_rows(CAPTIONS // 2))
        whole = {name: each.detach().contiguous() for name, each in found.items()}
        save_file(whole, folder / f"{tile}-{torch.distributed.get_rank()}.safetensors")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
