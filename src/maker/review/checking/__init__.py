"""Whether a journal shows what it says: every vote counted again, by code that the engine does not share."""
