"""Models over HTTP: any server that speaks the chat completions of OpenAI."""

from maker.models.openai.client import OpenAI

__all__ = ["OpenAI"]
