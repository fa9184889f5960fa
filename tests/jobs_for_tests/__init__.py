"""Jobs for tests. Each behaves or misbehaves in one way."""
