"""The transport to models behind HTTP: llama.cpp's server and what speaks its OpenAI-compatible API."""
