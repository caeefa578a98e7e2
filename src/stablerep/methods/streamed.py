"""Log-sum-exp of similarities without the matrix of similarities.

The matrix is never held: it is computed tile by tile with a running maximum, and again in the backward pass,
as in FlashAttention (arXiv:2205.14135, section 3.1). Memory grows with N + M, not with N x M.
Legend: N rows, M columns, D dimensions, T tile.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stablerep.errors import check_range


def streamed_logsumexp(
    row_ND: Tensor, column_MD: Tensor, scale: Tensor, skip_N: Tensor | None, tile: int
) -> Tensor:
    """Returns log sum_j exp(scale * row_i . column_j) for each row i, with exact gradients.

    Args:
        row_ND: (N, D), float32 or float64.
        column_MD: (M, D), the same dtype.
        scale: scalar tensor; it receives a gradient where it wants one.
        skip_N: (N,) int64, for each row the one column that is left out of its sum; None leaves none out.
        tile: rows and columns held at once.

    Returns:
        (N,); -inf for a row whose only column is left out.

    Raises:
        ConfigError: the tile is below 1.
    """
    check_range("tile", tile, 1)
    return _StreamedLogSumExp.apply(row_ND, column_MD, scale, skip_N, tile)


class _StreamedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, row_ND: Tensor, column_MD: Tensor, scale: Tensor, skip_N: Tensor | None, tile: int
    ) -> Tensor:
        log_sum_N = row_ND.new_full(row_ND.shape[:1], -torch.inf)
        for rows in _tiles(len(row_ND), tile):
            log_sum_T = log_sum_N[rows]
            for columns in _tiles(len(column_MD), tile):
                logits_TT = _logits(row_ND, column_MD, scale, skip_N, rows, columns)
                # logaddexp keeps the running maximum; NaN only where NaN comes in
                log_sum_T = torch.logaddexp(log_sum_T, logits_TT.logsumexp(dim=1))
            log_sum_N[rows] = log_sum_T
        ctx.tile = tile
        ctx.save_for_backward(row_ND, column_MD, scale, skip_N, log_sum_N)
        return log_sum_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        row_ND, column_MD, scale, skip_N, log_sum_N = ctx.saved_tensors
        grad_row_ND, grad_column_MD = torch.zeros_like(row_ND), torch.zeros_like(column_MD)
        grad_scale = torch.zeros_like(scale)
        # a row without columns has no softmax: exp(-inf - 0) is the zero that it adds
        finite_N = log_sum_N.masked_fill(log_sum_N == -torch.inf, 0)
        for rows in _tiles(len(row_ND), ctx.tile):
            for columns in _tiles(len(column_MD), ctx.tile):
                logits_TT = _logits(row_ND, column_MD, scale, skip_N, rows, columns)
                weight_TT = logits_TT.sub_(finite_N[rows, None]).exp_().mul_(grad_N[rows, None])
                grad_row = weight_TT @ column_MD[columns]
                grad_row_ND[rows] += scale * grad_row
                grad_column_MD[columns] += scale * (weight_TT.T @ row_ND[rows])
                grad_scale += (grad_row * row_ND[rows]).sum()
        return grad_row_ND, grad_column_MD, grad_scale, None, None


def _tiles(num: int, tile: int) -> list[slice]:
    return [slice(start, min(start + tile, num)) for start in range(0, num, tile)]


def _logits(
    row_ND: Tensor, column_MD: Tensor, scale: Tensor, skip_N: Tensor | None, rows: slice, columns: slice
) -> Tensor:
    logits_TT = (row_ND[rows] @ column_MD[columns].T).mul_(scale)
    if skip_N is not None:
        # one place of each row is written, what stood there where it is no skipped one: a search for the rows
        # that skip would have the host wait for the GPU, once a tile
        place_T1 = (skip_N[rows] - columns.start)[:, None]
        inside_T1 = (place_T1 >= 0) & (place_T1 < logits_TT.shape[1])
        place_T1 = place_T1.clamp(0, logits_TT.shape[1] - 1)
        kept_T1 = logits_TT.gather(1, place_T1).masked_fill(inside_T1, -torch.inf)
        logits_TT.scatter_(1, place_T1, kept_T1)
    return logits_TT
