"""The jobs that the benchmark runs on this project: a package of its own for JOB_PACKAGES."""
