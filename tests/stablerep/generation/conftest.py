"""Miniatures of Stable Diffusion with random weights, small enough to draw in milliseconds."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import torch

from stablerep.caption_ids import caption_id_of
from stablerep.digit_scenes.grammar import MAX_TOKENS, vocabulary
from stablerep.generation.diffusion.settings import GeneratorSettings

TEXT_WIDTH = 16

# scheduler/scheduler_config.json of Stable Diffusion 1.5, but for the class and version
STABLE_DIFFUSION_1_5_NOISE = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def build_parts(unet_width=TEXT_WIDTH, **unet_options):
    """Returns the parts that every miniature has, a few thousand weights each."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from stablerep.models.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(vocabulary(), MAX_TOKENS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(8, 8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=16,
            mid_block_add_attention=False,
        )
        unet = UNet2DConditionModel(
            sample_size=4,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=unet_width,
            attention_head_dim=2,
            norm_num_groups=4,
            **unet_options,
        )
        text_encoder = build_text_encoder("CLIPTextModel", tokenizer, num_hidden_layers=1)
    return {"vae": autoencoder, "unet": unet, "tokenizer": tokenizer, "text_encoder": text_encoder}


def build_text_encoder(name, tokenizer, num_hidden_layers):
    """Returns a CLIP text encoder of transformers."""
    import transformers

    text_encoder = getattr(transformers, name)(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=32,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=2,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # as initialised, captions would hardly change an image
    for weights in text_encoder.parameters():
        weights.data.mul_(4)
    return text_encoder


def build_safety_parts():
    """Returns a safety checker that blanks nothing, for its bounds are cosines of one, and what it needs."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=16,
        patch_size=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=8))
    for weights in checker.vision_model.parameters():
        weights.data.mul_(8)  # as initialised, it would hardly tell images apart
    size = {"height": 16, "width": 16}
    extractor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=size)
    return {"safety_checker": checker, "feature_extractor": extractor}


def save_stable_diffusion(
    folder: Path, scheduler, pipeline="StableDiffusionPipeline", checked=False, **unet_options
) -> Path:
    """Writes a miniature with one text encoder, with or without a safety checker."""
    import diffusers

    parts = build_parts(**unet_options) | {"safety_checker": None, "feature_extractor": None}
    if checked:
        parts |= build_safety_parts()
    made = getattr(diffusers, pipeline)(scheduler=scheduler, requires_safety_checker=checked, **parts)
    made.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory):
    """Returns a folder like the embedded generator's: v-prediction, DPM-Solver++."""
    from diffusers import DPMSolverMultistepScheduler

    from stablerep.generation.pretraining.architecture import build_noise_scheduler

    scheduler = DPMSolverMultistepScheduler.from_config(
        build_noise_scheduler().config, algorithm_type="dpmsolver++", timestep_spacing="trailing"
    )
    return save_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny", scheduler)


@pytest.fixture(scope="session")
def tiny_stable_diffusion(tmp_path_factory):
    """Returns a folder like Stable Diffusion 1.5's: prediction of the noise, PNDM."""
    from diffusers import PNDMScheduler

    scheduler = PNDMScheduler(**copy.deepcopy(STABLE_DIFFUSION_1_5_NOISE))
    return save_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny_sd", scheduler, checked=True)


@pytest.fixture(scope="session")
def tiny_lcm(tmp_path_factory):
    """Returns a folder like a latent consistency model's: the UNet is told the guidance scale."""
    from diffusers import LCMScheduler

    noise = {name: STABLE_DIFFUSION_1_5_NOISE[name] for name in ("beta_start", "beta_end", "beta_schedule")}
    folder = tmp_path_factory.mktemp("models") / "tiny_lcm"
    name = "LatentConsistencyModelPipeline"
    return save_stable_diffusion(folder, LCMScheduler(**noise), name, checked=True, time_cond_proj_dim=8)


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory):
    """Returns a folder like Stable Diffusion XL's: two text encoders, pooled embedding, sizes."""
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline

    noise = {name: STABLE_DIFFUSION_1_5_NOISE[name] for name in ("beta_start", "beta_end", "beta_schedule")}
    parts = build_parts(
        unet_width=2 * TEXT_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + TEXT_WIDTH,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, kind in (
            ("text_encoder", "CLIPTextModel"),
            ("text_encoder_2", "CLIPTextModelWithProjection"),
        ):
            # the last layer but one is read
            parts[name] = build_text_encoder(kind, parts["tokenizer"], num_hidden_layers=2)
    # as the base model's; SDXL-Turbo's trailing steps enlarge rounding with samplers that are not its own
    scheduler = EulerAncestralDiscreteScheduler(**noise, timestep_spacing="leading", steps_offset=1)
    pipeline = StableDiffusionXLPipeline(
        scheduler=scheduler, tokenizer_2=parts["tokenizer"], add_watermarker=False, **parts
    )
    folder = tmp_path_factory.mktemp("models") / "tiny_sdxl"
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_sd3(tmp_path_factory):
    """Returns a folder like Stable Diffusion 3's without its T5: a diffusion transformer."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    parts = build_parts()
    del parts["unet"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for name in ("text_encoder", "text_encoder_2"):
            parts[name] = build_text_encoder("CLIPTextModelWithProjection", parts["tokenizer"], 2)
        transformer = SD3Transformer2DModel(
            sample_size=4,
            patch_size=2,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=16,
            pooled_projection_dim=2 * TEXT_WIDTH,
            out_channels=4,
            pos_embed_max_size=8,
        )
    parts["vae"].register_to_config(shift_factor=0.06)
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        tokenizer_2=parts["tokenizer"],
        text_encoder_3=None,
        tokenizer_3=None,
        **parts,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny_sd3"
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture
def settings():
    """Returns a function that makes small settings, any of them changed."""

    def make(**changes) -> GeneratorSettings:
        values = {
            "guidance_scale": 2.5,
            "num_inference_steps": 3,
            "images_per_caption": 2,
            "size_px": 16,
            "batch_size": 8,
            "num_shards": 3,
        }
        return GeneratorSettings(**(values | changes))

    return make


@pytest.fixture
def texts():
    """Returns captions of the corpus, all different."""
    return [
        "a teal handwritten seven on a striped orange background",
        "a nine",
        "a red two",
        "a three",
        "a handwritten five",
        "a four on a checkered background",
    ]


@pytest.fixture
def captions_of():
    """Returns a function that makes a caption set of texts."""

    def make(texts) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "caption_id": [caption_id_of(text) for text in texts],
                "text": list(texts),
                "source": "test",
                "licence": "CC0-1.0",
                "line": range(2, len(texts) + 2),
            }
        )

    return make
