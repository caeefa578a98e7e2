"""Pointwise mutual information of two terms, with an interval.

K. W. Church, P. Hanks, Word association norms, mutual information, and lexicography, 1990. The interval is
that of the count of both as a Poisson variable (F. Garwood, Fiducial limits for the Poisson distribution,
1936). It holds at small counts, where the delta method's is too narrow; at large ones it is a little wide.
"""

import math

_TAIL = 0.025  # on each side of a 95 % interval
_CELL = 0.5  # added to each cell, so that an empty one has a logarithm (Haldane 1956, Anscombe 1956)


def pmi_interval(num_a: int, num_b: int, num_both: int, num: int) -> tuple[float, float, float]:
    """Returns pointwise mutual information in bits, and the ends of its 95 % interval.

    log2(p(a, b) / (p(a) p(b))), with a half added to each of the four cells; the interval has nothing added.

    Args:
        num_a: of the samples that hold the one term.
        num_b: that hold the other.
        num_both: that hold both.
        num: of all samples.

    Returns:
        The lower end is NaN where none holds both, the upper one as well where none holds one of the two.
    """
    from scipy.special import gammaincinv

    both, one, other = num_both + _CELL, num_a + 2 * _CELL, num_b + 2 * _CELL
    pmi = math.log2(both * (num + 4 * _CELL) / (one * other))
    if not num_a or not num_b:
        return pmi, math.nan, math.nan
    expected = num_a * num_b / num
    # the gamma distribution's quantiles bound a Poisson mean
    low = math.log2(gammaincinv(num_both, _TAIL) / expected) if num_both else math.nan
    return pmi, low, math.log2(gammaincinv(num_both + 1, 1 - _TAIL) / expected)
