"""A llama.cpp server over HTTP, real tokens; the only home of httpx."""
