"""Steps that are not all alike: kinds and stretches that err more than the rest; runs are planned by their worst part."""
