"""Chaos: real processes, a seeded mix of jobs, and every fault that the system promises to survive.

    python -m bench.chaos --quick --seed 7

The client keeps a ledger of every response. Each job writes its traces to its own file outside the broker. At the end
the two are compared: which jobs were lost, ran without being submitted, took effect twice, or went back in progress.
"""
