"""What may be spent, what is, and what is held until a reply has come."""
