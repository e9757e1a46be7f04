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
  # Not as an argument (-b): every user of the machine could see it meanwhile.
  printf '%s:%s\n' "$name" "$(cat "$folder/$name.password")" >"$folder/passwd.new"
  mosquitto_passwd -U "$folder/passwd.new"
  awk -F: -v name="$name" '$1 != name' "$folder/passwd" >>"$folder/passwd.new"
  cat "$folder/passwd.new" >"$folder/passwd"
  rm "$folder/passwd.new"
done
# The image's broker runs as user mosquitto. Elsewhere that user may not exist, or chown may be forbidden.
if [ "$(id -u)" = 0 ] && id mosquitto >/dev/null 2>&1; then chown mosquitto "$folder/passwd"; fi
