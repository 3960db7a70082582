//! `GET /admin/v1/heat`: what the node's clients do, and how long it takes.

use ringcache_api::admin::{
    ADMIN_VERSION, HotKeyShare, NodeHeat, Quantiles, SlotTraffic, ThreadShare,
};
use ringcache_heat::{Histogram, HotKey, Traffic};
use warp::Reply;
use warp::reply::Response;

use crate::http;
use crate::node::Node;

/// Slots that are named.
const SLOTS: usize = 16;
/// Keys that are named.
pub const HOT_KEYS: usize = 10;

pub(super) fn get(node: &Node) -> Response {
    let now = node.clock.unix_ms();
    let (lately, ages) = (node.served.lately(), node.measures.heat.ages());
    let heat = NodeHeat {
        version: ADMIN_VERSION,
        incarnation: node.incarnation.clone(),
        hot_keys: node.measures.hottest(HOT_KEYS, now).iter().map(hot_key).collect(),
        busiest_slots: node.measures.busiest(SLOTS, now).into_iter().map(traffic).collect(),
        threads: node.busy.shares().into_iter().map(thread).collect(),
        read_microseconds: quantiles(&lately.reads),
        write_microseconds: quantiles(&lately.writes),
        evicted_unused_milliseconds: quantiles(&ages.evicted),
        expired_unused_milliseconds: quantiles(&ages.expired),
        stampedes: node.measures.heat.stampedes(),
    };
    warp::reply::json(&heat).into_response()
}

fn hot_key(hot: &HotKey) -> HotKeyShare {
    let (key, encoding) = http::key::shown(&hot.shown);
    HotKeyShare {
        key: key.into_owned(),
        key_encoding: encoding.map(str::to_owned),
        key_bytes: hot.length as u64,
        share: hot.share,
    }
}

fn thread((name, busy): (String, f64)) -> ThreadShare {
    ThreadShare { name, busy }
}

fn traffic((slot, traffic): (u16, Traffic)) -> SlotTraffic {
    let Traffic { operations, bytes_in, bytes_out } = traffic;
    let [operations, bytes_in, bytes_out] = [operations, bytes_in, bytes_out].map(f64::from);
    SlotTraffic { slot, operations, bytes_in, bytes_out }
}

fn quantiles(of: &Histogram) -> Option<Quantiles> {
    Some(Quantiles {
        count: of.count(),
        p50: of.quantile(0.5)?,
        p95: of.quantile(0.95)?,
        p99: of.quantile(0.99)?,
        p999: of.quantile(0.999)?,
    })
}
