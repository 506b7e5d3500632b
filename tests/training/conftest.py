from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]  # for tape.py
sys.path.insert(0, str(Path(__file__).parents[1] / "distributed"))  # for together.py and works.py
