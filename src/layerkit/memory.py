"""What running out of memory looks like."""

from __future__ import annotations


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory; torch has no class of its own for it on the CPU."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
