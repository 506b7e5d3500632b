"""The page with the results of experiments: sections, tables and charts."""
