"""What a run would ask and cost at the least, likely and at the most, said before a single call."""
