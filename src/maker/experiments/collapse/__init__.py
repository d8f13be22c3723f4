"""Small policies that lose their variety in training, what a vote makes of them, and which cure helps which illness."""
