"""Chaos: real processes, a seeded mix of jobs, and every fault that the promises name.

    python -m bench.chaos --quick --seed 7

The client keeps a ledger of what it was told, each job leaves its traces in a file of its own outside the broker, and
at the end the two are compared: what was lost, ran unasked, took effect twice or went back.
"""
