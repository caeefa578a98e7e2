"""CLIP's tokenizer, from its merges, which the package ships.

Source: A. Radford et al., Learning transferable visual models from natural language supervision, 2021
(arXiv:2103.00020), and the authors' `simple_tokenizer.py`. `clip_merges.txt.gz` has the first 48,894 merges
of their `bpe_simple_vocab_16e6.txt.gz` (MIT licence, see NOTICE): those that their code reads of it.
"""

import gzip
from functools import cache
from importlib.resources import files
from typing import Any

_MERGES = "clip_merges.txt.gz"
_START, _END = "<|startoftext|>", "<|endoftext|>"
# Words, contractions, single numerals and runs of other signs, as the authors' code splits a text.
_PIECE = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@cache
def clip_tokenizer() -> Any:
    """Returns the tokenizer, of the library `tokenizers`; it adds the marks of start and end."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    merges = _merges()
    # In the order of the authors' code: a byte that prints stands for itself, the others from U+0100 on. Each
    # occurs twice, inside of a word and at its end.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {token: number for number, token in enumerate([*tokens, _START, _END])}
    model = models.BPE(vocabulary, merges, unk_token=_END, end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECE), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}",
        special_tokens=[(_START, vocabulary[_START]), (_END, vocabulary[_END])],
    )
    return tokenizer


def _merges() -> list[tuple[str, str]]:
    lines = gzip.decompress(files("stablerep.curation").joinpath(_MERGES).read_bytes()).decode().splitlines()
    pairs = (line.split(" ") for line in lines[1:])  # the first line names the version
    return [(left, right) for left, right in pairs]
