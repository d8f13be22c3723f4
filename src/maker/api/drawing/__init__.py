"""How an estimate and a comparison draw: part by part, as much as it is worth, several arms in turn."""
