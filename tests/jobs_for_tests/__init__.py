"""Jobs that the tests run: each behaves, or misbehaves, in one way."""
