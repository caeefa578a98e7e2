"""A tokenizer learned from captions, for text towers and text encoders of any corpus; tokenizers as data."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# how CLIPTokenizer splits a text into words before it looks for tokens
_WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def build_tokenizer(texts: Iterable[str], max_tokens: int) -> Any:
    """Builds a CLIPTokenizer in which each word of the texts is one token, the frequent ones of them if many.

    Every byte is a token too, so that other words are spelled letter by letter instead of lost.

    Args:
        texts: captions, or their words.
        max_tokens: of a caption, start and end included; longer ones are cut.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,
        min_frequency=1,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.train_from_iterator((word for text in texts for word in _WORD.findall(text.lower())), trainer)
    with TemporaryDirectory() as folder:
        learner.model.save(folder)
        lines = (Path(folder) / "merges.txt").read_text().splitlines()
        learned = json.loads((Path(folder) / "vocab.json").read_text())
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#")]
    base = alphabet + [f"{letter}</w>" for letter in alphabet]
    rest = [token for token in sorted(learned, key=learned.__getitem__) if token not in set(base)]
    tokens = [*base, *rest, "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        model_max_length=max_tokens,
    )


def tokenizer_files(tokenizer: Any) -> dict[str, str]:
    """Returns a CLIPTokenizer as the texts of its files, by their names."""
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(folder).iterdir())}


def tokenizer_of_files(files: Mapping[str, str]) -> Any:
    """Returns the CLIPTokenizer of the files that `tokenizer_files` returned."""
    from transformers import CLIPTokenizer

    with TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
