"""One step of training, exact for any number of processes and chunks.

A process computes its own views and captions, and of the loss the terms of its own anchors, against the
embeddings of all processes; the head's BatchNorm takes the statistics of the whole batch. The encoder sees
chunks of its process's part. Between the two is a cache of features: they are computed without a graph, the
loss gives their gradients, and each chunk is computed again to pass the gradients on (gradient caching,
arXiv:2101.06983, section 3). The views of a chunk are drawn once and kept until then; the random draws of the
encoder, its dropout, are repeated.

Legend: N views of the whole batch, n of this process, k its local crops, C views of a chunk, F features,
M captions, D dimensions.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stablerep.collectives import gather, num_processes, own_rows
from stablerep.methods.image_text import MAX_LOGIT_SCALE
from stablerep.methods.method import Embedded
from stablerep.models.batch_norm import share_batch_norms
from stablerep.models.encoder import Encoder
from stablerep.models.heads import ProjectionHead
from stablerep.models.text import TextTower
from stablerep.seeding import random_states, restore_random_states


@dataclass(frozen=True)
class StepInputs:
    """What a step needs beside features.

    Attributes:
        labels_N: of views; positives share a label.
        caption_N: row of each view's caption among those of all processes.
        slice_n: of the head's BatchNorm, of this process's views and after them its local crops; see
            `models.heads`.
        num_slices: how many there are, of equal numbers of rows.
        token_ids: (M / processes, T) of this process's captions, or None without a text tower.
        local_labels_k: of this process's local crops, or None where there are none.
    """

    labels_N: Tensor
    caption_N: Tensor
    slice_n: Tensor
    num_slices: int
    token_ids: Tensor | None
    local_labels_k: Tensor | None = None


class Projector(nn.Module):
    """Everything after the encoder: head and text tower as one module, for one forward pass per step."""

    def __init__(self, head: ProjectionHead | None, text: TextTower | None) -> None:
        """Joins the two; a method has at least one of them."""
        super().__init__()
        self.head = head
        self.text = text
        share_batch_norms(self)

    def forward(self, features_nF: Tensor, inputs: StepInputs) -> tuple[Embedded, Tensor | None]:
        """Embeds this process's views and captions, and gathers those of all.

        Args:
            features_nF: of this process; the k last rows are those of its local crops, if there are any.
            inputs: of the step.

        Returns:
            The whole batch, with this process's part as anchors, and the logit scale.
        """
        z_nD = features_nF.new_zeros(len(features_nF), 0)
        if self.head is not None:
            z_nD = self.head(features_nF, inputs.slice_n, inputs.num_slices)
        local_kD = None
        if inputs.local_labels_k is not None:
            num_views = len(features_nF) - len(inputs.local_labels_k)
            features_nF = features_nF[:num_views]
            z_nD, local_kD = z_nD[:num_views], z_nD[num_views:]
        batch = Embedded(
            gather(z_nD),
            inputs.labels_N,
            anchors=own_rows(len(features_nF)),
            local_kD=local_kD,
            local_labels_k=inputs.local_labels_k,
            num_local=0 if local_kD is None else len(local_kD) * num_processes(),
        )
        if self.text is None or inputs.token_ids is None:
            return batch, None
        batch = replace(
            batch,
            image_ND=gather(self.text.embed_images(features_nF)),
            text_MD=gather(self.text.embed_text(inputs.token_ids)),
            caption_N=inputs.caption_N,
            text_anchors=own_rows(len(inputs.token_ids)),
        )
        return batch, self.text.logit_scale


class Networks(nn.Module):
    """All networks that are trained: the encoder, and everything after it."""

    def __init__(self, encoder: Encoder, head: ProjectionHead | None, text: TextTower | None) -> None:
        """Joins encoder, head and text tower."""
        super().__init__()
        self.encoder = encoder
        self.projector = Projector(head, text)

    @torch.no_grad()
    def bound(self) -> None:
        """Brings the logit scale back into [0, ln 100]; call it after each step of the optimiser."""
        if self.projector.text is not None:
            self.projector.text.logit_scale.clamp_(0, MAX_LOGIT_SCALE)


class ChunkedEncoder:
    """Encodes a process's views chunk by chunk, and passes their gradients on.

    BatchNorm inside an encoder sees a chunk at a time, as it sees a process's part of a batch in data
    parallelism; its running statistics count each chunk once. The head's sees the whole batch.

    Args:
        encoder: as prepared by the accelerator.
        accelerator: for its precision and its gradients.
        views: draws the views of rows of the batch.
        chunk: C, or None for all views of one kind at once, with their graph.
        computes_again: whether the backward pass computes the encoder's blocks again, and with them their
            statistics.
    """

    def __init__(
        self,
        encoder: nn.Module,
        accelerator: Accelerator,
        views: Callable[[slice], Tensor],
        chunk: int | None,
        computes_again: bool = False,
    ) -> None:
        self.encoder, self.accelerator = encoder, accelerator
        self.views, self.chunk = views, chunk
        self.computes_again = computes_again
        self._kept: list[_Chunk] = []
        self._features: Tensor | None = None
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def encode(self, *num_views: int) -> Tensor:
        """Returns features, with their graph where no chunk is asked for.

        On several processes views and local crops together have no graph either: data parallelism expects one
        pass through the encoder before the gradients of it are exchanged.

        Args:
            *num_views: how many there are of each kind, one kind after another; no chunk has two kinds.
        """
        slices = self._slices(num_views)
        if len(slices) == 1 or (self.chunk is None and self.accelerator.num_processes == 1):
            with_graph = [self._encode(self.views(rows)) for rows in slices]
            self._buffers = self._copies() if self.computes_again else []
            return with_graph[0] if len(with_graph) == 1 else torch.cat(with_graph)
        before = self._copies()
        parts: list[Tensor] = []
        with torch.no_grad():
            for rows in slices:
                views = self.views(rows)
                self._kept.append(_Chunk(rows, views, random_states()))
                parts.append(self._encode(views))
        _put_back(before)
        self._features = torch.cat(parts).requires_grad_()
        return self._features

    def backward(self) -> None:
        """Passes the features' gradients on to the encoder, after the loss was differentiated."""
        if not self._kept:
            _put_back(self._buffers)
            return
        assert self._features is not None and self._features.grad is not None  # noqa: S101 -- encode came first
        afterwards = random_states()
        self._kept.reverse()  # so that each chunk's views are let go as soon as they are used
        while self._kept:
            chunk = self._kept.pop()
            restore_random_states(chunk.random_states)
            features = self._encode(chunk.views)
            buffers = self._copies() if self.computes_again else []
            # gradients are exchanged once, when the last chunk's have been added
            with self.accelerator.no_sync(self.encoder) if self._kept else nullcontext():
                features.backward(self._features.grad[chunk.rows])
            _put_back(buffers)
        restore_random_states(afterwards)
        self._features = None

    def _slices(self, num_views: Sequence[int]) -> list[slice]:
        slices, first = [], 0
        for num in num_views:
            last, size = first + num, self.chunk or num
            slices += [slice(start, min(start + size, last)) for start in range(first, last, size)]
            first = last
        return slices

    def _encode(self, views: Tensor) -> Tensor:
        with self.accelerator.autocast():
            return self.encoder(views).float()

    def _copies(self) -> list[tuple[Tensor, Tensor]]:
        return [(buffer, buffer.clone()) for buffer in self.encoder.buffers()]


@dataclass(frozen=True)
class _Chunk:
    rows: slice
    views: Tensor
    random_states: dict[str, Tensor]


@torch.no_grad()
def _put_back(buffers: list[tuple[Tensor, Tensor]]) -> None:
    for buffer, value in buffers:
        buffer.copy_(value)
