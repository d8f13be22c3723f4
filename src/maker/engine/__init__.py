"""The run: ready -> settle -> commit -> advance, again and again. On asyncio only."""
