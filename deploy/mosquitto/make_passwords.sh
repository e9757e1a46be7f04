#!/bin/sh
# Makes a password for each client that has none yet: make_passwords.sh FOLDER NAME...
# FOLDER/NAME.password is the client's copy, FOLDER/passwd the broker's, hashed. Neither is ever committed.
set -eu
umask 077
folder=$1
shift
# The image's broker runs as user mosquitto. Elsewhere that user may not exist, or chown may be forbidden.
give() { if [ "$(id -u)" = 0 ] && id mosquitto >/dev/null 2>&1; then chown mosquitto "$1"; fi; }
new=$folder/passwd.new
trap 'rm -f "$new"' EXIT # until it is hashed it has the password
touch "$folder/passwd"
for name in "$@"; do
  own=$folder/$name.password
  if [ -s "$own" ] && awk -F: -v name="$name" '$1 == name { found = 1 } END { exit !found }' "$folder/passwd"; then continue; fi
  [ -s "$own" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$own"
  [ -s "$own" ] || { echo "make_passwords.sh: no password could be made for $name: od is missing" >&2; exit 1; }
  # Not as an argument (-b): every user of the machine could see it meanwhile.
  printf '%s:%s\n' "$name" "$(cat "$own")" >"$new"
  mosquitto_passwd -U "$new"
  awk -F: -v name="$name" '$1 != name' "$folder/passwd" >>"$new"
  give "$new"
  mv "$new" "$folder/passwd"
done
give "$folder/passwd"
