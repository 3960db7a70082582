"""The client-side cache of the stock redis-py over a cluster: hits come from the client, other clients' writes are seen.

Each line on standard input begins a turn: another client writes every key, and the new values must be read.
"""

import argparse
import sys
import time

import redis
from redis.cache import CacheConfig
from redis.cluster import RedisCluster

KEYS = [f"cached:{n}" for n in range(300)]
# An invalidation has no time at which it must be there; this is when it is called lost.
PATIENCE = 5.0


def read_until(client, key, value):
    """Reads until the cache gives the new value."""
    give_up = time.monotonic() + PATIENCE
    while (got := client.get(key)) != value:
        if time.monotonic() > give_up:
            raise SystemExit(f"{key}: {got!r} after {PATIENCE} s, not {value!r}: the invalidation is lost")
        time.sleep(0.001)


def lookups(client):
    """Lookups that the nodes have answered, over all of them."""
    return sum(
        info["keyspace_hits"] + info["keyspace_misses"]
        for info in client.info("stats", target_nodes=RedisCluster.PRIMARIES).values()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    address = {"host": options.host, "port": options.port}
    reader = RedisCluster(**address, protocol=3, cache_config=CacheConfig(max_size=1000))
    writer = RedisCluster(**address, protocol=2)
    for key in KEYS:
        assert reader.get(key) is None
    for key in KEYS:
        writer.set(key, 0)
    turn = 0
    while True:
        for key in KEYS:
            read_until(reader, key, b"%d" % turn)
        # While it learns a new map from MOVED, redis-py gives up some of its copies: they are read once more.
        for key in KEYS:
            assert reader.get(key) == b"%d" % turn
        before = lookups(writer)
        for key in KEYS:
            assert reader.get(key) == b"%d" % turn
        answered = lookups(writer) - before
        assert answered == 0, f"{answered} of {len(KEYS)} reads went to a node: nothing is cached"
        print(f"redis-py {redis.__version__}: {len(KEYS)} keys cached and seen to change, turn {turn}", flush=True)
        if not sys.stdin.readline():
            return
        turn += 1
        for key in KEYS:
            writer.set(key, turn)


if __name__ == "__main__":
    sys.exit(main())
