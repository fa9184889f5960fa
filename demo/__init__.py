"""The tour of `make demo`: it uses a running instance as any HTTP client would."""
