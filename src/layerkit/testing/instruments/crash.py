"""What an exception that nobody expected says about where it came from."""

from __future__ import annotations

import traceback
from types import TracebackType


def crash(error: BaseException) -> str:
    """Return one line: the exception, and the place where the component's own code was left."""
    where = place_of(error.__traceback__)
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}{where}: {first}"


def place_of(trace: TracebackType | None) -> str:
    """Return `` in function, line 3``, of the last line that is neither torch's nor the kit's; nothing without one."""
    frame = last_own_frame(trace)
    return f" in {frame.name}, line {frame.lineno}" if frame else ""


def last_own_frame(trace: TracebackType | None) -> traceback.FrameSummary | None:
    """Return the place where the code that is tested was left."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if "layerkit/testing" not in frame.filename.replace("\\", "/")]
    outside = [frame for frame in own if "site-packages" not in frame.filename] or own or list(frames)
    # That torch's engine was at work when torch raised says nothing.
    return outside[-1] if outside and "/torch/autograd/" not in outside[-1].filename.replace("\\", "/") else None
