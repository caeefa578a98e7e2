"""The rows of an arm's history: what was measured since the last row, and the state at this step."""

import time

from stablerep.image_sets.source import ImageSource
from stablerep.training.checkpoint import Progress, Row
from stablerep.training.descent import Descent, Passes
from stablerep.training.monitor import measurable_ranks, ranks_of, spread_of
from stablerep.training.probe import features_of, knn_accuracy


class RowWriter:
    """Writes rows; rates count from the moment when it is made.

    Args:
        descent: of the arm.
        first: steps done before.
    """

    def __init__(self, descent: Descent, first: int) -> None:
        self.descent, self.first = descent, first
        arm, settings = descent.arm, descent.settings
        self._num_views, self._log_every = settings.batch.num_views, settings.log_every
        self._rank_measures = measurable_ranks(arm.name, arm.method, settings.rank_measures)
        self._started = time.monotonic()

    def row_of(
        self, progress: Progress, rate: float, waited_s: float, passes: Passes, held_out: ImageSource | None
    ) -> Row:
        """Returns the row after a step.

        Args:
            progress: with the sums since the last row.
            rate: learning rate of the step.
            waited_s: seconds in which the training waited for images.
            passes: of the step.
            held_out: images for the probe; None where none is due.
        """
        method, done = self.descent.arm.method, progress.step
        span = (done - 1) % self._log_every + 1
        row = {name: value / span for name, value in progress.sums.items()}
        row |= self._spread(passes)
        elapsed = time.monotonic() - self._started  # after the spread, which waits for the device
        row |= {"step": done, "images": done * self._num_views, "learning_rate": rate}
        row |= {"images_per_second": (done - self.first) * self._num_views / elapsed}
        row |= {"waited_s": waited_s, "waited_share": waited_s / elapsed}
        row |= {"unreadable_images": len(progress.unreadable)}
        if method.temperature is not None:
            row["temperature"] = method.temperature
        if passes.logit_scale is not None:
            row["logit_scale"] = float(passes.logit_scale.detach())
        if held_out is not None:
            row |= self._probe(held_out)
        return row

    def _spread(self, passes: Passes) -> Row:
        embedded = passes.embedded
        watched = embedded.z_ND if self.descent.arm.method.uses_head else embedded.image_ND
        assert watched is not None  # noqa: S101 -- a method without a head has image_ND
        ranks = ranks_of(watched.detach(), embedded.labels_N, self._rank_measures)
        return spread_of(watched.detach()) | ranks

    def _probe(self, held_out: ImageSource) -> Row:
        """Measures the encoder that would be exported."""
        descent = self.descent
        size = descent.settings.batch.chunk or self._num_views
        with descent.average.in_place_of(descent.networks):
            features_IF = features_of(descent.networks.encoder, held_out, size)
        row = {"knn_accuracy": knn_accuracy(features_IF, held_out)}
        if descent.online_probe is not None and held_out.labels is not None:
            classes_I = held_out.labels.to(features_IF.device)
            row["online_probe_accuracy"] = descent.online_probe.accuracy(features_IF, classes_I)
        return row
