"""The page of an experiment: sections, tables and charts."""
