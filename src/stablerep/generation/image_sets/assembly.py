"""Puts the samples of a shard together as their images arrive, and passes on each complete one.

Legend: N images of a batch.
"""

from collections.abc import Callable, Mapping

from stablerep.generation.diffusion.generator import Drawn
from stablerep.generation.image_sets.plan import ShardPlan
from stablerep.generation.image_sets.records import make_image_entry, make_record
from stablerep.generation.image_sets.wanted import CaptionPlan, Wanted
from stablerep.storage.shards import Record, decode_image, digest_of, encode_image


class Assembly:
    """The samples of one shard, in the order of its plan.

    Not safe for use by several threads at once: one takes batch after batch.

    Attributes:
        records: of the samples that were passed on.
    """

    def __init__(
        self,
        plan: ShardPlan,
        wanted: Wanted,
        kept: Mapping[tuple[str, int], bytes],
        truncated: Mapping[str, bool],
        add: Callable[[Record, Mapping[int, bytes]], None],
    ) -> None:
        """Waits for the missing images of a plan.

        Args:
            plan: of the shard.
            wanted: what the images of the set have in common.
            kept: (caption id, index) -> bytes of the images that are there.
            truncated: caption id -> whether it is longer than the text encoder accepts.
            add: called with each complete sample.
        """
        self.records: list[Record] = []
        self._captions, self._wanted, self._add = plan.captions, wanted, add
        self._images, self._truncated = dict(kept), truncated
        self._rejected = {(c.caption_id, index) for c in plan.captions for index in c.rejected}
        self._awaited = [
            (request.caption_id, request.index) for c in plan.captions for request in c.requests()
        ]
        self._num_taken = 0

    def take(self, batch: Drawn) -> None:
        """Encodes the next N missing images, in the order of the plan."""
        keys = self._awaited[self._num_taken : self._num_taken + len(batch.unsafe)]
        for image, unsafe, key in zip(batch.images, batch.unsafe, keys, strict=True):
            if unsafe:
                self._rejected.add(key)
            else:
                self._images[key] = encode_image(image)
        self._num_taken += len(keys)
        self.flush()

    def flush(self) -> None:
        """Passes on, in order, every sample that is complete."""
        left = {caption_id for caption_id, _ in self._awaited[self._num_taken :]}
        for caption in self._captions[len(self.records) :]:
            if caption.caption_id in left:
                return
            record, images = self._sample(caption)
            self._add(record, images)
            self.records.append(record)

    def _sample(self, caption: CaptionPlan) -> tuple[Record, dict[int, bytes]]:
        caption_id, indices = caption.caption_id, {*caption.kept, *caption.rejected, *caption.missing}
        unsafe = sorted(index for index in indices if (caption_id, index) in self._rejected)
        own = {index: self._images.pop((caption_id, index)) for index in sorted(indices - set(unsafe))}
        entries = []
        for index, data in own.items():
            _, height, width = decode_image(data).shape
            entries.append(
                make_image_entry(caption_id, self._wanted.seed, index, digest_of(data), (width, height))
            )
        return make_record(caption, self._wanted, entries, unsafe, self._truncated[caption_id]), own
