//! What holds for the process as a whole.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

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
