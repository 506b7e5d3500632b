"""How layers with windows are computed fast."""
