#!/bin/sh
# The smallest worker: subscribes to its inbox and answers each request with one `reply`. Needs mosquitto-clients and jq.
# Ctrl-C ends it: mosquitto_sub disconnects in order then, so the broker drops its last will, and the last line says `lost` instead.
trap : INT
on="-h ${MQTT_BROKER_HOST:-127.0.0.1} -p ${MQTT_BROKER_PORT:-1883} -q 1" name=${WORKER_NAME:-shell-1} root=${MQTT_TOPIC_ROOT:-sluice/v1}
mosquitto_sub $on -R -i "$name" -t "$root/workers/$name/inbox" --will-topic "$root/workers/$name/status" --will-payload '{"type":"status","state":"lost"}' --will-retain --will-qos 1 |
  jq -Rr --unbuffered --arg ours "^$root/gateways/[-A-Za-z0-9_.]+/replies/$name\\z" 'fromjson? | select(.type == "request" and (.v // 1) == 1 and (.reply_to | test($ours))) | .reply_to, ({type: "reply", id, text: "You said: \(.messages[-1].content)"} | tojson)' |
  { sleep 1; mosquitto_pub $on -r -t "$root/workers/$name/status" -m '{"type":"status","state":"ready","models":["shell"]}'; while read -r topic && read -r reply; do printf %s "$reply" | mosquitto_pub $on -t "$topic" -s; done; }
mosquitto_pub $on -r -t "$root/workers/$name/status" -m '{"type":"status","state":"lost"}'
