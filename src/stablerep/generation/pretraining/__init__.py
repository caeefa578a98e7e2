"""Makes the embedded generator: a real, tiny Stable Diffusion, from captioned images.

Three parts, each resumable: tokenizer, autoencoder, denoiser (UNet and text encoder). The images are a
parameter, see `captioned_pixels`. The result is a folder that `StableDiffusionPipeline.from_pretrained`
loads.
"""
