"""One file per question; each prints a table and says what it shows."""
