"""The schedules that come with layerkit, one per file; importing a file's classes here registers them."""

from layerkit.builtin.schedules.cosine import Cosine as Cosine, CosineSpec as CosineSpec
from layerkit.builtin.schedules.linear import LinearSchedule as LinearSchedule, LinearScheduleSpec as LinearScheduleSpec
from layerkit.builtin.schedules.steps import Steps as Steps, StepsSpec as StepsSpec
