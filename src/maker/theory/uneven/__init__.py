"""Steps that are not all alike: kinds and stretches that err more than the rest, and runs planned by their worst part."""
