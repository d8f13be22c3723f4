"""What most records of a long journal are, read many at a time."""
