#!/bin/sh
# Fills the volumes of docker-compose.yml before the broker and its clients start: the ACL and the hashed passwords
# for the broker, and for each client only its own password. Existing files stay: to add a client run
# `docker compose run --rm broker-config sh /deploy/mosquitto/add.sh /mosquitto/config worker NAME`.
set -eu
config=/mosquitto/config
sluice_user=10001 # as in deploy/Dockerfile

sh /deploy/mosquitto/make_passwords.sh "$config" gateway worker-1 health
[ -s "$config/acl" ] || install -m 600 -o mosquitto -g mosquitto /deploy/mosquitto/acl "$config/acl"
# mosquitto_pub's option file: every user of the machine could see arguments. The broker's container runs as mosquitto, and so
# does its health check.
umask 077
printf -- '-u health\n-P %s\n' "$(cat "$config/health.password")" >"$config/mosquitto_pub"
chown mosquitto "$config/mosquitto_pub"
for client in gateway worker-1; do
  install -m 400 -o "$sluice_user" "$config/$client.password" "/clients/$client/mqtt_password"
done
