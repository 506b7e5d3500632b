"""What the checks are tried on: drawn specs, inputs and cotangents."""
