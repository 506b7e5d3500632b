"""The ways in which sums of shifted pictures are computed: by operations of torch, and by compiled code."""
