#!/bin/sh
# Makes a password for each client that has none yet: make_passwords.sh FOLDER NAME...
# FOLDER/NAME.password is the client's copy, FOLDER/passwd the broker's, hashed. Neither is ever committed.
set -eu
umask 077
folder=$1
shift
touch "$folder/passwd"
for name in "$@"; do
  [ -s "$folder/$name.password" ] && continue
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name.password"
  mosquitto_passwd -b "$folder/passwd" "$name" "$(cat "$folder/$name.password")"
done
# The image's broker runs as user mosquitto. Elsewhere that user may not exist, or chown may be forbidden.
if [ "$(id -u)" = 0 ] && id mosquitto >/dev/null 2>&1; then chown mosquitto "$folder/passwd"; fi
