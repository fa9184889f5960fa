"""The demo: a tour of `make demo` that uses a running instance as any HTTP client would."""
