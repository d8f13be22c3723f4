"""Steps that are not all alike: kinds and stretches that err more than the rest, and plans by the worst of them."""
