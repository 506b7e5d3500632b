from array import array

def add_up(
    is_double: bool, target: int, source: int, bias: int, threads: int, plan: array[int], factors: array[float], /
) -> None: ...
