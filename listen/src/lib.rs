//! Listening sockets of nodes and operator.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

const EVERY_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A connection that has been quiet for so long is asked for a sign of life, then at this interval.
const QUIET: Duration = Duration::from_mins(5);
const INTERVAL: Duration = Duration::from_secs(30);

/// Listens on `address` with a socket that does not block.
///
/// `[::]` is every address of the host, IPv4 as well as IPv6, so that one setting serves clusters of either family and of
/// both. On a host without IPv6 it is every IPv4 address.
///
/// The backlog is the longest that the kernel allows. With the usual 128, clients that connect all at once, after a failure
/// or when an application is rolled out, lose their first packet and wait a second for the next.
///
/// The kernel asks connections that are quiet for a sign of life: one whose other end has lost its power or its network would
/// stay for ever.
///
/// # Errors
/// The port is taken, or may not be used; the host has no such address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(open, address)
}

fn listen_with(
    open: impl Fn(SocketAddr) -> io::Result<TcpListener>,
    address: SocketAddr,
) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if address.ip() == EVERY_ADDRESS && has_no_ipv6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        opened => opened,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == EVERY_ADDRESS {
        // Otherwise `net.ipv6.bindv6only` decides.
        socket.set_only_v6(false)?;
    }
    // A restarted program need not wait until the kernel has forgotten the connections of its predecessor.
    socket.set_reuse_address(true)?;
    // Connections have it of their listener.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(QUIET).with_interval(INTERVAL))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::MAX)?;
    Ok(socket.into())
}

/// The kernel was started without IPv6, or the sandbox does not offer it.
fn has_no_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests;
