"""Pointwise mutual information of two terms, with an interval.

K. W. Church, P. Hanks, Word association norms, mutual information, and lexicography, 1990. The interval is
the delta method's for a multinomial sample.
"""

import math

import numpy as np

_Z = 1.959964  # of a normal distribution's central 95 %
_CELL = 0.5  # added to each cell, so that an empty one has a logarithm (Haldane 1956, Anscombe 1956)


def pmi_interval(num_a: int, num_b: int, num_both: int, num: int) -> tuple[float, float, float]:
    """Returns pointwise mutual information in bits, and the ends of its 95 % interval.

    log2(p(a, b) / (p(a) p(b))), with a half added to each of the four cells.

    Args:
        num_a: of the samples that hold the one term.
        num_b: that hold the other.
        num_both: that hold both.
        num: of all samples.
    """
    cells = np.array(
        [num_both, num_a - num_both, num_b - num_both, num - num_a - num_b + num_both], dtype=float
    )
    p = (cells + _CELL) / (cells + _CELL).sum()
    p_a, p_b = p[0] + p[1], p[0] + p[2]
    pmi = math.log2(p[0] / (p_a * p_b))
    slope = np.array([1 / p[0] - 1 / p_a - 1 / p_b, -1 / p_a, -1 / p_b, 0.0])
    variance = float((p * slope**2).sum() - (p * slope).sum() ** 2) / (cells + _CELL).sum()
    spread = _Z * math.sqrt(max(variance, 0.0)) / math.log(2)
    return pmi, pmi - spread, pmi + spread
