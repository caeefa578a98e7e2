"""How fast the linear probe is fitted: this project's logistic regression against scikit-learn's.

    python -m benchmarks.probe                                       # the default run: an encoder of 512
    python -m benchmarks.probe --features 3072                       # raw pixels
    python -m benchmarks.probe --images 50000 --features 768 --classes 1000 --peer-images 0

Both sides fit the same standardised features, all tasks at each value of C, in turn and in one process.
scikit-learn runs as this project ran it before: one task at a time, from the smallest C, each fit started
from the last, at most 100 iterations. Features are Gaussian classes whose deviations fall as 1 / k along
random directions: those of encoders and of pixels are as unequal, and that is what takes L-BFGS long.
`--peer-images 0` leaves scikit-learn out, where it would take hours. The last line is the headline.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Mapping

import numpy as np
import torch

from stablerep.evaluation.linear_probe import LinearProbeSettings
from stablerep.evaluation.logistic_regression import fit_classifiers
from stablerep.evaluation.standardiser import Standardiser

Accuracies = dict[tuple[str, float], float]


def draw(
    num_images: int, num_features: int, classes: Mapping[str, int], seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns (N, F) float32 features and by task (N,) labels, which the features show with noise."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(0)  # train and validation images share their classes
    scale = (np.arange(1, num_features + 1) ** -1.0).astype(np.float32)
    features = rng.standard_normal((num_images, num_features), dtype=np.float32)
    labels = {}
    for task, num_classes in classes.items():
        centres = fixed.standard_normal((num_classes, num_features), dtype=np.float32)
        centres *= 4 / np.sqrt(num_features)
        labels[task] = rng.integers(num_classes, size=num_images)
        features += centres[labels[task]]
    mixing = np.linalg.qr(fixed.standard_normal((num_features, num_features), dtype=np.float32))[0]
    return (features * scale) @ mixing, labels


def fit_ours(
    train: tuple[np.ndarray, dict[str, np.ndarray]],
    other: tuple[np.ndarray, dict[str, np.ndarray]],
    settings: LinearProbeSettings,
) -> Accuracies:
    """Returns the accuracy of each task and C on other images."""
    found = {}
    for c, classifiers in fit_classifiers(*train, settings.inverse_strengths, settings.tolerance):
        for task, classifier in classifiers.items():
            found[task, c] = float(np.mean(classifier.predict(other[0]) == other[1][task]))
    return found


def fit_scikit_learn(
    train: tuple[np.ndarray, dict[str, np.ndarray]],
    other: tuple[np.ndarray, dict[str, np.ndarray]],
    settings: LinearProbeSettings,
    max_iterations: int,
) -> Accuracies:
    """Likewise, with scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    found = {}
    for task, labels in train[1].items():
        classifier = LogisticRegression(warm_start=True, max_iter=max_iterations, tol=1e-3)
        for c in sorted(settings.inverse_strengths):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                classifier.set_params(C=c).fit(train[0], labels)
            found[task, c] = float(classifier.score(other[0], other[1][task]))
    return found


def main() -> None:
    """Times both sides in turn and prints a table and the headline."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4000, help="N")
    parser.add_argument("--features", type=int, default=512, help="F")
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 8, 8, 5], help="of each task")
    parser.add_argument("--peer-images", type=int, help="scikit-learn's N, 0 for none; default the same")
    parser.add_argument("--peer-iterations", type=int, default=100, help="scikit-learn's bound, per C")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = LinearProbeSettings()
    classes = {f"task {i}": num for i, num in enumerate(given.classes)}
    train_features, train_labels = draw(given.images, given.features, classes, 1)
    other_features, other_labels = draw(2000, given.features, classes, 2)
    standardise = Standardiser(train_features)
    train = standardise(train_features), train_labels
    other = standardise(other_features), other_labels
    num_peer = given.images if given.peer_images is None else given.peer_images
    peer_train = train[0][:num_peer], {task: labels[:num_peer] for task, labels in train_labels.items()}
    sides = ["this project", "scikit-learn"] if num_peer else ["this project"]
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    accuracies: dict[str, Accuracies] = {}
    for _ in range(given.rounds):
        for side, times in seconds.items():
            started = time.perf_counter()
            if side == "this project":
                accuracies[side] = fit_ours(train, other, settings)
            else:
                accuracies[side] = fit_scikit_learn(peer_train, other, settings, given.peer_iterations)
            times.append(time.perf_counter() - started)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {given.threads} threads"
    print(f"N = {given.images}, F = {given.features}, classes {given.classes}, {device}")
    for side, times in seconds.items():
        best = [
            max(value for (task, _), value in accuracies[side].items() if task == each) for each in classes
        ]
        shown = ", ".join(f"{100 * value:.1f}" for value in best)
        spread = f"({min(times):.2f} to {max(times):.2f})"
        print(f"{side:14}{statistics.median(times):9.2f} s {spread}, best {shown} %")
    if num_peer == given.images:
        apart = [
            abs(value - accuracies["scikit-learn"][key]) for key, value in accuracies["this project"].items()
        ]
        print(f"largest difference in accuracy, over all tasks and C: {100 * max(apart):.2f} points")
        ratio = statistics.median(seconds["scikit-learn"]) / statistics.median(seconds["this project"])
        print(f"speed-up of the linear probe over scikit-learn = {ratio:.1f}")
    else:
        print(f"seconds for the linear probe = {statistics.median(seconds['this project']):.1f}")


if __name__ == "__main__":
    main()
