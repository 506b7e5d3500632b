"""``python -m layerkit``."""

from layerkit.cli import main

if __name__ == "__main__":
    main()
