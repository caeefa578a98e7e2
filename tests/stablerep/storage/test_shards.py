"""Shards: the same bytes for the same samples, whole or not there, and every damage found."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch

from stablerep.errors import DataError
from stablerep.storage.shards import (
    check_caption_id,
    decode_image,
    digest_of,
    encode_image,
    member_name,
    read_images,
    read_members,
    scan_shard,
    shard_name,
    write_shard,
)
from tests.stablerep.storage.damaged_tars import with_a_link


def image_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, 6, 5), generator=generator, dtype=torch.uint8)


def sample_of(caption_id, num=2):
    images = {k: encode_image(image_of(hash((caption_id, k)) % 2**31)) for k in range(num)}
    entries = [{"index": k, "digest": digest_of(data)} for k, data in images.items()]
    drawn = {"generator_id": "g-0", "seed": 0}
    return {"caption_id": caption_id, "text": f"tëxt of {caption_id}", "images": entries, **drawn}, images


IDS = ("c-b", "c-a", "c-c")


@pytest.fixture
def samples():
    return [sample_of(caption_id) for caption_id in IDS]


@pytest.fixture
def path(tmp_path, samples):
    target = tmp_path / "shards" / shard_name("c-a", 1)
    write_shard(target, samples)
    return target


def manifest_of(path, samples):
    rows = [
        {
            "caption_id": record["caption_id"],
            "image_index": image["index"],
            "shard": path.name,
            "member": member_name(record["caption_id"], image["index"]),
            "digest": image["digest"],
        }
        for record, _ in samples
        for image in record["images"]
    ]
    return pd.DataFrame(rows)


def test_a_shard_reads_back_as_it_was_written(path, samples):
    scan = scan_shard(path)
    assert scan.faults == []
    assert list(scan.samples) == sorted(IDS)
    for record, images in samples:
        stored = scan.samples[record["caption_id"]]
        assert stored.record == record
        assert stored.digests == {k: digest_of(data) for k, data in images.items()}


def test_equal_samples_give_equal_bytes_in_any_order(path, samples, tmp_path):
    other = tmp_path / "other.tar"
    write_shard(
        other, [(record, dict(sorted(images.items(), reverse=True))) for record, images in samples[::-1]]
    )
    assert other.read_bytes() == path.read_bytes()
    with tarfile.open(path) as tar:
        facts = {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in tar}
    assert facts == {(0, 0, 0, "", "")}


def test_pixels_survive(path, samples):
    frame = manifest_of(path, samples)
    images, caption_ids = read_images(path.parents[1], frame)
    assert images.shape == (6, 3, 6, 5) and images.dtype == torch.uint8
    assert caption_ids == [caption_id for caption_id in IDS for _ in range(2)]
    for position, (record, index) in enumerate((r, k) for r, _ in samples for k in range(2)):
        assert torch.equal(images[position], image_of(hash((record["caption_id"], index)) % 2**31))


def test_images_come_in_the_order_of_the_manifest(path, samples):
    frame = manifest_of(path, samples)
    images, _ = read_images(path.parents[1], frame)
    order = [4, 0, 3]
    chosen, caption_ids = read_images(path.parents[1], frame.iloc[order])
    assert torch.equal(chosen, images[order])
    assert caption_ids == [frame.caption_id[i] for i in order]


def test_no_rows_give_no_images(path, samples):
    images, caption_ids = read_images(path.parents[1], manifest_of(path, samples).iloc[:0])
    assert len(images) == 0 and caption_ids == []


def test_webdataset_opens_a_shard(path, samples):
    import webdataset

    read = list(webdataset.WebDataset(str(path), shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in read] == sorted(IDS)
    expected = {record["caption_id"]: (record, images) for record, images in samples}
    for sample in read:
        record, images = expected[sample["__key__"]]
        assert sample["json"] == record
        for index, data in images.items():
            assert np.array_equal(sample[f"{index}.png"], decode_image(data).permute(1, 2, 0).numpy())


def test_datasets_opens_a_shard(path, samples, tmp_path):
    import datasets

    read = datasets.load_dataset(
        "webdataset", data_files={"train": [str(path)]}, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert read["__key__"] == sorted(IDS)
    expected = {record["caption_id"]: (record, images) for record, images in samples}
    for sample in read:
        record, images = expected[sample["__key__"]]
        assert sample["json"]["text"] == record["text"]
        for index, data in images.items():
            drawn = decode_image(data).permute(1, 2, 0).numpy()
            assert np.array_equal(np.asarray(sample[f"{index}.png"].convert("RGB")), drawn)


def test_datasets_opens_a_shard_of_captions_with_different_numbers_of_images(samples, tmp_path):
    """As docs/generation.md says: it has to be told what there may be."""
    import datasets

    (record, images), *rest = samples
    (first, data) = next(iter(images.items()))
    entries = [entry for entry in record["images"] if entry["index"] == first]
    path = tmp_path / "uneven.tar"
    write_shard(
        path, sorted([(record | {"images": entries}, {first: data}), *rest], key=lambda s: s[0]["caption_id"])
    )
    kinds = {
        "__key__": datasets.Value("string"),
        "__url__": datasets.Value("string"),
        "json": datasets.Json(),
    }
    kinds |= {f"{index}.png": datasets.Image() for index in images}
    read = datasets.load_dataset(
        "webdataset", data_files=str(path), split="train", streaming=True, features=datasets.Features(kinds)
    )
    found = {sample["__key__"]: [sample[f"{index}.png"] is not None for index in images] for sample in read}
    assert found[record["caption_id"]] == [index == first for index in images]
    assert len(found) == len(samples) and sum(map(sum, found.values())) == len(images) * len(samples) - 1


def test_the_shard_of_a_caption_follows_from_its_id_alone():
    names = [shard_name(f"c-{i}", 8) for i in range(800)]
    assert names == [shard_name(f"c-{i}", 8) for i in range(800)]
    counts = pd.Series(names).value_counts()
    assert len(counts) == 8 and counts.min() > 60 and counts.max() < 140
    assert set(names) == {f"images-{k:05d}-of-00008.tar" for k in range(8)}


@pytest.mark.parametrize("caption_id", ["", "c.a", "c/a", "c a", "c" * 65, None])
def test_an_id_that_cannot_name_a_sample_is_refused(caption_id):
    with pytest.raises(DataError, match="must be 1 to 64 letters"):
        check_caption_id(caption_id)


def test_every_cut_is_found_and_never_invents_an_image(path):
    whole = path.read_bytes()
    good = {key: sample.digests for key, sample in scan_shard(path).samples.items()}
    for length in range(0, len(whole), 256):
        path.write_bytes(whole[:length])
        scan = scan_shard(path)
        assert scan.faults, length
        for key, sample in scan.samples.items():
            assert sample.digests.items() <= good[key].items()


def test_every_flipped_bit_is_found_and_its_image_named(path):
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        images = [info for info in tar if info.name.endswith(".png")]
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        faults = scan_shard(path).faults
        (hit,) = [i.name for i in images if i.offset_data <= position < i.offset_data + i.size] or [""]
        if hit:
            assert any(f"{hit} has other bytes" in fault for fault in faults)
        elif not _is_record(whole, position):
            assert faults, position


def _is_record(whole, position):
    """Tells whether a byte is a record's: its words are held against what is wanted, by the plan."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        records = [info for info in tar if info.name.endswith(".json")]
    return any(i.offset_data <= position < i.offset_data + i.size for i in records)


def test_a_broken_header_is_found(path):
    whole = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        second = list(tar)[3].offset
    whole[second] ^= 1
    path.write_bytes(whole)
    scan = scan_shard(path)
    assert any("cut short or overwritten" in fault for fault in scan.faults)
    assert list(scan.samples) == ["c-a"]


def test_what_is_no_tar_is_a_fault_and_no_crash(path):
    for content in (b"", b"no tar at all", b"\0" * 512, b"x" * 4096):
        path.write_bytes(content)
        scan = scan_shard(path)
        assert scan.samples == {} and scan.faults


@pytest.mark.parametrize("target", ["nowhere.png", "c-c.0.png", "/etc/passwd"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_the_place_of_an_image_is_a_fault_and_is_not_followed(path, kind, target):
    path.write_bytes(with_a_link(path.read_bytes(), "c-b.1.png", target, kind))
    scan = scan_shard(path)
    assert f"{path.name}: c-b.1.png is missing" in scan.faults
    assert {key: set(sample.digests) for key, sample in scan.samples.items()} == {
        "c-a": {0, 1}, "c-b": {0}, "c-c": {0, 1},
    }  # fmt: skip
    assert read_members(path, {"c-b.1.png"}) == {}


@pytest.mark.parametrize(
    "change",
    [{"generator_id": None}, {"generator_id": "../../x"}, {"caption_id": "../x"}, {"seed": "0"}],
    ids=str,
)
def test_a_record_that_cannot_name_its_images_is_a_fault(tmp_path, change):
    record, images = sample_of("c-a")
    write_shard(tmp_path / "x.tar", [(record | change, images)])
    scan = scan_shard(tmp_path / "x.tar")
    assert scan.samples == {} and "is not a record of a sample" in scan.faults[0]


def test_a_record_of_deep_brackets_is_a_fault(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("c-a.json")
        info.size = 200_000
        tar.addfile(info, io.BytesIO(b"[" * 200_000))
    assert "c-a.json is not a record of a sample" in scan_shard(tmp_path / "x.tar").faults[0]


def test_the_digest_of_a_shard_tells_other_bytes_and_what_is_no_tar(path, samples):
    before = scan_shard(path)
    assert before.num_images == 6
    write_shard(path, samples[:2])
    after = scan_shard(path)
    assert after.num_images == 4 and len({before.digest, after.digest, ""}) == 3
    path.write_bytes(path.read_bytes()[:700])
    assert scan_shard(path).digest == ""


def test_reading_a_damaged_image_names_shard_member_and_cure(path, samples):
    frame = manifest_of(path, samples)
    data = path.read_bytes()
    position = data.index(samples[0][1][1]) + 30
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    with pytest.raises(DataError, match=r"images-00000-of-00001.tar: c-b.1.png has digest .*made again"):
        read_images(path.parents[1], frame)
    path.unlink()
    with pytest.raises(DataError, match=r"c-b.0.png is missing|c-a.0.png is missing"):
        read_images(path.parents[1], frame)


def test_images_of_two_sizes_are_not_stacked(tmp_path, samples):
    path = tmp_path / "shards" / shard_name("c-a", 1)
    odd = encode_image(torch.zeros(3, 4, 4, dtype=torch.uint8))
    record, images = samples[0]
    record["images"][1]["digest"] = digest_of(odd)
    write_shard(path, [(record, {**images, 1: odd})])
    with pytest.raises(DataError, match=r"c-b.1.png is \(3, 4, 4\); must be \(3, 6, 5\)"):
        read_images(tmp_path, manifest_of(path, samples[:1]))


def test_a_full_disk_leaves_the_shard_that_was_there(path, samples, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stablerep.storage.shards._add", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\).*are kept"):
        write_shard(path, samples[:1])
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_bytes_that_are_no_image_are_told(path):
    buffer = io.BytesIO(b"\x89PNG\r\n\x1a\nnot really")
    with pytest.raises(DataError, match="not an image"):
        decode_image(buffer.getvalue())


def test_members_of_a_missing_shard_are_none(tmp_path):
    assert read_members(tmp_path / "no.tar", {"c-a.0.png"}) == {}
