"""A checking load through the stock redis-py cluster client.

Every key has one writer, which numbers its writes: version 1, 2, 3, ... Each 16th version is a DEL, all others are a SET of
a value that names its key and version. A reader notes the version acknowledged before it asks (floor) and the one issued
after it was answered (ceiling). The answer must lie between the two; a miss is allowed only if one of the versions
in between is a DEL. So no answer needs a history to be judged, and any process may read any key.

Prints `wrote N keys` on stderr when all keys are written, and one JSON object on stdout at the end (deadline, SIGTERM or SIGINT).
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import zlib
from array import array

from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot

DEL_EVERY = 16
FILL_BATCH = 200
READ_BATCH = 16
KEPT_PROBLEMS = 10
KINDS = ("operations", "errors", "unexpectedMisses", "oldValues", "wrongValues")
TTL_MS = 24 * 3600 * 1000


def key_name(prefix, index):
    return f"{prefix}:{index}".encode()


def value_of(key, version, low, high):
    """`key version filler crc`: the length depends on key and version, so that overwrites change size."""
    size = low + zlib.crc32(key + version.to_bytes(8, "big")) % (high - low + 1)
    head = b"%s %d " % (key, version)
    body = head + b"x" * max(0, size - len(head) - 9)
    return b"%s %08x" % (body, zlib.crc32(body))


def version_in(key, value):
    """The version that a value names, or None if it is not a whole value of this key."""
    body, _, crc = value.rpartition(b" ")
    parts = body.split(b" ", 2)
    if len(parts) != 3 or parts[0] != key or crc != b"%08x" % zlib.crc32(body):
        return None
    return int(parts[1])


class Worker:
    """One process of the load: writes the keys whose index is its own modulo `workers`, reads all."""

    def __init__(self, options, number, issued, acked, stop):
        self.options, self.number, self.stop = options, number, stop
        self.issued, self.acked = issued, acked
        self.rng = random.Random(options.seed * 1000 + number)
        self.counts = dict.fromkeys(KINDS, 0)
        self.slots = {"errors": set(), "unexpectedMisses": set()}
        self.problems = []
        self.seconds = {}

    def connect(self):
        seeds = [seed.rsplit(":", 1) for seed in self.options.seeds.split(",")]
        nodes = [ClusterNode(host, int(port)) for host, port in seeds]
        return RedisCluster(startup_nodes=nodes, protocol=self.options.protocol, socket_timeout=10)

    def bad(self, kind, key, text):
        self.counts[kind] += 1
        if kind in self.slots:
            self.slots[kind].add(key_slot(key))
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(f"{time.time():.3f} {kind}: {key.decode()} {text}")

    def timed(self, keys, call):
        """Runs one client call, counts it and its wait; an exception is an error for each of its keys."""
        start = time.monotonic()
        try:
            return True, call()
        except Exception as error:  # noqa: BLE001 - whatever the client hands to its user is what we count
            for key in keys:
                self.bad("errors", key, repr(error))
            return False, None
        finally:
            wait = int((time.monotonic() - start) * 1e6)
            second = self.seconds.setdefault(int(time.time()), [0, 0])
            second[0] += len(keys)
            second[1] = max(second[1], wait)
            self.counts["operations"] += len(keys)

    def judge(self, index, key, floor, value):
        ceiling = self.issued[index]
        if value is None:
            if ceiling // DEL_EVERY == (floor - 1) // DEL_EVERY:
                self.bad("unexpectedMisses", key, f"missing; acknowledged {floor}, issued {ceiling}")
            return
        version = version_in(key, value)
        if version is None or version > ceiling or version % DEL_EVERY == 0:
            self.bad("wrongValues", key, f"{value[:60]!r}; issued {ceiling}")
        elif version < floor:
            self.bad("oldValues", key, f"version {version}; acknowledged {floor}")

    def fill(self, client, own):
        for at in range(0, len(own), FILL_BATCH):
            pipe = client.pipeline(transaction=False)
            batch = own[at : at + FILL_BATCH]
            keys = [key_name(self.options.prefix, i) for i in batch]
            for index, key in zip(batch, keys):
                self.issued[index] = 1
                pipe.set(key, self.value(key, 1), px=TTL_MS)
            ok, _ = self.timed(keys, pipe.execute)
            if ok:
                for index in batch:
                    self.acked[index] = 1
            if self.stop.value:
                return

    def value(self, key, version):
        return value_of(key, version, self.options.low, self.options.high)

    def write(self, client, index):
        key, version = key_name(self.options.prefix, index), self.issued[index] + 1
        self.issued[index] = version
        if version % DEL_EVERY == 0:
            ok, _ = self.timed([key], lambda: client.delete(key))
        else:
            ok, _ = self.timed([key], lambda: client.set(key, self.value(key, version), px=TTL_MS))
        if ok:
            self.acked[index] = version

    def read(self, client, index):
        key, floor = key_name(self.options.prefix, index), self.acked[index]
        ok, value = self.timed([key], lambda: client.get(key))
        if ok:
            self.judge(index, key, floor, value)

    def read_batch(self, client, indexes):
        keys = [key_name(self.options.prefix, i) for i in indexes]
        floors = [self.acked[i] for i in indexes]
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.get(key)
        ok, values = self.timed(keys, pipe.execute)
        if ok:
            for index, key, floor, value in zip(indexes, keys, floors, values):
                self.judge(index, key, floor, value)

    def run(self, filled, report):
        try:
            self.load(filled, report)
        except BaseException:
            filled.abort()  # the others must not wait for a worker that could not connect
            raise

    def load(self, filled, report):
        options, rng = self.options, self.rng
        parent = os.getppid()
        own = array("L", range(self.number, options.keys, options.workers))
        client = self.connect()
        self.fill(client, own)
        filled.wait()
        self.seconds.clear()  # the fill is another load: its waits say nothing about the mix
        end = time.monotonic() + options.seconds
        while not self.stop.value and time.monotonic() < end and os.getppid() == parent:
            dice = rng.random()
            if dice < 0.18:
                self.write(client, own[rng.randrange(len(own))])
            elif dice < 0.20 and options.pipelines:
                self.read_batch(client, [rng.randrange(options.keys) for _ in range(READ_BATCH)])
            else:
                self.read(client, rng.randrange(options.keys))
        report.send(dict(counts=self.counts, seconds=self.seconds, problems=self.problems, slots=self.slots))
        client.close()


def merge(reports):
    """One report in the words of `ringcache verify --json`."""
    total = {kind: sum(r["counts"][kind] for r in reports) for kind in KINDS}
    rows = {}
    for report in reports:
        for unix, (operations, wait) in report["seconds"].items():
            row = rows.setdefault(unix, [0, 0])
            row[0] += operations
            row[1] = max(row[1], wait)
    first, last = min(rows, default=0), max(rows, default=-1)
    seconds = [(unix - first + 1, *rows.get(unix, (0, 0))) for unix in range(first, last + 1)]
    return total | {
        "beganUnixMs": first * 1000,
        "seconds": [{"second": s, "operations": operations, "maxUs": wait} for s, operations, wait in seconds],
        "problems": [line for r in reports for line in r["problems"]],
        "errorSlots": sorted(set().union(*(r["slots"]["errors"] for r in reports))),
        "missSlots": sorted(set().union(*(r["slots"]["unexpectedMisses"] for r in reports))),
    }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", required=True, help="host:port,...")
    parser.add_argument("--seconds", type=float, default=3600, help="length of the mix after the fill")
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--low", type=int, default=100, help="smallest value in bytes")
    parser.add_argument("--high", type=int, default=1000, help="largest value in bytes")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--protocol", type=int, default=3, choices=(2, 3))
    parser.add_argument("--prefix", default="py")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-pipelines", dest="pipelines", action="store_false")
    return parser.parse_args()


def main():
    options = parse_options()
    context = multiprocessing.get_context("fork")
    stop = context.RawValue("b", 0)
    issued, acked = context.RawArray("Q", options.keys), context.RawArray("Q", options.keys)
    filled = context.Barrier(options.workers + 1)
    workers = []
    for number in range(options.workers):
        receiver, sender = context.Pipe(duplex=False)
        worker = Worker(options, number, issued, acked, stop)
        process = context.Process(target=worker.run, args=(filled, sender), daemon=True)
        process.start()
        sender.close()
        workers.append((process, receiver))

    def stop_all(*_):
        stop.value = 1

    signal.signal(signal.SIGTERM, stop_all)
    signal.signal(signal.SIGINT, stop_all)
    try:
        filled.wait()
        print(f"wrote {options.keys} keys", file=sys.stderr, flush=True)
    except threading.BrokenBarrierError:
        stop_all()
    reports = []
    for process, receiver in workers:
        try:
            reports.append(receiver.recv())
        except EOFError:
            print(f"worker {process.pid} died", file=sys.stderr, flush=True)
        process.join()
    print(json.dumps(merge(reports)), flush=True)
    return 0 if len(reports) == len(workers) else 2


if __name__ == "__main__":
    sys.exit(main())
