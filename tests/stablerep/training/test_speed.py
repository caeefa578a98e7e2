"""What makes a step faster on a GPU changes nothing of it; the host waits at log rows alone."""

import threading

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stablerep.errors import ConfigError, TrainingError
from stablerep.image_sets.source import ImageSource
from stablerep.methods.batch import BatchSettings
from stablerep.methods.simclr import SimCLR
from stablerep.methods.stablerep import StableRep
from stablerep.methods.stablerep_plus import StableRepPlus
from stablerep.models.encoder import Encoder
from stablerep.models.encoders import TimmEncoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.residual import ResidualEncoder
from stablerep.models.text import TextTower
from stablerep.storage.pixels import ImagesInMemory
from stablerep.training import descent, loop, views
from stablerep.training.checkpoint import Checkpoint
from stablerep.training.inputs import Arm
from stablerep.training.loop import run_arm
from stablerep.training.measured import looks_every
from stablerep.training.settings import SpeedSettings, TrainingSettings
from stablerep.training.speed import float32_products, prepare_encoder, to_device
from stablerep.training.step import Networks

TEXTS = tuple(f"caption {number}" for number in range(8))
METHODS = {
    "stablerep": StableRep(images_per_caption=2),
    "tiled": StableRep(images_per_caption=2, tile=5),
    "stablerep_plus": StableRepPlus(images_per_caption=2, tile=5),
    "simclr": SimCLR(),
}


def vit(dropout: float = 0.0) -> TimmEncoder:
    return TimmEncoder("vit_tiny_patch16_224", 32, depth=2, embed_dim=24, num_heads=3, proj_drop_rate=dropout)


def residual() -> ResidualEncoder:
    return ResidualEncoder(channels=[8, 8], map_channels=4)


def source() -> ImageSource:
    images = torch.randint(0, 256, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    rows = torch.arange(len(TEXTS)).repeat_interleave(3)
    return ImageSource("drawn", ImagesInMemory(images.to(torch.uint8)), rows, TEXTS)


def tokenize(texts):
    return torch.tensor([[*(ord(letter) % 60 for letter in f"{text:7.7}"), 63] for text in texts])


def train(
    build, speed=None, method=METHODS["stablerep"], chunk=None, checkpoint=None, num_steps=3, **changes
):
    """Returns the state after a few steps, and the history."""
    torch.manual_seed(0)
    encoder = build()
    text = TextTower(encoder.num_features, 64, 8, 63, 16, 1, 2, 8) if method.uses_text else None
    networks = Networks(encoder, ProjectionHead(encoder.num_features, 16, 8, batch_norm="per_view"), text)
    settings = TrainingSettings(
        num_images=8 * num_steps,
        batch=BatchSettings(captions=4, images_per_caption=2, chunk=chunk),
        speed=speed or SpeedSettings(),
        **{"log_every": 1, "learning_rate": 0.002} | changes,
    )
    torch.manual_seed(1)
    history = run_arm(Arm("arm", method, source(), 0), networks, settings, tokenize, checkpoint=checkpoint)
    return networks.state_dict(), history


def matrices_of(state):
    """Without biases: BatchNorm leaves some no gradient but rounding, which AdamW makes a step of."""
    return {name: each for name, each in state.items() if each.ndim >= 2}


def assert_same(one, other, tolerance=1e-5):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance, msg=name)


# --------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("build", [vit, residual])
@pytest.mark.parametrize("chunk", [None, 4])
def test_gradient_checkpointing_changes_neither_weights_nor_statistics(build, chunk):
    plain, history = train(build, chunk=chunk)
    again, other = train(build, SpeedSettings(gradient_checkpointing=True), chunk=chunk)
    assert_same(again, plain)
    assert [row["grad_norm"] for row in other] == pytest.approx([row["grad_norm"] for row in history], 1e-4)


@pytest.mark.parametrize("build", [vit, residual])
def test_gradient_checkpointing_keeps_less_for_the_backward_pass(build):
    images, kept = torch.rand(2, 3, 32, 32), []
    for speed in (SpeedSettings(), SpeedSettings(gradient_checkpointing=True)):
        encoder = build()
        prepare_encoder(encoder, speed)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t
        ):
            encoder(images)
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


class Blockless(Encoder):
    size_px, num_features = 32, 3

    def forward(self, images):
        return images.mean(dim=(2, 3))


@pytest.mark.parametrize("build", [Blockless, lambda: TimmEncoder("test_efficientnet_evos", 32)])
def test_an_encoder_that_cannot_checkpoint_is_refused_before_it_is_trained(build, monkeypatch):
    encoder = build()
    if isinstance(encoder, TimmEncoder):  # as timm's models say that they cannot
        monkeypatch.setattr(type(encoder.body), "set_grad_checkpointing", unable)
    with pytest.raises(
        ConfigError, match=r"training\.speed\.gradient_checkpointing: got True; must be false"
    ):
        prepare_encoder(encoder, SpeedSettings(gradient_checkpointing=True))


def unable(self, enable=True):
    assert not enable, "gradient checkpointing not supported"


def test_channels_last_lays_convolutions_out_so_and_changes_no_weight():
    encoder = residual()
    prepare_encoder(encoder, SpeedSettings(channels_last=True))
    kernel = encoder.blocks[1].conv1.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
    plain, _ = train(residual)
    last, _ = train(residual, SpeedSettings(channels_last=True))
    assert_same(matrices_of(last), matrices_of(plain), 1e-4)


@pytest.mark.parametrize("chunk", [None, 4])
def test_a_compiled_encoder_takes_the_same_steps_and_keeps_its_names(chunk, monkeypatch):
    graphs, real = [], nn.Module.compile

    def traced(graph, inputs):
        graphs.append(graph)
        return graph.forward

    # without the backend, which writes C++ and compiles it: minutes
    monkeypatch.setattr(nn.Module, "compile", lambda self, options: real(self, backend=traced))
    torch._dynamo.reset()
    plain, history = train(vit, chunk=chunk)
    assert not graphs
    compiled, other = train(vit, SpeedSettings(compile=True), chunk=chunk)
    # one graph, not several with Python between them; in chunks one without gradients and one with
    assert len(graphs) == (1 if chunk is None else 2)
    assert_same(compiled, plain)
    assert [row["loss"] for row in other] == pytest.approx([row["loss"] for row in history], rel=1e-5)


def test_compiled_dropout_draws_what_eager_dropout_draws(monkeypatch):
    asked = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, options: asked.append(options))
    prepare_encoder(vit(), SpeedSettings(compile=True))
    assert asked == [{"fallback_random": True}]


@pytest.mark.parametrize("tf32", [False, True])
def test_the_setting_alone_says_how_float32_is_multiplied_and_only_while_an_arm_is_trained(tf32, monkeypatch):
    seen, real = [], ResidualEncoder.forward

    def watched(self, images):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return real(self, images)

    monkeypatch.setattr(ResidualEncoder, "forward", watched)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert before == (False, True)  # torch's own: neither one nor the other
    train(residual, SpeedSettings(tf32=tf32))
    assert set(seen) == {(tf32, tf32)}
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
    with pytest.raises(ZeroDivisionError), float32_products(not before[0]):
        _ = 1 / 0
    assert torch.backends.cuda.matmul.allow_tf32 == before[0]


def test_adamw_is_fused_on_a_gpu_and_fused_it_takes_the_same_steps(monkeypatch):
    given, real = [], torch.optim.AdamW

    def forced(*groups, fused, fuse, **options):
        given.append(fused)
        return real(*groups, fused=fuse, **options)

    states = []
    for fuse in (None, True):
        monkeypatch.setattr(torch.optim, "AdamW", lambda *a, fuse=fuse, **o: forced(*a, fuse=fuse, **o))
        states.append(train(residual)[0])
    assert given == [None, None]  # a CPU's choice is torch's
    assert_same(*map(matrices_of, states))
    monkeypatch.setattr(loop, "Accelerator", OnGpu)
    with pytest.raises(StopIteration):  # as far as the optimiser
        monkeypatch.setattr(torch.optim, "AdamW", stop_at_fused)
        train(vit)


class OnGpu:
    """What the loop asks of an accelerator before it has an optimiser."""

    device, num_processes = torch.device("cuda"), 1

    def __init__(self, **_):
        pass


def stop_at_fused(*_, fused, **__):
    assert fused is True
    raise StopIteration


class Pinned:
    """A tensor of the CPU, with what is asked of it."""

    def __init__(self, pinned):
        self.pinned, self.asked = pinned, []

    def is_pinned(self):
        return self.pinned

    def pin_memory(self):
        self.asked.append("pin")
        return self

    def to(self, device, non_blocking=False):
        self.asked.append((device.type, non_blocking))
        return self


def test_copies_to_a_gpu_come_from_pinned_memory_and_are_not_waited_for():
    assert to_device(Pinned(True), torch.device("cuda")).asked == [("cuda", True)]
    assert to_device(Pinned(False), torch.device("cuda")).asked == ["pin", ("cuda", True)]
    assert to_device(Pinned(False), torch.device("cpu")).asked == [("cpu", False)]


# ------------------------------------------------------------------------------------------- the host waits


class Waits(TorchDispatchMode):
    """Counts what would have the host wait for a GPU: values that Python reads, sizes that depend on some."""

    names = ("_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "unique_consecutive", "bincount",
             "masked_select", "repeat_interleave", "is_nonzero", "equal")  # fmt: skip

    def __init__(self):
        super().__init__()
        self.met = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
        )
        if name in self.names or by_mask:
            self.met.append(name)
        return func(*args, **kwargs or {})


class Same(nn.Module):
    """The image itself for a view: what kornia draws with waits for a GPU on its own."""

    def __init__(self, *_):
        super().__init__()

    def forward(self, images):
        return images


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Has the host look at log rows alone, AdamW fused, and views draw nothing."""
    real = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *given, **o: real(*given, **o | {"fused": True}))
    monkeypatch.setattr(views, "Augmentation", Same)
    monkeypatch.setattr(loop, "looks_every", lambda device, settings: settings.log_every)


@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("name", METHODS)
def test_the_host_waits_for_the_device_at_log_rows_alone(name, chunk, as_on_a_gpu, monkeypatch):
    met, real, inputs_of = [], loop._Training._descend, descent.inputs_of

    def watched(self, step, read):
        with Waits() as waits, monkeypatch.context() as patched:
            patched.setattr(torch.Tensor, "tolist", noting(waits, torch.Tensor.tolist))  # is not dispatched
            # a batch is asked what it is before it is on the device
            patched.setattr(descent, "inputs_of", lambda *given: unwatched(waits, inputs_of, *given))
            result = real(self, step, read)
        met.append(waits.met)
        return result

    monkeypatch.setattr(loop._Training, "_descend", watched)
    train(vit, method=METHODS[name], chunk=chunk, num_steps=6, log_every=3, max_grad_norm=1.0)
    assert met == [[], [], ["tolist"]] * 2


def noting(waits, real):
    def noted(tensor):
        if threading.current_thread() is threading.main_thread():  # the other one reads images
            waits.met.append("tolist")
        return real(tensor)

    return noted


def unwatched(waits, function, *given):
    before = list(waits.met)
    result = function(*given)
    waits.met[:] = before
    return result


def test_looking_less_often_gives_the_same_rows(as_on_a_gpu, monkeypatch):
    seldom, rows = train(vit, num_steps=6, log_every=3)
    monkeypatch.setattr(loop, "looks_every", lambda device, settings: 1)
    often, other = train(vit, num_steps=6, log_every=3)
    assert_same(seldom, often, 0)
    for name in ("loss", "multi_positive", "grad_norm"):
        assert [row[name] for row in rows] == [row[name] for row in other]


def test_a_cpu_is_looked_at_after_each_step_and_a_gpu_after_a_hundred_at_most():
    settings = TrainingSettings(num_images=1, log_every=20)
    assert looks_every(torch.device("cpu"), settings) == 1
    assert looks_every(torch.device("cuda"), settings) == 20
    assert looks_every(torch.device("cuda"), settings.changed(log_every=5000)) == 100


class NotFiniteOnce(StableRep):
    """Gives an infinite loss at its third step."""

    steps = 0

    def __call__(self, batch, logit_scale):
        type(self).steps += 1
        parts = super().__call__(batch, logit_scale)
        if self.steps == 3:
            parts["multi_positive"] = parts["multi_positive"] * torch.inf
        return parts


def test_a_step_that_is_not_finite_is_named_at_the_next_look_and_no_state_after_it_is_kept(
    as_on_a_gpu, tmp_path
):
    NotFiniteOnce.steps = 0
    checkpoint = Checkpoint(tmp_path, "x", every_s=1e9, every_steps=1, num_kept=9)
    with pytest.raises(
        TrainingError, match=r"at step 2; must be finite\. The newest state before it is kept in"
    ):
        train(
            vit, method=NotFiniteOnce(images_per_caption=2), checkpoint=checkpoint, num_steps=8, log_every=4
        )
    assert NotFiniteOnce.steps == 4
    assert [path.stem for path in checkpoint.files()] == ["step-1", "step-2"]
    assert list(tmp_path.glob("batch-of-step-2-part-0.json"))


# ------------------------------------------------------------------------------------------------- views


@pytest.mark.parametrize("chunk", [None, 4])
def test_views_are_drawn_once_a_step_also_in_chunks(chunk, monkeypatch):
    drawn, real = [], views.Augmentation.forward
    monkeypatch.setattr(
        views.Augmentation, "forward", lambda self, images: drawn.append(len(images)) or real(self, images)
    )
    train(vit, chunk=chunk, num_steps=2)
    assert drawn == ([8, 8] if chunk is None else [4, 4, 4, 4])


def test_dropout_is_drawn_alike_in_both_passes_of_a_chunk(monkeypatch):
    seen, real = [], TimmEncoder.forward
    monkeypatch.setattr(
        TimmEncoder, "forward", lambda self, images: seen.append(real(self, images)) or seen[-1]
    )
    train(lambda: vit(0.5), chunk=4, num_steps=1)
    first, second = seen[:2], seen[2:]
    assert len(second) == 2
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), rtol=0, atol=0)
