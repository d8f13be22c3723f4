"""What is durable, and how it is read back."""
