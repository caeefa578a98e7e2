"""Whether a network was loaded whole, and whether its weights and its tokenizer can be used.

diffusers and transformers give a weight that a file lacks a random value, and leave out one that the network
does not have; neither is an error to them. Without its files a tokenizer is empty and gives every caption the
same tokens.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

# of one length, word by word: an empty tokenizer replaces each letter by the same token
PROBES = ("a red cat", "a sad dog")
_NUM_SHOWN = 3


def faults_of_loading(info: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with how a network was loaded, as phrases.

    Args:
        info: what `from_pretrained(..., output_loading_info=True)` returns beside the network.
    """
    said = {
        "missing_keys": "its file lacks {}",
        "unexpected_keys": "its file has {}, which the network does not have",
        "mismatched_keys": "its file has another shape for {}",
        "error_msgs": "{}",
    }
    return [text.format(_shown(info[key])) for key, text in said.items() if info.get(key)]


def faults_of_weights(network: nn.Module) -> list[str]:
    """Returns what is wrong with a network's weights, as phrases: not finite values, or only zeros."""
    # the buffers, too: batch normalisation's are loaded from the file
    weights = {name: each for name, each in network.state_dict().items() if each.is_floating_point()}
    broken = [name for name, each in weights.items() if not torch.isfinite(each).all()]
    if broken:
        return [f"{_shown(broken)} has values that are not finite"]
    trained = [each for _, each in network.named_parameters()]
    if trained and not any(bool(each.any()) for each in trained):
        return ["all its weights are zero"]
    return []


def faults_of_tokenizer(
    tokenizer: Any, max_tokens: int | None = None, num_known: int | None = None
) -> list[str]:
    """Returns what is wrong with a tokenizer, as phrases.

    Args:
        tokenizer: of transformers.
        max_tokens: that the text encoder takes; None where it has no bound.
        num_known: tokens that the text encoder has embeddings of; None where that is not known.
    """
    first, second = tokenizer(list(PROBES)).input_ids
    faults = []
    if first == second:
        faults.append(f"it gives {PROBES[0]!r} and {PROBES[1]!r} the same tokens")
    most = tokenizer.model_max_length
    if max_tokens is not None and most > max_tokens:
        faults.append(f"its model_max_length is {most:.0f}, and the text encoder takes {max_tokens} tokens")
    if num_known is not None and len(tokenizer) > num_known:
        faults.append(f"it has {len(tokenizer)} tokens, and the text encoder knows {num_known}")
    return faults


@torch.inference_mode()
def faults_of_text_encoder(encoder: Any, tokenizer: Any) -> list[str]:
    """Returns what is wrong with how a text encoder embeds captions, as phrases.

    Args:
        encoder: of transformers, on the CPU.
        tokenizer: its tokenizer, which gives different captions different tokens.
    """
    tokens = tokenizer(list(PROBES)).input_ids
    length = min(map(len, tokens))  # not every tokenizer can pad
    given = encoder(torch.tensor([each[:length] for each in tokens]), output_hidden_states=True)
    # the first is pooled in some classes, and then depends on how many tokens a caption has as well
    if any(torch.equal(*each) for each in (given[0], given.hidden_states[-1])):
        return [f"it gives {PROBES[0]!r} and {PROBES[1]!r} the same embedding"]
    return []


def _shown(names: Any) -> str:
    texts = sorted(str(each) for each in names)
    more = len(texts) - _NUM_SHOWN
    return ", ".join(texts[:_NUM_SHOWN]) + (f" and {more} more" if more > 0 else "")
