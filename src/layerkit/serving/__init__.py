"""A web page on this computer that denoises pictures."""
