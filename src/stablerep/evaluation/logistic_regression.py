r"""Multinomial logistic regression with an L2 penalty, for all tasks and penalties of one encoder together.

For each task and each value of C it minimises scikit-learn's objective,

    sum_n -log p(y_n | x_n)  +  ||W||^2 / (2 C),        intercepts not penalised,

where for a task of two classes the penalty counts twice, because scikit-learn then fits one vector w for
the difference of both classes, and ||w_1||^2 + ||w_0||^2 = ||w||^2 / 2.

The method is L-BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4). What makes it fast:

- All tasks that are not done yet share each matrix product; each has its own step length and memory.
- Logits are linear along a direction, so the line search needs no further product: Newton's step in one
  dimension, halved until the objective falls enough.
- The first Hessian of L-BFGS is h X^T X + I / C, h being the mean of p (1 - p) at the start. The usual bound
  h = 1/2 (D. Boehning, Multinomial logistic regression algorithm, 1992) is far too large for many classes.
- Fits go from the strongest to the weakest penalty, each from the last solution.
- Where there are fewer images than features, all is done in the span of the images, which holds every
  solution; the change is a rotation, so the penalty stays the same.

Legend: N images, F features (and the intercept as the last of F + 1), K classes of a task.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

_MEMORY = 10  # pairs of L-BFGS; 30 and 100 saved no more than a tenth of the iterations
_MAX_ITERATIONS = 500
_SLACK = 1e-6  # relative rounding of an objective that is summed from float32
_SUFFICIENT = 1e-4  # share of the predicted decrease that a step must reach (Armijo)
_ROUNDING = 1e-7  # of a float32 Gram matrix, relative to its trace
# Multiplications below which threads wait for each other longer than they compute: on two cores that were
# busy with other work, two threads took ten times as long as one.
_WORTH_THREADS = 2e9


@dataclass(frozen=True)
class LinearClassifier:
    """A fitted task.

    Attributes:
        weights: (K, F) float32.
        intercepts: (K,) float32.
        classes: (K,) int64, the classes that the training images have.
    """

    weights: np.ndarray
    intercepts: np.ndarray
    classes: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) features to (N,) int64 classes."""
        return self.classes[self.logits(features).argmax(axis=1)]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Maps (N, F) features to (N, K) float32, in the order of the classes."""
        return features @ self.weights.T + self.intercepts


def fit_classifiers(
    features: np.ndarray,
    labels: Mapping[str, np.ndarray],
    inverse_strengths: Sequence[float],
    tolerance: float = 1e-6,
) -> Iterator[tuple[float, dict[str, LinearClassifier]]]:
    """Fits all tasks at each strength of the penalty, on the GPU where there is one.

    Args:
        features: (N, F) float32, of mean 0 and deviation 1 for a good start.
        labels: by task (N,) int64 classes, at least two different ones in each task.
        inverse_strengths: values of scikit-learn's C.
        tolerance: a task is done where the next step would lower the objective by less than this per image.

    Yields:
        C and the classifier of each task, from the strongest penalty to the weakest.

    Raises:
        ValueError: a task has one class only, or there are no images or tasks.
    """
    if not len(features) or not labels:
        raise ValueError("logistic regression: needs at least one image and one task")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    inputs = torch.from_numpy(features).to(device)
    basis = None
    if inputs.shape[0] < inputs.shape[1]:
        basis, triangle = torch.linalg.qr(inputs.T)  # (F, N) and (N, N)
        inputs = triangle.T
    inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)
    tasks = {name: _Task(name, of_task, inputs) for name, of_task in labels.items()}
    num_products = inputs.numel() * sum(len(task.classes) for task in tasks.values())
    gram = inputs.T @ inputs
    for c in sorted(inverse_strengths):
        with _threads_for(num_products):
            num_iterations = _minimise(list(tasks.values()), inputs, gram, 1 / c, tolerance)
        logger.debug("logistic regression: C %g took %d iterations", c, num_iterations)
        yield c, {name: task.classifier(basis) for name, task in tasks.items()}


class _Task:
    """One task: its objective, where its fit stands, and what L-BFGS remembers of it.

    Args:
        name: for messages.
        labels: (N,).
        inputs: (N, F + 1).
    """

    def __init__(self, name: str, labels: np.ndarray, inputs: Tensor) -> None:
        self.classes, targets = np.unique(labels, return_inverse=True)
        if len(self.classes) < 2:
            raise ValueError(f"logistic regression: task {name!r} has one class only")
        self.targets = torch.from_numpy(targets).to(inputs.device)
        self.images = torch.arange(len(inputs), device=inputs.device)
        self.weights = inputs.new_zeros(len(self.classes), inputs.shape[1])
        self.logits = inputs.new_zeros(len(self.classes), len(inputs))
        self.penalty = inputs.new_zeros(inputs.shape[1])
        self.gradient = self.direction = torch.zeros_like(self.weights)
        self.shares: list[float] = []

    def start(self, strength: float) -> None:
        """Prepares a fit that starts from the weights that are there."""
        self.penalty[:-1] = strength * (2 if len(self.classes) == 2 else 1)
        self.pairs: list[tuple[Tensor, Tensor, float]] = []
        self.step: Tensor | None = None
        self.objective, self.residuals = self._evaluate(self.weights, self.logits)

    def spread(self) -> float:
        """Returns the mean of p (1 - p) over images and classes."""
        at_target = self.residuals[self.targets, self.images]
        # the residual is p - 1 at the target and p elsewhere
        squares = self.residuals.square().sum() + (2 * at_target + 1).sum()
        return max(0.0, float(len(at_target) - squares) / self.residuals.numel())

    def take_gradient(self, products: Tensor) -> None:
        """Takes (K, F + 1) residuals times inputs, and remembers how the last step changed the gradient."""
        gradient = products + self.penalty * self.weights
        if self.step is not None:
            change = gradient - self.gradient
            product = _dot(self.step, change)
            if product > 0:
                self.pairs = [*self.pairs, (self.step, change, 1 / product)][-_MEMORY:]
        self.gradient = gradient

    def before_first_hessian(self) -> Tensor:
        """Returns (K, F + 1): the first loop of L-BFGS, to be multiplied by the first inverse Hessian."""
        found, self.shares = self.gradient.clone(), []
        for step, change, inverse in reversed(self.pairs):
            share = inverse * _dot(step, found)
            found.sub_(change, alpha=share)
            self.shares.insert(0, share)
        return found

    def after_first_hessian(self, found: Tensor) -> None:
        """Takes the product, and sets the (K, F + 1) direction by the second loop of L-BFGS."""
        found = found.contiguous()
        for (step, change, inverse), share in zip(self.pairs, self.shares, strict=True):
            found.add_(step, alpha=share - inverse * _dot(change, found))
        self.direction = found.neg_()
        self.slope = _dot(self.direction, self.gradient)

    def advance(self, along: Tensor) -> None:
        """Goes along the direction, which changes the logits by (K, N) `along`."""
        curvature = self._curvature(along) + float((self.direction.square() @ self.penalty).sum())
        length = -self.slope / curvature
        while True:
            weights = self.weights.add(self.direction, alpha=length)
            logits = self.logits.add(along, alpha=length)
            objective, residuals = self._evaluate(weights, logits)
            if objective <= self.objective * (1 + _SLACK) + _SUFFICIENT * length * self.slope:
                break
            length /= 2
        self.step = weights - self.weights
        self.weights, self.logits, self.objective, self.residuals = weights, logits, objective, residuals

    def classifier(self, basis: Tensor | None) -> LinearClassifier:
        """Returns the fit, turned back by an (F, N) basis if there is one."""
        weights = self.weights[:, :-1] if basis is None else self.weights[:, :-1] @ basis.T
        return LinearClassifier(
            weights.cpu().numpy().copy(), self.weights[:, -1].cpu().numpy().copy(), self.classes
        )

    def _evaluate(self, weights: Tensor, logits: Tensor) -> tuple[float, Tensor]:
        """Returns the objective and the (K, N) gradient of the cross-entropy, p - y."""
        largest = logits.amax(dim=0)
        residuals = (logits - largest).exp_()
        total = residuals.sum(dim=0)
        residuals /= total
        per_image = total.log_() + largest - logits[self.targets, self.images]
        residuals[self.targets, self.images] -= 1
        penalty = (weights.square() @ self.penalty).sum(dtype=torch.float64) / 2
        return float(per_image.sum(dtype=torch.float64) + penalty), residuals

    def _curvature(self, along: Tensor) -> float:
        """Returns the cross-entropy's second derivative: the variance of `along` under p, over all images."""
        at_target = along[self.targets, self.images]
        weighted = self.residuals * along
        mean = weighted.sum(dim=0) + at_target
        square = (weighted * along).sum(dim=0) + at_target.square()
        return float((square - mean.square()).sum(dtype=torch.float64))


def _minimise(tasks: list[_Task], inputs: Tensor, gram: Tensor, strength: float, tolerance: float) -> int:
    """Fits tasks at one strength and returns the number of iterations."""
    for task in tasks:
        task.start(strength)
    spread = sum(task.spread() for task in tasks) / len(tasks)
    factor = _first_hessian(gram, spread, strength)
    for iteration in range(_MAX_ITERATIONS):
        _share(tasks, lambda task: task.residuals, lambda all_: all_ @ inputs, _Task.take_gradient)
        _share(
            tasks,
            _Task.before_first_hessian,
            lambda all_: torch.cholesky_solve(all_.T, factor).T,
            _Task.after_first_hessian,
        )
        tasks = [task for task in tasks if -task.slope / 2 > tolerance * len(inputs)]
        if not tasks:
            return iteration
        _share(tasks, lambda task: task.direction, lambda all_: all_ @ inputs.T, _Task.advance)
    logger.warning(
        "logistic regression: %d tasks did not converge in %d iterations at C %g",
        len(tasks), _MAX_ITERATIONS, 1 / strength,
    )  # fmt: skip
    return _MAX_ITERATIONS


def _share(
    tasks: list[_Task],
    give: Callable[[_Task], Tensor],
    compute: Callable[[Tensor], Tensor],
    take: Callable[[_Task, Tensor], None],
) -> None:
    """Computes once for the rows of all tasks: one large product is faster than some small ones."""
    found = compute(torch.cat([give(task) for task in tasks]))
    parts = found.split([len(task.classes) for task in tasks])
    for task, part in zip(tasks, parts, strict=True):
        take(task, part)


def _first_hessian(gram: Tensor, spread: float, strength: float) -> Tensor:
    """Returns the lower triangle of h X^T X + strength."""
    hessian = gram.double() * spread
    floor = _ROUNDING * float(hessian.diagonal().sum()) + 1e-12
    hessian.diagonal()[:-1] += max(strength, floor)
    hessian.diagonal()[-1] += floor
    return torch.linalg.cholesky(hessian).float()


def _dot(first: Tensor, second: Tensor) -> float:
    return float(torch.dot(first.flatten(), second.flatten()))


@contextmanager
def _threads_for(num_products: float) -> Iterator[None]:
    """Computes small products by one thread."""
    before = torch.get_num_threads()
    if num_products < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
