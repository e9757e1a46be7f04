#!/bin/sh
# Adds a client: add.sh FOLDER gateway|worker|device NAME
# Writes its password to FOLDER/NAME.password and its paragraph to FOLDER/acl. A second run changes nothing.
set -eu
LC_ALL=C
folder=$1 role=$2 name=$3 root=${MQTT_TOPIC_ROOT:-sluice/v1}
fail() { echo "add.sh: $1" >&2; exit 2; }

case $name in
'' | -* | *[!A-Za-z0-9_.-]*) fail "'$name' is no name: letters, digits, _ . and - behind the first" ;;
esac
[ ${#name} -le 64 ] || fail "a name has at most 64 characters"

# The file acl has the rights of each kind, with the reasons.
case $role in
gateway) rights="read $root/gateways/$name/replies/+
read $root/workers/+/status
write $root/workers/+/inbox
read $root/devices/+/up
read $root/devices/+/cancel
read $root/devices/+/status
write $root/devices/+/down" ;;
worker) rights="read $root/workers/$name/inbox
read $root/gateways/+/status" ;;
device) rights="write $root/devices/$name/up
write $root/devices/$name/cancel
read $root/devices/$name/down" ;;
*) fail "'$role' is no role: gateway, worker or device" ;;
esac

access=readwrite
[ "$role" != device ] || access=write
own="topic $access $root/${role}s/$name/status"

# Each worker has one line for each gateway. Older files have a + instead, and let a device read its own status.
bring_up_to_date() {
  [ -s "$folder/acl" ] || return 0
  updated=$(awk -v own="$root/" '
    $1 == "user" { worker = "" }
    { split("", level); if (index($3, own) == 1) split(substr($3, length(own) + 1), level, "/") }
    NR == FNR { if (level[1] == "gateways" && level[3] == "status" && $2 == "readwrite") gateways[level[2]]; next }
    level[1] == "devices" && level[3] == "status" && $2 == "readwrite" { sub("readwrite", "write") }
    level[3] == "replies" && $2 == "write" && worker != "" && level[4] == worker { next }
    { print }
    level[1] == "workers" && level[3] == "status" && $2 == "readwrite" {
      worker = level[2]
      for (gateway in gateways) print "topic write " own "gateways/" gateway "/replies/" worker
    }' "$folder/acl" "$folder/acl")
  [ "$updated" = "$(cat "$folder/acl")" ] || printf '%s\n' "$updated" >"$folder/acl"
}

bring_up_to_date
if grep -qxF "user $name" "$folder/acl" 2>/dev/null; then
  grep -qxF "$own" "$folder/acl" || fail "$name is in $folder/acl already, as something else"
else
  { printf '\nuser %s\n%s\n' "$name" "$own" && echo "$rights" | sed 's/^/topic /'; } >>"$folder/acl"
fi
bring_up_to_date
sh "$(dirname "$0")/make_passwords.sh" "$folder" "$name"
echo "$role $name: its password is in $folder/$name.password"
echo "Mosquitto reads its files again on SIGHUP: docker compose kill -s HUP mosquitto, or systemctl reload mosquitto"
[ "$role" != device ] || echo "Once there are keys, register it too: sluice devices add $name --user USER"
