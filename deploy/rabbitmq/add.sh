#!/bin/sh
# Adds a client to RabbitMQ, with its rights: add.sh gateway|worker|device NAME <FILE_WITH_ITS_PASSWORD
# A second run sets the rights anew. Run it where rabbitmqctl reaches the broker.
# The root is MQTT_TOPIC_ROOT, sluice/v1.
set -eu
LC_ALL=C
role=$1 name=$2
root=$(echo "${MQTT_TOPIC_ROOT:-sluice/v1}" | sed 's/\./\\./g; s,/,\\.,g')
fail() { echo "add.sh: $1" >&2; exit 2; }

# RabbitMQ takes a dot in a topic for a slash.
case $name in
'' | -* | *[!A-Za-z0-9_-]*) fail "'$name' is no name: letters, digits, _ and - behind the first, no dot" ;;
esac

# Regular expressions for topics, in which / is a dot and + is *. A worker may answer every gateway.
case $role in
gateway)
  write="gateways\.$name\.status|workers\.[^.]+\.inbox|devices\.[^.]+\.down"
  read="gateways\.$name\.(status|replies\.[^.]+)|workers\.[^.]+\.status|devices\.[^.]+\.(up|cancel|status)" ;;
worker)
  write="workers\.$name\.status|gateways\.[^.]+\.replies\.$name"
  read="workers\.$name\.(status|inbox)|gateways\.[^.]+\.status" ;;
device)
  write="devices\.$name\.(status|up|cancel)"
  read="devices\.$name\.down" ;;
*) fail "'$role' is no role: gateway, worker or device" ;;
esac

# A client's queues bear its client id, which must be its username.
queues="mqtt-subscription-${name}qos[01]"
rabbitmqctl -q add_user "$name" || rabbitmqctl -q list_users | grep -q "^$name[[:space:]]" || fail "$name was not added"
rabbitmqctl -q set_permissions "$name" "^$queues\$" "^($queues|amq\.topic)\$" "^($queues|amq\.topic)\$"
rabbitmqctl -q set_topic_permissions "$name" amq.topic "^$root\.($write)\$" "^$root\.($read)\$"

# Messages that wait for one slow client: beyond these the oldest are dropped.
rabbitmqctl -q set_policy --apply-to queues sluice '^mqtt-subscription-' \
  '{"max-length":20000,"max-length-bytes":16777216,"overflow":"drop-head"}'
echo "$role $name may use RabbitMQ"
