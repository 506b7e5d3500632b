"""A page on this computer on which pictures are denoised."""
