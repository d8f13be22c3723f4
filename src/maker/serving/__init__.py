"""What listens: the voting proxy, and the page of runs. Both need the extra `serve`."""
