#!/bin/sh
# Puts a backup of backup.sh back, for a deployment by Compose: ./restore.sh database|everything BACKUP
# `database` leaves the objects as they are. Nothing is deleted before the backup was read to its end.
set -eu
what=${1:-} backup=${2:-}
case $what in
    database | everything) ;;
    *)
        echo "usage: $0 database|everything BACKUP, such as $0 database backup/2026-11-23T021700Z" >&2
        exit 2
        ;;
esac
cd "$(dirname "$0")"
services=$(docker compose config --services)

has() { # SERVICE
    echo "$services" | grep -qx "$1"
}
objects=""
if [ "$what" = everything ] && has objects; then
    objects=objects
fi

docker compose run --rm --no-deps -T postgres pg_restore --file=/dev/null <"$backup/database.dump"
[ -z "$objects" ] || tar --list --file="$backup/objects.tar" ./caviar >/dev/null

if [ "$what" = everything ]; then
    docker compose down --volumes
else
    for one in mlflow scheduler; do # whoever would make tables in the empty database
        if has "$one"; then docker compose stop "$one"; fi
    done
    docker compose rm --stop --force postgres
    docker volume rm --force caviar_database
fi

docker compose up -d --wait postgres $objects
docker compose exec -T postgres pg_restore --username=caviar --dbname=caviar --exit-on-error <"$backup/database.dump"
if [ -n "$objects" ]; then
    docker compose exec -T objects tar --extract --directory=/var/lib/caviar/objects <"$backup/objects.tar"
fi
docker compose up -d --wait
