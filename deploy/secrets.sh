#!/bin/sh
# Makes the secrets of a deployment that are not there yet, in the folder `secrets` or the one named; keeps the others.
# Nobody but you can enter the folder; the files in it are readable because containers run as other users.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

make() { # NAME BYTES
    if [ ! -s "$folder/$1" ]; then
        printf %s "$(openssl rand -hex "$2")" >"$folder/$1.new" # a line feed at its end would become part of it
        chmod 444 "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "made $folder/$1"
    fi
}

make PGPASSWORD 24
make AWS_ACCESS_KEY_ID 10
make AWS_SECRET_ACCESS_KEY 20
make MLFLOW_AUTH_ADMIN_PASSWORD 16
make MLFLOW_TRACKING_PASSWORD 24
make ray.token 32

for file in tls.crt tls.key; do
    [ -s "$folder/$file" ] || echo "still to come from you: $folder/$file (RUNBOOK.md, Install)"
done
