"""What the tests use."""
