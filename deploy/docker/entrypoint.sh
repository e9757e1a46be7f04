#!/bin/sh
# The image's first process: takes the broker's password from the file MQTT_PASSWORD_FILE, if any, and becomes sluice.
set -eu
if [ -n "${MQTT_PASSWORD_FILE:-}" ]; then
  MQTT_PASSWORD=$(cat "$MQTT_PASSWORD_FILE")
  export MQTT_PASSWORD
fi
exec sluice "$@"
