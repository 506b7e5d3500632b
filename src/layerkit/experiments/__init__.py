"""Sweeps as data: from an experiment file to trials, their results, and a page with figures beside the report's.

JSON text -> Experiment (spec) -> trials (plan) -> results (sweep) -> charts and tables -> page
"""
