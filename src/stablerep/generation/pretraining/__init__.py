"""Makes a generator: a real, small Stable Diffusion, from captioned images.

Up to three parts: tokenizer, autoencoder (in latent space alone), denoiser (UNet and text encoder); the two
networks' trainings are resumable. The images are a parameter, see `captioned_pixels`. The result is a folder
that `StableDiffusionPipeline.from_pretrained` loads.
"""
