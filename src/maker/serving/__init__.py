"""What listens: the voting proxy and the page of runs (extra `serve`), and tools for agents (extra `mcp`)."""
