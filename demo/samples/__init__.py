"""Sample inputs for the tour and the tests."""
