//! Which ports a node has on this machine.

use std::net::{Ipv4Addr, TcpListener};

use ringcache_api::Ports;

/// Base port unless the user says otherwise: where Redis clusters are usually tried out.
pub(super) const DEFAULT_BASE: u16 = 7000;
/// Distance between the first ports of two kinds, and with it the number of nodes that have room.
const STRIDE: u16 = 200;

/// The ports of node `number`: of each kind one, `STRIDE` apart. None if there are no such ports.
pub(super) fn ports(base: u16, number: u16) -> Option<Ports> {
    if number >= STRIDE {
        return None;
    }
    let port = |kind: u16| base.checked_add(kind * STRIDE)?.checked_add(number);
    Some(Ports { resp: port(0)?, http: port(1)?, admin: port(2)?, bus: port(3)? })
}

/// The port of the page that shows the cluster: beyond those of all nodes. None if there is no such port.
pub(super) fn page(base: u16) -> Option<u16> {
    base.checked_add(4 * STRIDE)
}

/// The base that `ports` of node `number` were counted from.
pub(super) fn base(ports: Ports, number: u16) -> Option<u16> {
    ports.resp.checked_sub(number)
}

/// The number in the name of a node, `<cluster>-<n>`.
pub(super) fn number(name: &str) -> Option<u16> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// The first of the ports that cannot be listened on, and what it is for.
pub(super) fn taken(ports: Ports) -> Option<(u16, &'static str)> {
    let Ports { resp, http, admin, bus } = ports;
    [(resp, "Redis protocol"), (http, "HTTP"), (admin, "admin API"), (bus, "bus")]
        .into_iter()
        .find(|(port, _)| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_ports_never_meet() {
        let wanted = Ports { resp: 7199, http: 7399, admin: 7599, bus: 7799 };
        assert_eq!(ports(7000, 199), Some(wanted));
        assert_eq!(ports(7000, 200), None);
        assert_eq!(base(wanted, 199), Some(7000));
        assert_eq!(page(7000), Some(7800));
    }

    #[test]
    fn there_is_no_port_above_the_last() {
        assert_eq!(ports(64_935, 0).map(|p| p.bus), Some(u16::MAX));
        assert_eq!(ports(64_935, 1), None);
        assert_eq!((page(64_735), page(64_736)), (Some(u16::MAX), None));
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let bus = listener.local_addr().expect("an address").port();
        // Port 0 stands for any free port.
        let ports = Ports { resp: 0, http: 0, admin: 0, bus };
        assert_eq!(taken(ports), Some((bus, "bus")));
        // Not the same port once it is free: another test may have it by then.
        assert_eq!(taken(Ports { bus: 0, ..ports }), None);
    }
}
