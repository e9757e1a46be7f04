#!/bin/sh
# Fills the volumes of compose.cluster.yml before the broker and its clients start: the ACL and the hashed passwords for
# the broker, and for each client only its own password. Existing files stay.
set -eu
config=/mosquitto/config
sluice_user=10001 # as in deploy/Dockerfile

sh /deploy/mosquitto/add.sh "$config" gateway gateway --count 3
sh /deploy/mosquitto/add.sh "$config" worker worker --count 2
sh /deploy/mosquitto/make_passwords.sh "$config" health
chmod 600 "$config/acl"
# mosquitto_pub's option file: every user of the machine could see arguments. The broker's container runs as mosquitto, and so
# does its health check.
umask 077
printf -- '-u health\n-P %s\n' "$(cat "$config/health.password")" >"$config/mosquitto_pub"
chown mosquitto:mosquitto "$config/acl" "$config/mosquitto_pub"
for folder in /clients/*; do
  client=${folder##*/}
  install -m 400 -o "$sluice_user" "$config/$client.password" "$folder/mqtt_password"
done
