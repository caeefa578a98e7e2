"""A causal language model of transformers that continues the starts of captions."""

import logging
import time
from collections.abc import Iterator
from itertools import islice

import torch

from stablerep.errors import DataError
from stablerep.seeding import seed_of

logger = logging.getLogger(__name__)
_BATCH_SIZE = 32  # starts at once; part of what decides the samples
_PROGRESS_S = 5.0


class ContinuedCaptions:
    """Continues starts of captions; equal seeds and starts give equal captions on one kind of device."""

    def __init__(self, folder: str, max_new_tokens: int, temperature: float) -> None:
        """Loads the model.

        Args:
            folder: of the model and its tokenizer.
            max_new_tokens: that it adds, at most.
            temperature: of the samples; 0 takes the likeliest token every time.

        Raises:
            DataError: the folder holds no such model.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{folder}: no causal language model of transformers can be loaded from it ({error}). It "
                "must hold config.json, model.safetensors and a tokenizer."
            ) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device).eval()
        self.options = {"max_new_tokens": max_new_tokens, "pad_token_id": self.tokenizer.pad_token_id}
        self.options |= (
            {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        )

    def continue_all(self, starts: Iterator[str], seed: int) -> Iterator[str]:
        """Yields the captions, each beginning with its start and ending before the first line break."""
        done, shown = 0, time.monotonic()
        for number, batch in enumerate(_batches(starts)):
            yield from self._continue(batch, seed_of("continued captions", seed, number))
            done += len(batch)
            if time.monotonic() - shown > _PROGRESS_S:
                shown = time.monotonic()
                logger.info("The language model has written %d captions", done)

    @torch.inference_mode()
    def _continue(self, starts: list[str], seed: int) -> list[str]:
        tokens = self.tokenizer(starts, return_tensors="pt", padding=True).to(self.device)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            ids = self.model.generate(**tokens, **self.options)
        heads = self.tokenizer.batch_decode(ids[:, : tokens["input_ids"].shape[1]], skip_special_tokens=True)
        whole = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        # a tokenizer may write the start in another way, for instance in lower case
        added = [text[len(head) :] for head, text in zip(heads, whole, strict=True)]
        return [
            start + (text.splitlines() or [""])[0].rstrip() for start, text in zip(starts, added, strict=True)
        ]


def _batches(starts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(starts, _BATCH_SIZE)):
        yield batch
