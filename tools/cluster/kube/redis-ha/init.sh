# Who is master is what a Sentinel of another pod says; if none answers, three times over, this is the beginning, and the first pod is. Once is not enough: for its first second or two a pod is known to nobody who lets it in.
set -eu
index=${POD_NAME##*-} master=
for other in 0 1 2 again 0 1 2 again 0 1 2; do
  [ $other != $index ] || continue
  [ $other != again ] || { sleep 5; continue; }
  timeout 3 redis-cli -h 10.96.100.$other -p 26379 sentinel get-master-addr-by-name vow >/data/answer 2>/dev/null || continue
  read -r master </data/answer || true
  [ -z "$master" ] || break
done
echo "master: ${master:-none is known}"
: "${master:=10.96.100.0}"
{
  while read -r line; do echo "$line"; done </readonly-config/redis.conf
  printf 'dir /data\nport 6379\nrequirepass %s\nmasterauth %s\nslave-announce-ip 10.96.100.%s\nslave-announce-port 6379\n' "$REDISCLI_AUTH" "$REDISCLI_AUTH" $index
  [ $master = 10.96.100.$index ] || echo "slaveof $master 6379"
} >/data/redis.conf
{
  printf 'dir /data\nport 26379\nsentinel myid 00000000000000000000000000000000000000a%s\nsentinel monitor vow %s 6379 2\n' $index $master
  while read -r line; do echo "$line"; done </readonly-config/sentinel.conf
  printf 'sentinel auth-pass vow %s\nsentinel announce-ip 10.96.100.%s\nsentinel announce-port 26379\n' "$REDISCLI_AUTH" $index
} >/data/sentinel.conf
