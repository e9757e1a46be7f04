#!/bin/sh
# The image's first process: takes the broker's password out of the file that MQTT_PASSWORD_FILE names, and becomes sluice.
set -eu
if [ -n "${MQTT_PASSWORD_FILE:-}" ]; then
  MQTT_PASSWORD=$(cat "$MQTT_PASSWORD_FILE")
  export MQTT_PASSWORD
fi
exec sluice "$@"
