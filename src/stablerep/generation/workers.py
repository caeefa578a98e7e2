"""Makes one shard after the other, in whatever process an executor has it do so."""

from dataclasses import dataclass
from pathlib import Path

from stablerep.generation.generator import DiffusersGenerator
from stablerep.generation.plan import (
    CaptionPlan,
    ShardPlan,
    Wanted,
    make_image_entry,
    make_record,
)
from stablerep.generation.settings import GenerationSettings
from stablerep.shards import (
    SHARDS_FOLDER,
    Record,
    decode_image,
    digest_of,
    encode_image,
    member_name,
    read_members,
    write_shard,
)


@dataclass(frozen=True)
class Workshop:
    """Where and how shards are made; the same in every process.

    Attributes:
        folder: of the model.
        settings: of the generation.
        wanted: what the image set is to be.
        store: the image set's folder.
    """

    folder: Path
    settings: GenerationSettings
    wanted: Wanted
    store: Path


@dataclass(frozen=True)
class MadeShard:
    """A shard that was written.

    Attributes:
        name: of its file.
        records: of its samples.
        num_images: that were drawn for it.
        load_s: seconds that loading the model took in the process that made it.
    """

    name: str
    records: list[Record]
    num_images: int
    load_s: float


class ShardMaker:
    """Makes shards one after the other; loads the model when the first image is to be drawn."""

    def __init__(self, workshop: Workshop) -> None:
        """Remembers the workshop."""
        self.workshop = workshop
        self.generator: DiffusersGenerator | None = None

    def make(self, plan: ShardPlan) -> MadeShard:
        """Draws what is missing, takes the rest from where it lies, writes the shard."""
        shop = self.workshop
        images = self._read_kept(plan)
        rejected = {(c.caption_id, index) for c in plan.captions for index in c.rejected}
        truncated = {c.caption_id: bool(c.truncated) for c in plan.captions}
        requests = [request for caption in plan.captions for request in caption.requests()]
        if requests:
            if self.generator is None:
                self.generator = DiffusersGenerator(shop.folder, shop.settings)
            texts = {request.caption_id: request.text for request in requests}
            too_long = self.generator.truncated(list(texts.values()))
            truncated |= dict(zip(texts, too_long, strict=True))
            keys = iter((request.caption_id, request.index) for request in requests)
            for batch in self.generator.draw(requests, shop.wanted.seed):
                for image, unsafe, key in zip(batch.images, batch.unsafe, keys, strict=False):
                    if unsafe:
                        rejected.add(key)
                    else:
                        images[key] = encode_image(image)
        samples = [self._sample(c, images, rejected, truncated[c.caption_id]) for c in plan.captions]
        write_shard(shop.store / SHARDS_FOLDER / plan.name, samples)
        load_s = self.generator.load_s if self.generator is not None else 0.0
        return MadeShard(plan.name, [record for record, _ in samples], len(requests), load_s)

    def _read_kept(self, plan: ShardPlan) -> dict[tuple[str, int], bytes]:
        wanted: dict[str, dict[str, tuple[str, int]]] = {}
        for caption in plan.captions:
            for index, name in caption.kept.items():
                member = member_name(caption.caption_id, index)
                wanted.setdefault(name, {})[member] = (caption.caption_id, index)
        images: dict[tuple[str, int], bytes] = {}
        for name, keys in wanted.items():
            found = read_members(self.workshop.store / SHARDS_FOLDER / name, set(keys))
            images |= {keys[member]: data for member, data in found.items()}
        return images

    def _sample(
        self,
        caption: CaptionPlan,
        images: dict[tuple[str, int], bytes],
        rejected: set[tuple[str, int]],
        truncated: bool,
    ) -> tuple[Record, dict[int, bytes]]:
        indices = set(range(self.workshop.wanted.images_per_caption))
        unsafe = sorted(i for i in indices if (caption.caption_id, i) in rejected)
        own = {i: images[caption.caption_id, i] for i in sorted(indices - set(unsafe))}
        entries = []
        for index, data in own.items():
            _, height, width = decode_image(data).shape
            size = (width, height)
            entries.append(
                make_image_entry(caption.caption_id, self.workshop.wanted.seed, index, digest_of(data), size)
            )
        return make_record(caption, self.workshop.wanted, entries, unsafe, truncated), own
