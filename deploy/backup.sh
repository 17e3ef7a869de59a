#!/bin/sh
# One more backup of a deployment by Compose, as a dated folder in `backup`, of which the newest 14 are kept. What is
# there is not touched before the new one is whole. For cron: it ends with 0 only then, and says what was wrong if not.
set -eu
umask 077 # a dump has people's users, and their passwords as hashes
cd "$(dirname "$0")"
done=backup/$(date --utc +%Y-%m-%dT%H%M%SZ)
mkdir -p backup
rm -rf backup/*.partial
mkdir "$done.partial"

docker compose exec -T postgres pg_dump --username=caviar --format=custom caviar >"$done.partial/database.dump"
docker compose exec -T postgres pg_restore --file=/dev/null <"$done.partial/database.dump" # reads all of it

# tar ends with 1 where a file changed or went while it read: a sweep runs, and what is lacking it sends again.
if docker compose config --services | grep -qx objects; then
    # shellcheck disable=SC2016  # for the container's shell
    docker compose exec -T objects sh -c 'tar --create --directory=/var/lib/caviar/objects . || [ $? -eq 1 ]' \
        >"$done.partial/objects.tar"
    tar --list --file="$done.partial/objects.tar" ./caviar >/dev/null
fi

mv "$done.partial" "$done"
find backup -maxdepth 1 -name '*Z' | sort | head -n -14 | xargs -r rm -r
echo "made $done"
