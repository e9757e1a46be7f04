#!/bin/sh
# Makes certificates of a private authority: make_certificates.sh FOLDER BROKER_HOST [NAME...]
# FOLDER/ca.crt is for everybody; server.crt and server.key for the broker, which clients reach as BROKER_HOST (a name or
# an address); NAME.crt and NAME.key for the client NAME. Existing files stay. ca.key signs: keep it somewhere else.
set -eu
folder=$1 host=$2 days=${DAYS:-825}
shift 2
mkdir -p "$folder"
cd "$folder"
umask 077 # for the files; the broker, another system user, must be able to enter the folder
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

sign() { # FILE COMMON_NAME EXTENSIONS
  [ -s "$1.crt" ] && return
  # shellcheck disable=SC2086
  openssl req -new $new_key -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'basicConstraints=CA:FALSE\n%s\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$days" -sha256 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
  rm "$1.csr" "$1.ext"
  chmod 644 "$1.crt"
}

if [ ! -s ca.crt ]; then
  # shellcheck disable=SC2086
  openssl req -x509 $new_key -days 3650 -subj "/CN=Sluice" -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt 2>/dev/null
  chmod 644 ca.crt
fi
case $host in
*[!0-9.]*) alternative="DNS:$host" ;;
*) alternative="IP:$host" ;;
esac
case $host in *:*) alternative="IP:$host" ;; esac
sign server "$host" "subjectAltName=$alternative
extendedKeyUsage=serverAuth"
for name in "$@"; do
  case $name in
  '' | ca | server | *[!A-Za-z0-9_.-]*) echo "make_certificates.sh: '$name' cannot be a client's name" >&2 && exit 2 ;;
  esac
  sign "$name" "$name" extendedKeyUsage=clientAuth
done
if [ "$(id -u)" = 0 ] && id mosquitto >/dev/null 2>&1; then chown mosquitto server.key; fi
