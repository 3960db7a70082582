"""Every command that a node lists in COMMAND, through the stock redis-py, in RESP2 and RESP3.

The examples below are data: arguments and what the reply must be (a value, or a function that says whether it is right). A
command that the node lists and that has no example here fails the run, and so does an example of a command it does not list.
"""

import argparse
import sys
import time

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot

OK = b"OK"
FAR = int(time.time()) + 1000


def between(low, high):
    return lambda reply: isinstance(reply, (int, float)) and low <= reply <= high


def contains(*parts):
    return lambda reply: all(part in text(reply) for part in parts)


def is_error(prefix):
    """redis-py takes `ERR ` off and turns known codes into classes: the words that are left are what users read."""
    return lambda reply: isinstance(reply, redis.RedisError) and str(reply).startswith(prefix)


def items(reply):
    """A RESP2 flat list or a RESP3 map as a dict."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def text(reply):
    if isinstance(reply, bytes):
        return reply.decode()
    return repr(reply)


def whole_map(reply):
    """CLUSTER SLOTS: every slot once, sorted, explicit host, a 40-character id."""
    next_slot = 0
    for first, last, (host, port, node_id, _metadata) in (row[:3] for row in reply):
        if first != next_slot or not host or port <= 0 or len(node_id) != 40:
            return False
        next_slot = last + 1
    return next_slot == 16384


def listed(reply):
    return {name.decode() for name in reply}


# Keys are {t}…: one slot, so that one connection to its owner serves them all.
EXAMPLES = [
    (["PING"], b"PONG"),
    (["PING", "hello"], b"hello"),
    (["ECHO", "hello"], b"hello"),
    (["SELECT", "0"], OK),
    (["SELECT", "1"], is_error("SELECT is not allowed in cluster mode")),
    (["AUTH", "secret"], is_error("AUTH <password> called without any password")),
    (["TIME"], lambda r: abs(int(r[0]) - time.time()) < 60),
    (["READONLY"], OK),
    (["READWRITE"], OK),
    (["ASKING"], OK),
    (["INFO"], contains("redis_mode:cluster", "redis_version:7", "loading:0")),
    (["CONFIG", "GET", "cluster-require-full-coverage"], lambda r: b"cluster-require-full-coverage" in items(r)),
    (["CONFIG", "HELP"], lambda r: b"HELP" in r),
    (["COMMAND", "COUNT"], between(50, 500)),
    (["COMMAND", "INFO", "get"], lambda r: (r["get"] if isinstance(r, dict) else r[0])[0] == b"get"),
    (["COMMAND", "DOCS", "get"], lambda r: b"get" in items(r)),
    (["COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"], [b"a", b"b"]),
    (["COMMAND", "LIST"], lambda r: b"get" in r),
    (["CLUSTER", "SLOTS"], whole_map),
    (["CLUSTER", "SHARDS"], lambda r: len(r) >= 1),
    (["CLUSTER", "NODES"], contains("myself", "connected")),
    (["CLUSTER", "INFO"], contains("cluster_state:ok", "cluster_slots_assigned:16384")),
    (["CLUSTER", "MYID"], lambda r: len(r) == 40),
    (["CLUSTER", "KEYSLOT", "{t}x"], key_slot(b"t")),
    (["CLIENT", "SETNAME", "tester"], OK),
    (["CLIENT", "GETNAME"], b"tester"),
    (["CLIENT", "ID"], between(1, 2**53)),
    (["CLIENT", "INFO"], contains("name=tester")),
    (["CLIENT", "LIST"], contains("name=tester")),
    (["CLIENT", "SETINFO", "LIB-NAME", "tester"], OK),
    (["CLIENT", "SETINFO", "LIB-VER", "1.0"], OK),
    (["CLIENT", "NO-EVICT", "ON"], OK),
    (["CLIENT", "NO-TOUCH", "OFF"], OK),
    (["FLUSHALL"], OK),
    (["FLUSHDB"], OK),
    (["DBSIZE"], 0),
    (["SET", "{t}a", "1"], OK),
    (["SET", "{t}a", "2", "NX"], None),
    (["SET", "{t}a", "2", "XX", "GET"], b"1"),
    (["SET", "{t}a", "3", "EX", "100"], OK),
    (["SET", "{t}a", "4", "KEEPTTL"], OK),
    (["TTL", "{t}a"], between(99, 100)),
    (["SET", "{t}a", "5", "PX", "100000"], OK),
    (["PTTL", "{t}a"], between(90_000, 100_000)),
    (["SET", "{t}a", "6", "EXAT", str(FAR)], OK),
    (["EXPIRETIME", "{t}a"], FAR),
    (["SET", "{t}a", "7", "PXAT", str(FAR * 1000)], OK),
    (["PEXPIRETIME", "{t}a"], FAR * 1000),
    (["SET", "{t}a", "8", "EX", "0"], is_error("invalid expire time in 'set' command")),
    (["GET", "{t}a"], b"7"),
    (["GET", "{t}none"], None),
    (["STRLEN", "{t}a"], 1),
    (["TYPE", "{t}a"], b"string"),
    (["TYPE", "{t}none"], b"none"),
    (["EXISTS", "{t}a", "{t}a", "{t}none"], 2),
    (["TOUCH", "{t}a", "{t}none"], 1),
    (["PERSIST", "{t}a"], 1),
    (["TTL", "{t}a"], -1),
    (["EXPIRE", "{t}a", "100"], 1),
    (["EXPIRE", "{t}a", "50", "GT"], 0),
    (["PEXPIRE", "{t}a", "200000"], 1),
    (["EXPIREAT", "{t}a", str(FAR)], 1),
    (["PEXPIREAT", "{t}a", str(FAR * 1000)], 1),
    (["TTL", "{t}none"], -2),
    (["SETNX", "{t}a", "x"], 0),
    (["SETEX", "{t}b", "100", "v"], OK),
    (["PSETEX", "{t}b", "100000", "w"], OK),
    (["GETSET", "{t}b", "z"], b"w"),
    (["GETEX", "{t}b", "PERSIST"], b"z"),
    (["GETDEL", "{t}b"], b"z"),
    (["MSET", "{t}c", "1", "{t}d", "2"], OK),
    (["MGET", "{t}c", "{t}none", "{t}d"], [b"1", None, b"2"]),
    (["MGET", "{t}c", "other"], is_error("Keys in request don't hash to the same slot")),
    (["INCR", "{t}c"], 2),
    (["INCRBY", "{t}c", "10"], 12),
    (["DECR", "{t}c"], 11),
    (["DECRBY", "{t}c", "10"], 1),
    (["INCRBYFLOAT", "{t}c", "0.5"], b"1.5"),
    (["INCR", "{t}c"], is_error("value is not an integer or out of range")),
    (["DBSIZE"], 3),
    (["SCAN", "0", "MATCH", "{t}*", "COUNT", "1000"], lambda r: set(r[1]) <= {b"{t}a", b"{t}c", b"{t}d"}),
    (["CLUSTER", "COUNTKEYSINSLOT", str(key_slot(b"t"))], 3),
    (["CLUSTER", "GETKEYSINSLOT", str(key_slot(b"t")), "10"], lambda r: set(r) == {b"{t}a", b"{t}c", b"{t}d"}),
    (["DEL", "{t}a", "{t}none"], 1),
    (["UNLINK", "{t}c"], 1),
    (["WATCH", "{t}d"], OK),
    (["UNWATCH"], OK),
    (["MULTI"], OK),
    (["SET", "{t}d", "5"], b"QUEUED"),
    (["PTTL", "{t}d"], b"QUEUED"),
    (["GET", "{t}d"], b"QUEUED"),
    (["EXEC"], [OK, -1, b"5"]),
    (["MULTI"], OK),
    (["DISCARD"], OK),
    (["GET"], is_error("wrong number of arguments for 'get' command")),
    (["NOSUCH"], is_error("unknown command 'NOSUCH'")),
    (["RESET"], lambda r: r in (b"RESET", "RESET")),
]
# Served, but a connection cannot go on in the same protocol after them: asked in other ways below.
ELSEWHERE = {"hello", "quit", "client|reply", "client|kill"}


def raw(connection, args):
    connection.send_command(*args)
    try:
        return connection.read_response()
    except redis.RedisError as error:
        return error


def check(connection, args, expected):
    reply = raw(connection, args)
    right = expected(reply) if callable(expected) else not isinstance(reply, Exception) and reply == expected
    if not right:
        wanted = "what its check wants" if callable(expected) else repr(expected)
        shown = f"error {reply}" if isinstance(reply, Exception) else repr(reply)
        raise SystemExit(f"{' '.join(args)}: {shown} is not {wanted}")


def every_command(host, port, protocol):
    connection = redis.Connection(host=host, port=port, protocol=protocol)
    for args, expected in EXAMPLES:
        check(connection, args, expected)
    connection.disconnect()

    hello = redis.Connection(host=host, port=port, protocol=protocol)
    check(hello, ["HELLO", str(protocol)], lambda r: items(r)[b"proto"] == protocol and items(r)[b"mode"] == b"cluster")
    check(hello, ["HELLO", "4"], is_error("NOPROTO"))
    check(hello, ["QUIT"], OK)
    hello.disconnect()

    silent = redis.Connection(host=host, port=port, protocol=protocol)
    silent.send_command("CLIENT", "REPLY", "OFF")
    silent.send_command("SET", "{t}silent", "1")
    check(silent, ["CLIENT", "REPLY", "ON"], OK)
    check(silent, ["GET", "{t}silent"], b"1")
    victim = redis.Connection(host=host, port=port, protocol=protocol)
    number = raw(victim, ["CLIENT", "ID"])
    check(silent, ["CLIENT", "KILL", "ID", str(number)], 1)
    try:
        victim.send_command("PING")
        victim.read_response()
        raise SystemExit("CLIENT KILL ID left its victim connected")
    except redis.ConnectionError:
        pass

    every = listed(raw(silent, ["COMMAND", "LIST"]))
    shown = {args[0].lower() for args, _ in EXAMPLES} | {"client", "hello", "quit"}
    missing, extra = every - shown, shown - every - {"nosuch"}
    if missing or extra:
        raise SystemExit(f"listed without an example: {sorted(missing)}; examples not listed: {sorted(extra)}")
    silent.disconnect()
    return len(EXAMPLES)


def cluster_client(host, port, protocol):
    """What applications do with a cluster client, over slots of all nodes."""
    client = RedisCluster(startup_nodes=[ClusterNode(host, port)], protocol=protocol)
    client.flushall(target_nodes=RedisCluster.PRIMARIES)
    keys = [f"key:{n}" for n in range(500)]
    for n, key in enumerate(keys):
        assert client.set(key, n, ex=1000) is True
    assert [int(client.get(key)) for key in keys] == list(range(500))
    assert client.mget_nonatomic(keys) == [b"%d" % n for n in range(500)]
    assert client.mset_nonatomic({key: n + 1 for n, key in enumerate(keys)})
    assert client.mset({"{user}:a": 1, "{user}:b": 2}) is True
    assert client.mget("{user}:a", "{user}:b", "{user}:c") == [b"1", b"2", None]
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.incr(key)
        pipe.ttl(key)
        pipe.get(key)
    replies = pipe.execute()
    assert replies[0::3] == [n + 2 for n in range(500)], replies[:9]
    assert all(isinstance(t, int) for t in replies[1::3])
    assert replies[2::3] == [b"%d" % (n + 2) for n in range(500)]
    transaction = client.pipeline(transaction=True)
    transaction.set("{user}:a", 10)
    transaction.incr("{user}:a")
    assert transaction.execute() == [OK, 11]
    assert sorted(client.scan_iter(match="key:*", count=100)) == sorted(key.encode() for key in keys)
    assert client.dbsize(target_nodes=RedisCluster.PRIMARIES) == 502
    assert client.exists(*keys) == 500
    assert client.delete(*keys[:100]) == 100
    assert client.get(keys[0]) is None
    binary = bytes(range(256)) * 4
    assert client.set(binary, binary) and client.get(binary) == binary
    large = b"x" * 1_000_000
    assert client.set("large", large) and client.get("large") == large
    assert client.ping(target_nodes=RedisCluster.ALL_NODES)
    assert client.flushall(target_nodes=RedisCluster.PRIMARIES)
    assert client.dbsize(target_nodes=RedisCluster.PRIMARIES) == 0
    client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    for protocol in (2, 3):
        with RedisCluster(host=options.host, port=options.port, protocol=protocol) as client:
            owner = client.get_node_from_key("{t}a")
        examples = every_command(owner.host, owner.port, protocol)
        cluster_client(options.host, options.port, protocol)
        print(f"redis-py {redis.__version__}, RESP{protocol}: {examples} examples and the cluster client as they should be")


if __name__ == "__main__":
    sys.exit(main())
