"""Sweeps as data: from an experiment file to trials, their results, and a page that compares them with the report.

JSON text -> Experiment (spec) -> trials (plan) -> results (sweep) -> charts and tables -> page
"""
