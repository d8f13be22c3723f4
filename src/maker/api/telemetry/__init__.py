"""What a run does, told to OpenTelemetry."""
