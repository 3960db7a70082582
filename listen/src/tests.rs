//! Which addresses a listener is reached by.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::TcpStream;

use super::*;

const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn any_port(ip: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(ip.into(), 0)
}

/// Who of the loopback addresses of both families is answered.
fn reached_by(listener: &TcpListener) -> [bool; 2] {
    let port = listener.local_addr().unwrap().port();
    LOOPBACKS.map(|ip| TcpStream::connect((ip, port)).is_ok())
}

fn has_ipv6() -> bool {
    TcpListener::bind(any_port(Ipv6Addr::LOCALHOST)).is_ok()
}

#[test]
fn every_address_means_those_of_both_families() {
    let listener = listen(any_port(EVERY_ADDRESS)).unwrap();
    assert_eq!(reached_by(&listener), [true, has_ipv6()]);
}

#[test]
fn an_address_means_that_one_only() {
    let listener = listen(any_port(Ipv4Addr::LOCALHOST)).unwrap();
    assert_eq!(reached_by(&listener), [true, false]);
    if has_ipv6() {
        let listener = listen(any_port(Ipv6Addr::LOCALHOST)).unwrap();
        assert_eq!(reached_by(&listener), [false, true]);
    }
}

#[test]
fn a_host_without_ipv6_listens_on_every_ipv4_address() {
    for error in
        [io::Error::from_raw_os_error(libc::EAFNOSUPPORT), ErrorKind::AddrNotAvailable.into()]
    {
        let error = RefCell::new(Some(error));
        let without_ipv6 = |address: SocketAddr| match error.take() {
            Some(error) if address.is_ipv6() => Err(error),
            _ => open(address),
        };
        let listener = listen_with(without_ipv6, any_port(EVERY_ADDRESS)).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert_eq!(reached_by(&listener), [true, false]);
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_on_every_address() {
    let taken = listen(any_port(EVERY_ADDRESS)).unwrap().local_addr().unwrap();
    let _holder = listen(taken).unwrap();
    assert_eq!(listen(taken).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn accepting_does_not_block() {
    let listener = listen(any_port(EVERY_ADDRESS)).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn who_has_gone_without_a_word_is_noticed() {
    let listener = listen(any_port(Ipv4Addr::LOCALHOST)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    listener.set_nonblocking(false).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let accepted = socket2::SockRef::from(&accepted);
    assert!(accepted.keepalive().unwrap());
}
