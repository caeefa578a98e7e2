"""Curation of many captions, against the straightforward pandas and Python version of the same filters.

Captions are recombined from real ones: the first third of one, the middle of another, the last third of a
third, so that lengths, words and concepts are those of the corpus and few are alike. Both sides normalise,
drop by length, letters, addresses, personal data and block list, want a concept, drop exact and
near-duplicates and balance. The peer is what one writes first: a pandas column, `apply` with Python's re and
html, concepts as MetaCLIP's first release matched them (each entry sought in each text) or as its present one
does (pyahocorasick, a text at a time), MinHash by datasketch. It runs on a sample, for it is linear and slow,
and its rate is compared; each side runs in a process of its own, of which processor time and peak memory are
read. The language filter, which is one library's own time on both sides, is left out unless asked for.

    python -m benchmarks.curation CAPTIONS.tsv --column caption --numbers 1000000 10000000

With --workflow it measures instead what the curation room of `kedro run` takes, with the shipped filters for
captions from the web, the audit, the checks of its tables and the page.
"""

import argparse
import html
import json
import multiprocessing
import platform
import re
import resource
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stablerep.curation.settings import Columns, Reading

_SEED = 0
_CONCEPTS = ["conf/words/visible.txt", "conf/words/visible_too.txt"]
_BOUND = 2_000  # of the balance, captions of a concept
_WRITE_SIZE = 100_000


def write_captions(real: list[str], num: int, path: Path) -> None:
    """Writes num captions, each of the thirds of three real ones."""
    rng = np.random.default_rng(_SEED)
    words = [text.split() for text in real]
    with path.open("w", encoding="utf-8") as file:
        file.write("caption\n")
        for start in range(0, num, _WRITE_SIZE):
            picked = rng.integers(len(words), size=(min(_WRITE_SIZE, num - start), 3))
            for each in picked.tolist():
                parts = [words[row] for row in each]
                cuts = [round(place * len(part) / 3) for part in parts for place in range(4)]
                text = parts[0][: cuts[1]] + parts[1][cuts[5] : cuts[6]] + parts[2][cuts[10] :]
                file.write(" ".join(text) + "\n")


def ours(path: Path, language: bool) -> int:
    """Returns how many captions are kept."""
    from stablerep.curation.curate import curate
    from stablerep.curation.filter import Step
    from stablerep.curation.filters.balance import Balance
    from stablerep.curation.filters.duplicates import Duplicates
    from stablerep.curation.filters.language import Language
    from stablerep.curation.filters.length import Length
    from stablerep.curation.filters.letters import Letters
    from stablerep.curation.filters.listed import BlockList, Concepts
    from stablerep.curation.filters.near_duplicates import NearDuplicates
    from stablerep.curation.filters.normalise import Normalise
    from stablerep.curation.filters.patterns import MailAddresses, PhoneNumbers, Urls
    from stablerep.curation.reading.engine import CaptionFiles
    from stablerep.curation.words import WordFile

    names = WordFile(_CONCEPTS, plurals=True)
    steps: list[Step] = [Normalise(), Length(2, 50), Letters(0.6), Urls(), MailAddresses(), PhoneNumbers()]
    steps.append(BlockList(WordFile("conf/words/boilerplate.txt"), "boilerplate"))
    if language:
        steps.append(Language("en", -0.8))
    steps += [Concepts(names), Duplicates(), NearDuplicates(0.8), Balance(names, _BOUND, _SEED)]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        batches = CaptionFiles(str(path)).batches(
            Reading(columns=Columns(caption="caption", source=None, licence=None))
        )
        return curate(batches, steps, Path(folder)).num_kept


def workflow(path: Path, language: bool) -> int:
    """Returns how many captions are kept by the nodes of `kedro run`, as shipped, into their catalog."""
    import yaml
    from kedro.io import DataCatalog
    from kedro.runner import SequentialRunner

    from pipelines.config.loader import compose
    from pipelines.curation.pipeline import create_pipeline

    room = create_pipeline()
    parameters = compose(Path("conf/params"), {"curation": "web_captions"})["curation"]
    parameters["reading"]["columns"] = {"caption": "caption", "source": None, "licence": None}
    if not language:
        parameters["filters"] = [
            each for each in parameters["filters"] if not each["_target_"].endswith(".Language")
        ]
    catalog = yaml.safe_load(Path("conf/base/catalog.yml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        entries = {name: {**catalog[name]} for name in room.datasets() if name in catalog}
        for name in set(entries) - {"takedowns", "caption_edits", "generator_folder"}:
            key = "filepath" if "filepath" in entries[name] else "path"
            entries[name][key] = str(Path(folder, Path(entries[name][key]).name))
        entries["captions"]["filepath"] = str(path)
        kedro_catalog = DataCatalog.from_config(entries)
        kedro_catalog["params:captions"] = parameters
        SequentialRunner().run(room, kedro_catalog)
        return int(kedro_catalog.load("curation_ledger")["num_kept"])


def straightforward(path: Path, language: bool) -> int:
    """Returns how many captions are kept by pandas and Python."""
    return _straightforward(path, language, _matcher_of_automaton)


def straightforward_loop(path: Path, language: bool) -> int:
    """Likewise, each entry sought in each text."""
    return _straightforward(path, language, _matcher_of_loop)


def _matcher_of_loop(entries: list[str]) -> Callable[[str], list[str]]:
    spaced = [f" {entry} " for entry in entries]
    return lambda text: [entry for entry in spaced if entry in text]


def _matcher_of_automaton(entries: list[str]) -> Callable[[str], list[str]]:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for entry in entries:
        automaton.add_word(f" {entry} ", entry)
    automaton.make_automaton()
    return lambda text: list({entry for _, entry in automaton.iter(text)})


def _straightforward(
    path: Path, language: bool, matcher: Callable[[list[str]], Callable[[str], list[str]]]
) -> int:
    import pandas as pd
    from datasketch import MinHash, MinHashLSH

    from stablerep.caption_ids import caption_id_of
    from stablerep.curation.filters.patterns import _DATE, _MAIL, _PHONE, _URL
    from stablerep.curation.words import WordFile

    url, mail, date, phone = (re.compile(each) for each in (_URL, _MAIL, _DATE, _PHONE))
    names = WordFile(_CONCEPTS, plurals=True)
    find = matcher(list(names.entries_of_forms))
    blocked = _matcher_of_automaton(WordFile("conf/words/boilerplate.txt").entries)

    def normalise(text: str) -> str:
        text = re.sub(r"</?[a-zA-Z][^<>]{0,200}>", " ", html.unescape(text))
        text = "".join(
            each for each in text if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf", "Cs")
        )
        return " ".join(unicodedata.normalize("NFC", text).split())

    def fold(text: str) -> str:
        return " " + re.sub(r"[\W_]+", " ", text.lower()).strip() + " "

    def letters(text: str) -> float:
        visible = [each for each in text if unicodedata.category(each)[0] not in "CZ"]
        return sum(each.isalpha() for each in visible) / max(1, len(visible))

    def personal(text: str) -> bool:
        numbers = phone.findall(date.sub(" ", text))
        return bool(mail.search(text)) or any(len(re.findall(r"\d", each)) >= 8 for each in numbers)

    frame = pd.read_csv(path, sep="\t", quoting=3)
    frame["text"] = frame["caption"].apply(normalise)
    frame = frame[frame["text"].apply(lambda text: 2 <= len(text.split()) <= 50)]
    frame = frame[frame["text"].apply(letters) >= 0.6]
    frame = frame[~frame["text"].apply(lambda text: bool(url.search(text)) or personal(text))]
    frame["folded"] = frame["text"].apply(fold)
    frame = frame[frame["folded"].apply(lambda text: not blocked(text))]
    if language:
        from stablerep.curation.filters.language import Language

        model = Language()._model
        top = frame["text"].apply(lambda text: model.predict(text.lower(), k=2))
        frame = frame[[labels[0] == "__label__en" or shares[0] < 0.8 for labels, shares in top]]
    frame["concepts"] = frame["folded"].apply(find)
    frame = frame[frame["concepts"].apply(len) > 0]
    frame["caption_id"] = frame["text"].apply(caption_id_of)
    frame = frame.drop_duplicates("caption_id")
    index = MinHashLSH(threshold=0.8, num_perm=128, params=(16, 8))
    keep = []
    for caption_id, text in zip(frame["caption_id"], frame["folded"], strict=True):
        signature = MinHash(num_perm=128)
        signature.update_batch([text[i : i + 5].encode() for i in range(max(1, len(text) - 4))])
        keep.append(not index.query(signature))
        if keep[-1]:
            index.insert(caption_id, signature)
    frame = frame[keep]
    counts = Counter(concept for concepts in frame["concepts"] for concept in concepts)
    rng = np.random.default_rng(_SEED)
    stays = frame["concepts"].apply(lambda each: any(rng.random() < _BOUND / counts[name] for name in each))
    return int(stays.sum())


def matching(texts: list[str]) -> dict[str, float]:
    """Returns texts a second of each way to match the shipped list of concepts."""
    import polars as pl

    from stablerep.curation.folding import folded
    from stablerep.curation.reading.engine import BATCH_SIZE
    from stablerep.curation.words import WordFile

    names = WordFile(_CONCEPTS, plurals=True)
    entries = list(names.entries_of_forms)
    rates = {}
    batch = pl.DataFrame({"text": (texts * -(-BATCH_SIZE // len(texts)))[:BATCH_SIZE]})
    start = time.perf_counter()
    names.matches(batch)  # with folding, and with the automaton, which it builds anew for each batch
    rates["ours"] = len(batch) / (time.perf_counter() - start)
    spaced = pl.DataFrame({"text": texts}).select(folded()).to_series().to_list()
    for name, matcher, part in (
        ("MetaCLIP, pyahocorasick", _matcher_of_automaton(entries), spaced),
        ("MetaCLIP, substring loop", _matcher_of_loop(entries), spaced[:500]),
    ):
        start = time.perf_counter()
        for text in part:
            matcher(text)
        rates[name] = len(part) / (time.perf_counter() - start)
    return rates


def _measured(side: Callable[[Path, bool], int], path: Path, language: bool, pipe: Any) -> None:
    start = time.perf_counter()
    num_kept = side(path, language)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send((num_kept, seconds, time.process_time(), used.ru_maxrss / 1024))


def measure(side: Callable[[Path, bool], int], path: Path, language: bool) -> tuple[int, float, float, float]:
    """Runs one side in a fresh process; returns captions kept, seconds, seconds of processors, peak MiB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=_measured, args=(side, path, language, sender))
    process.start()
    sender.close()
    result: tuple[int, float, float, float] = receiver.recv()
    process.join()
    return result


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("captions", type=Path, help="a file of tab-separated values with a header")
    parser.add_argument("--column", default="caption")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--sample", type=int, default=20_000, help="captions of the pandas side")
    parser.add_argument(
        "--loop-sample", type=int, default=2_000, help="captions of the pandas side with a loop"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="of the pandas side and of the smallest number"
    )
    parser.add_argument("--language", action="store_true", help="with the language filter on both sides")
    parser.add_argument("--workflow", action="store_true", help="only what `kedro run` does, at each number")
    options = parser.parse_args()
    from stablerep.curation.reading.engine import CaptionFiles

    batches = CaptionFiles(str(options.captions)).batches(
        Reading(columns=Columns(caption=options.column, source=None, licence=None))
    )
    real = [text for batch in batches for text in batch["caption"].to_list()]
    print(
        f"{platform.processor() or platform.machine()}, {multiprocessing.cpu_count()} cores, {len(real)} "
        "real captions"
    )
    print(
        f"{'side':34}{'captions':>12}{'kept':>12}{'seconds':>10}{'cpu s':>8}{'a second':>12}{'peak MiB':>10}"
    )
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, side, num, repeats in _plan(options):
            path = Path(folder, f"{num}.tsv")
            if not path.exists():
                write_captions(real, num, path)
            for _ in range(repeats):
                kept, seconds, cpu, peak = measure(side, path, options.language)
                rates.setdefault(name, []).append(num / seconds)
                measured = f"{seconds:10.1f}{cpu:8.1f}{num / seconds:12,.0f}{peak:10,.0f}"
                print(f"{name:34}{num:12,}{kept:12,}{measured}", flush=True)
            if num > 2 * options.sample:
                path.unlink()
    if options.workflow:
        return
    print(json.dumps({name: round(rate) for name, rate in matching(real).items()}))
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    print(json.dumps({name: round(value) for name, value in medians.items()}))
    print(
        f"curation speed-up over pandas and Python = {medians['ours'] / medians['pandas, pyahocorasick']:.1f}"
    )


def _plan(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[Path, bool], int], int, int]]:
    if options.workflow:
        for num in options.numbers:
            yield "kedro run", workflow, num, 1
        return
    yield "ours", ours, options.numbers[0], 1
    for _ in range(options.repeats):
        yield "pandas, pyahocorasick", straightforward, options.sample, 1
    yield "pandas, substring loop", straightforward_loop, options.loop_sample, 1
    yield "ours", ours, options.numbers[0], options.repeats - 1
    for num in options.numbers[1:]:
        yield "ours", ours, num, 1


if __name__ == "__main__":
    main()
