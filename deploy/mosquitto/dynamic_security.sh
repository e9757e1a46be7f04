#!/bin/sh
# Copies the rights of FOLDER/acl and the passwords of FOLDER/NAME.password into Mosquitto's dynamic-security plugin,
# which refuses subscriptions, as an acl_file cannot: dynamic_security.sh FOLDER OPTIONS...
# OPTIONS are mosquitto_ctrl's, of a running broker: -h HOST -p PORT. User and password of the administrator belong in its
# option file, ~/.config/mosquitto_ctrl, with the lines `-u ADMIN` and `-P PASSWORD`: every user of the machine can see
# arguments. Clients without a password file are left out. A second run adds new clients.
set -eu
folder=$1
shift
name=

# mosquitto_ctrl prints errors on stderr and exits with 0 all the same.
[ -n "$(mosquitto_ctrl "$@" dynsec listRoles)" ] || { echo "dynamic_security.sh: nothing was brought over" >&2; exit 2; }

allow() { mosquitto_ctrl "$@" allow >/dev/null 2>&1 || true; } # it exists already

while read -r kind access topic; do
  if [ "$kind" = user ]; then
    name=$access
    [ -s "$folder/$name.password" ] || name=
    [ -n "$name" ] || continue
    mosquitto_ctrl "$@" dynsec createRole "$name" >/dev/null 2>&1 || true
    password=$(cat "$folder/$name.password")
    printf '%s\n%s\n' "$password" "$password" | mosquitto_ctrl "$@" dynsec createClient "$name" -c "$name" >/dev/null 2>&1 || true
    mosquitto_ctrl "$@" dynsec addClientRole "$name" "$name" >/dev/null 2>&1 || true
  elif [ "$kind" = topic ] && [ -n "$name" ]; then
    case $access in *write) allow "$@" dynsec addRoleACL "$name" publishClientSend "$topic" ;; esac
    case $access in read*) allow "$@" dynsec addRoleACL "$name" subscribeLiteral "$topic" ;; esac
    case "$access $topic" in "read "*/devices/+/up) allow "$@" dynsec addRoleACL "$name" subscribeLiteral "\$share/gateways/$topic" ;; esac
  fi
done <"$folder/acl"
