"""How one value is read from a reply as people and models write it, and what of it counts."""
