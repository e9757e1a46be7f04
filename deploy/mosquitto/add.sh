#!/bin/sh
# Adds a client: add.sh FOLDER gateway|worker|device NAME [--count N]
# Writes its password to FOLDER/NAME.password and its paragraph to FOLDER/acl. A second run changes nothing.
# With --count N the clients are NAME-1 to NAME-N, as the processes of `sluice serve --workers N`.
set -eu
LC_ALL=C
folder=$1 role=$2 name=$3 root=${MQTT_TOPIC_ROOT:-sluice/v1}
fail() { echo "add.sh: $1" >&2; exit 2; }

case $name in
'' | -* | *[!A-Za-z0-9_.-]*) fail "'$name' is no name: letters, digits, _ . and - behind the first" ;;
esac
case ${4-} in
'') names=$name ;;
--count)
  case ${5-} in
  '' | 0* | *[!0-9]*) fail "--count needs a number from 1 on" ;;
  esac
  names= n=1
  while [ "$n" -le "$5" ]; do names="$names $name-$n" n=$((n + 1)); done
  ;;
*) fail "'$4' is no option: --count N" ;;
esac

# The file acl has the rights of each kind, with the reasons.
rights_of() {
  case $role in
  gateway) echo "read $root/gateways/$1/replies/+
read $root/workers/+/status
write $root/workers/+/inbox
read $root/devices/+/up
read $root/devices/+/cancel
read $root/devices/+/status
write $root/devices/+/down" ;;
  worker) echo "read $root/workers/$1/inbox
read $root/gateways/+/status" ;;
  device) echo "write $root/devices/$1/up
write $root/devices/$1/cancel
read $root/devices/$1/down" ;;
  *) fail "'$role' is no role: gateway, worker or device" ;;
  esac
}
rights_of "$name" >/dev/null

access=readwrite
[ "$role" != device ] || access=write

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

add() {
  [ ${#1} -le 64 ] || fail "a name has at most 64 characters"
  own="topic $access $root/${role}s/$1/status"
  bring_up_to_date
  if grep -qxF "user $1" "$folder/acl" 2>/dev/null; then
    grep -qxF "$own" "$folder/acl" || fail "$1 is in $folder/acl already, as something else"
  else
    { printf '\nuser %s\n%s\n' "$1" "$own" && rights_of "$1" | sed 's/^/topic /'; } >>"$folder/acl"
  fi
  bring_up_to_date
  sh "$(dirname "$0")/make_passwords.sh" "$folder" "$1"
  echo "$role $1: its password is in $folder/$1.password"
}

for each in $names; do add "$each"; done
echo "Mosquitto reads its files again on SIGHUP: docker compose kill -s HUP mosquitto, or systemctl reload mosquitto"
[ "$role" != device ] || echo "Once there are keys, register it too: sluice devices add $name --user USER"
