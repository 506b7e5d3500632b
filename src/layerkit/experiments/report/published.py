"""What the report has that no experiment's file holds: the one place for its numbers.

The report is "Report: Mini-Project 2" by Maochen Xu, Zhipeng Mao and Yifeng Chen, for the course EE-559 "Deep
Learning" at EPFL.
"""

from __future__ import annotations

PARAMETERS = 27_019
"""Parameters of the network in its Table I."""
NOISY_PSNR = 20.72
"""Mean PSNR of the course's noisy validation pictures, in dB."""
PICTURES_A_MEAN = 10_000
"""Training pictures over which its loss curve is averaged for each point."""
