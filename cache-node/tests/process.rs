//! What holds for the process as a whole.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

/// Set in the copy of this test program that is to die.
const CHILD: &str = "RINGCACHE_TEST_PANICS";
const SIGABRT: i32 = 6;

#[test]
fn a_panic_in_any_thread_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        cache_node::abort_on_panic();
        let thread = std::thread::spawn(|| panic!("on purpose"));
        let _ = thread.join();
        return; // without the hook the program ends well
    }
    let name = "a_panic_in_any_thread_ends_the_process";
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program);
    let child = child.args([name, "--exact", "--nocapture"]).env(CHILD, "1").output();
    let child = child.expect("the copy ran");
    assert_eq!(child.status.signal(), Some(SIGABRT), "{child:?}");
    assert!(String::from_utf8_lossy(&child.stderr).contains("on purpose"), "{child:?}");
}

#[test]
fn two_thousand_clients_may_connect_before_one_of_them_is_accepted() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    let allowed: usize = allowed.and_then(|text| text.trim().parse().ok()).unwrap_or(128);
    let listener = cache_node::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("listens");
    let address: SocketAddr = listener.local_addr().expect("an address");
    // One whose first packet finds the backlog full tries again after a second.
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
    let clients: Result<Vec<_>, _> = (0..allowed.min(2000)).map(connect).collect();
    assert!(clients.is_ok(), "{:?}", clients.err());
}
