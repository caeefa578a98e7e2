"""The text tower of CLIP and StableRep+: a CLIP text transformer trained from random weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stablerep.methods.image_text import INITIAL_LOGIT_SCALE


class TextTower(nn.Module):
    """Embeds captions and images in one space, with the learned logit scale.

    Args:
        features: F of the encoder.
        num_tokens: size of the tokenizer's vocabulary.
        max_tokens: T.
        end_token: id of the token whose output stands for the caption.
        width: of the transformer.
        num_layers: of the transformer.
        num_heads: of its attention.
        out: D.
    """

    def __init__(
        self,
        features: int,
        num_tokens: int,
        max_tokens: int,
        end_token: int,
        width: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        out: int = 128,
    ) -> None:
        super().__init__()
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        config = CLIPTextConfig(
            vocab_size=num_tokens,
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=out,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            max_position_embeddings=max_tokens,
            bos_token_id=None,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
        self.transformer = CLIPTextModelWithProjection(config)
        self.image_projection = nn.Linear(features, out, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))

    def embed_text(self, token_ids: Tensor) -> Tensor:
        """Maps (M, T) token ids to (M, D) of unit length, float32."""
        return F.normalize(self.transformer(input_ids=token_ids).text_embeds.float(), dim=1)

    def embed_images(self, features: Tensor) -> Tensor:
        """Maps (N, F) features to (N, D) of unit length, float32."""
        return F.normalize(self.image_projection(features).float(), dim=1)


@dataclass(frozen=True)
class TrainedText:
    """The text tower of a trained arm as data: everything that embeds texts and the encoder's features.

    Attributes:
        sizes: `width`, `num_layers`, `num_heads` and `out` of `build_text_tower`.
        weights: the tower's state; the projection of image features is part of it.
        tokenizer: the texts of the tokenizer's files, by name; see `models.tokenizer.tokenizer_files`.
    """

    sizes: Mapping[str, int]
    weights: Mapping[str, Tensor]
    tokenizer: Mapping[str, str]


def build_text_tower(
    features: int, tokenizer: Any, width: int, num_layers: int, num_heads: int, out: int
) -> TextTower:
    """Builds a text tower for a tokenizer, with random weights.

    Args:
        features: F of the encoder.
        tokenizer: a CLIPTokenizer; its vocabulary, length and end token shape the tower.
        width: as in `TextTower`, like the others.
        num_layers: of the transformer.
        num_heads: of its attention.
        out: D.
    """
    end = tokenizer.eos_token_id
    return TextTower(
        features, len(tokenizer), tokenizer.model_max_length, end, width, num_layers, num_heads, out
    )


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Returns (M, T) int64 token ids, padded and truncated to the tokenizer's length, as in diffusers."""
    return tokenizer(
        list(texts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
