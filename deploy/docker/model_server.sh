#!/bin/sh
# Starts the container `llama` of docker-compose.yml: with the model that is mounted at own.gguf, else with the demo model.
set -eu
program="/opt/llama/bin/python /opt/llama/server_program.py --host 0.0.0.0"
if [ -s /models/own.gguf ]; then
  exec $program /models/own.gguf 8080 --alias "$MODEL_NAME" --threads "$MODEL_THREADS" \
    --parallel "$MODEL_SLOTS" --ctx-per-slot "$MODEL_CONTEXT"
fi
exec $program /models/tiny.gguf 8080 --tokens-per-s 40
