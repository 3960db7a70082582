//! The program as a shell calls it while somebody types.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: shop
clusters:
- name: shop
  cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: sh
      args: [-c, 'sleep 20; touch ENDED']
      interactiveMode: Never
contexts:
- name: shop
  context: {cluster: shop, user: me}
";

#[test]
fn a_command_for_credentials_that_does_not_end_holds_up_nobody_who_types() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config");
    let ended = dir.path().join("ended");
    let text = KUBECONFIG.replace("ENDED", ended.to_str().expect("text"));
    fs::write(&path, text).expect("written");
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-ringcache"));
    program.arg0("kubectl_complete-ringcache").env("KUBECONFIG", &path);
    let asked = program.args(["status", ""]).stdout(Stdio::piped()).stderr(Stdio::null());
    let answer = asked.output().expect("an answer");
    assert!(!ended.exists(), "it was waited for");
    assert!(answer.status.success());
    assert_eq!(String::from_utf8_lossy(&answer.stdout), ":4\n");
}
