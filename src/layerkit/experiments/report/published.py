"""Numbers of the report that are not in the experiments' files.

The report is "Report: Mini-Project 2" by Maochen Xu, Zhipeng Mao and Yifeng Chen, for the course EE-559 "Deep
Learning" at EPFL.
"""

from __future__ import annotations

PARAMETERS = 27_019
"""The parameter count of the network in its Table I."""
NOISY_PSNR = 20.72
"""The mean PSNR of the course's noisy validation pictures, in dB."""
PICTURES_A_MEAN = 10_000
"""The number of training pictures over which each point of its loss curve is averaged."""
