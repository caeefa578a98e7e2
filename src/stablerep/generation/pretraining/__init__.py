"""Makes the embedded generator: a real, tiny Stable Diffusion, from captioned digit scenes.

Three parts, each resumable: tokenizer, autoencoder, denoiser (UNet and text encoder). The result is a
folder that `StableDiffusionPipeline.from_pretrained` loads.
"""
