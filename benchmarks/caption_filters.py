"""How often the filters of `curation=web_captions` are right on real captions, by labels that a reader gave.

`curation_labels.csv` names captions by their ids: what curation decided (`kept`, or the reason), and what it
should have decided. The captions of the sample `before` were read when the filters were older, those of
`after` with the present ones. Each has 300 rejected captions (all of a small filter's, a random part of a
large one's) and 300 random kept ones. A rejected caption was read beside the reason, a near-duplicate beside
the kept caption most like it. With a kept caption the most similar other one was read, if the two have at
least 0.6 of their shingles of five letters in common.

    python -m benchmarks.caption_filters ../shared/data/captions/flickr8k.tsv

Precision is the share of a filter's rejects that are right. Recall is an estimate: the number of right
rejects over itself plus the number of kept captions that should have been rejected, from the sample.
"""

import argparse
import tempfile
from pathlib import Path

import polars as pl

from stablerep.alignment.audit import wilson

LABELS = Path(__file__).with_name("curation_labels.csv")


def decisions(path: Path) -> pl.DataFrame:
    """Curates captions as `curation=web_captions` does.

    Args:
        path: tab-separated, with the columns caption and image.

    Returns:
        caption_id and decision: `kept`, or the reason. A caption that occurs several times has several rows.
    """
    from pipelines.config.loader import compose
    from pipelines.curation.nodes import curate_captions
    from stablerep.curation.people.edits import Edits
    from stablerep.curation.people.takedowns import COLUMNS

    settings = compose(Path("conf/params"), {"curation": "web_captions"})["curation"]
    settings["reading"]["columns"] = {"caption": "caption", "source": "image", "licence": None}
    with tempfile.TemporaryDirectory() as folder:
        kept, rejected, _, _ = curate_captions(
            {"_target_": "stablerep.corpora.captions.Captions", "path": str(path)},
            pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String)).to_pandas(),
            Edits([], Path(folder, "caption_edits.csv")),
            Path("data/06_models/generator"),
            Path(folder),
            settings,
        )
        return pl.concat(
            [
                kept.select("caption_id", decision=pl.lit("kept")).collect(),
                rejected.select("caption_id", decision="reason").collect(),
            ]
        )


def precision(labels: pl.DataFrame) -> pl.DataFrame:
    """Returns reason, read and right: how many rejects of each reason were read, and how many are right."""
    rejects = labels.filter(pl.col("decision") != "kept")
    right = (pl.col("decision") == pl.col("should_be")).sum()
    return rejects.group_by(reason="decision").agg(read=pl.len(), right=right).sort("reason")


def main() -> None:
    """Prints a table for each sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("captions", type=Path, help="Flickr8k's captions, tab-separated")
    decided = decisions(parser.parse_args().captions)
    labels = pl.read_csv(LABELS)
    print("before")
    print(f"{'reason':22}{'read':>6}{'right':>7}  precision")
    for reason, read, right in precision(labels.filter(pl.col("sample") == "before")).iter_rows():
        print(f"{reason:22}{read:6}{right:7}  {_share(right, read)}")
    # what the filters still decide as they did when the captions were read
    after = labels.filter(pl.col("sample") == "after").join(decided.unique(), on=["caption_id", "decision"])
    numbers = dict(decided["decision"].value_counts().iter_rows())
    kept = after.filter(pl.col("decision") == "kept")
    print(f"after: {numbers['kept']:,} of {len(decided):,} kept, {len(kept)} of them read")
    print(f"{'reason':22}{'rejects':>8}{'read':>6}{'right':>7}  {'precision':20}  {'missed':>6}  recall")
    false = 0
    for reason, read, right in precision(after).iter_rows():
        missed = int((kept["should_be"] == reason).sum())
        low, high = wilson(missed, len(kept))
        found = numbers[reason] * right / read
        recall = [found / (found + numbers["kept"] * share) for share in (missed / len(kept), high, low)]
        counts = f"{numbers[reason]:8,}{read:6}{right:7}"
        estimate = f"{recall[0]:.3f} [{recall[1]:.3f}, {recall[2]:.3f}]"
        print(f"{reason:22}{counts}  {_share(right, read):20}  {missed:6}  {estimate}")
        false += read - right
    print(f"false rejects among {len(after) - len(kept)} read = {false}")


def _share(right: int, read: int) -> str:
    low, high = wilson(right, read)
    return f"{right / read:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
