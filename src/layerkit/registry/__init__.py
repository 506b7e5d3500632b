"""From installed plugins to the catalogue of all components."""
