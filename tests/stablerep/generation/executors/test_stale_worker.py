"""A worker that was given up and finishes late changes nothing: the manifest's records decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from stablerep.generation.image_sets.image_set import ImageSetRequest, make_image_set
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.workers import MadeShard, ShardMaker, Workshop
from stablerep.storage.shards import SHARDS_FOLDER, read_images, scan_shard


@dataclass
class TwoWorkers:
    """Has each shard made twice, with different pixels, and takes the answer of one of the two.

    Attributes:
        takes: whose answer is taken: that of the first, which was given up, or of its replacement.
        last: which of the two finishes last; the answer is taken before it does where it is the other's.
    """

    takes: str
    last: str
    label = "two workers"

    def software(self, here: dict[str, str]) -> dict[str, str]:
        return here

    def num_processes(self, num_shards: int) -> int:
        return 2

    def make(self, workshop: Workshop, plans: Sequence[ShardPlan]) -> Iterator[MadeShard]:
        other_kernels = replace(workshop, settings=workshop.settings.changed(guidance_scale=5.0))
        makers = {"stale": ShardMaker(other_kernels), "replacement": ShardMaker(workshop)}
        order = sorted(makers, key=lambda name: name == self.last)
        for plan in plans:
            for name in order:
                made = makers[name].make(plan)
                if name == self.takes:
                    yield made


@pytest.mark.parametrize("takes", ["stale", "replacement"])
@pytest.mark.parametrize("last", ["stale", "replacement"])
def test_whoever_finishes_last_the_images_are_those_of_the_manifest(
    takes, last, tiny_generator, settings, captions_of, tmp_path
):
    store, captions = tmp_path / "images", captions_of(["a nine", "a red two", "a three"])
    chosen = settings(num_shards=2, batch_size=1)
    manifest, _ = make_image_set(
        ImageSetRequest(captions, chosen, tiny_generator, store, 0, executor=TwoWorkers(takes, last))
    )
    images, _ = read_images(store, manifest)
    shards = sorted((store / SHARDS_FOLDER).iterdir())
    assert [path.suffix for path in shards] == [".tar"] * 2
    assert [scan_shard(path).faults for path in shards] == [[], []]
    # it is the one whose answer was taken
    other = tmp_path / "other"
    expected = chosen if takes == "replacement" else chosen.changed(guidance_scale=5.0)
    wanted, _ = make_image_set(ImageSetRequest(captions, expected, tiny_generator, other, 0))
    assert (images == read_images(other, wanted)[0]).all()


def test_a_worker_that_finishes_after_the_run_leaves_a_file_that_the_next_run_removes(
    tiny_generator, settings, captions_of, tmp_path
):
    store, captions = tmp_path / "images", captions_of(["a nine", "a red two"])
    late = []

    class OneIsLate(TwoWorkers):
        def make(self, workshop, plans):
            late.extend((ShardMaker(workshop), plan) for plan in plans)
            return super().make(workshop, plans)

    request = ImageSetRequest(
        captions, settings(num_shards=1), tiny_generator, store, 0, executor=OneIsLate("replacement", "stale")
    )
    manifest, _ = make_image_set(request)
    (shard,) = (store / SHARDS_FOLDER).iterdir()
    before = shard.read_bytes()
    maker, plan = late[0]
    maker.make(plan)
    assert shard.read_bytes() == before
    assert len(list((store / SHARDS_FOLDER).iterdir())) == 2
    again, ledger = make_image_set(request)
    assert list((store / SHARDS_FOLDER).iterdir()) == [shard]
    assert ledger["num_made_images"] == 0 and again.equals(manifest)
