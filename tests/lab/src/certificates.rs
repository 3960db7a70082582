//! The certificates of a lab and the kubeconfigs that use them, from an authority of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::command;
use crate::network::{API_SERVICE, CONTROL, node_address};

/// A name in the user part of a lab's kubeconfigs.
pub(crate) const CONTEXT: &str = "ringcache";

/// Somebody with a certificate.
struct Subject {
    file: String,
    common_name: String,
    organization: &'static str,
    alternative_names: String,
}

impl Subject {
    fn client(file: &str, common_name: &str, organization: &'static str) -> Self {
        let alternative_names = format!("DNS:{file}");
        Self { file: file.into(), common_name: common_name.into(), organization, alternative_names }
    }

    fn node(node: u8) -> Self {
        let name = format!("node-{node}");
        Self {
            common_name: format!("system:node:{name}"),
            organization: "system:nodes",
            alternative_names: format!("DNS:{name},IP:{}", node_address(node)),
            file: name,
        }
    }

    fn api_server() -> Self {
        let services = ["", ".default", ".default.svc", ".default.svc.cluster.local"];
        let names = services.map(|suffix| format!(",DNS:kubernetes{suffix}")).concat();
        Self {
            file: "kube-apiserver".into(),
            common_name: "kube-apiserver".into(),
            organization: "kubernetes",
            alternative_names: format!("IP:127.0.0.1,IP:{CONTROL},IP:{API_SERVICE}{names}"),
        }
    }
}

/// The folder of a lab's certificates.
pub(crate) struct Certificates(pub(crate) PathBuf);

impl Certificates {
    /// A file of it: `ca.crt`, `<who>.crt`, `<who>.key`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How `who` reaches the API server.
    pub(crate) fn kubeconfig(&self, who: &str) -> PathBuf {
        self.file(&format!("{who}.kubeconfig"))
    }

    /// Makes all of them for a lab with that many nodes.
    pub(crate) fn create(&self, nodes: u8) -> Result<()> {
        fs::create_dir_all(&self.0)?;
        // Nothing but what the command line says: the machine's defaults would make every
        // certificate an authority.
        fs::write(self.file("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n")?;
        self.request("ca", "/CN=ringcache-lab", &["basicConstraints=critical,CA:TRUE"], false)?
            .wait()?;
        self.keys_of_service_accounts()?;
        let mut subjects = vec![
            Subject::api_server(),
            Subject::client("admin", "admin", "system:masters"),
            Subject::client("kube-controller-manager", "system:kube-controller-manager", "lab"),
            Subject::client("kube-scheduler", "system:kube-scheduler", "lab"),
            Subject::client("kube-proxy", "system:kube-proxy", "lab"),
        ];
        subjects.extend((1..=nodes).map(Subject::node));
        let issue = |subject: &Subject| {
            let name = format!("/O={}/CN={}", subject.organization, subject.common_name);
            let names = format!("subjectAltName={}", subject.alternative_names);
            self.request(
                &subject.file,
                &name,
                &[&names, "extendedKeyUsage=serverAuth,clientAuth"],
                true,
            )
        };
        let issued = subjects.iter().map(issue).collect::<Result<Vec<_>>>()?;
        for (subject, openssl) in subjects.iter().zip(issued) {
            let output = openssl.wait_with_output()?;
            let why = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "certificate of {}: {why}", subject.file);
            fs::write(self.kubeconfig(&subject.file), kubeconfig(&self.0, &subject.file))?;
        }
        Ok(())
    }

    /// Starts making a key and a certificate, by the authority or of itself.
    fn request(
        &self,
        file: &str,
        name: &str,
        extensions: &[&str],
        issued: bool,
    ) -> Result<std::process::Child> {
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(&self.0)
            .args(["req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", "30"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", name])
            .args(["-keyout", &format!("{file}.key"), "-out", &format!("{file}.crt")])
            .args(extensions.iter().flat_map(|extension| ["-addext", extension]));
        if issued {
            openssl.args(["-CA", "ca.crt", "-CAkey", "ca.key"]);
        }
        openssl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        openssl.spawn().context("openssl")
    }

    /// The pair of keys that tokens of service accounts are signed and checked with.
    fn keys_of_service_accounts(&self) -> Result<()> {
        let curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"];
        let key = ["genpkey", "-algorithm", "EC", "-out", "service-accounts.key"];
        let public = ["pkey", "-in", "service-accounts.key", "-pubout"];
        for arguments in
            [[&key[..], &curve].concat(), [&public[..], &["-out", "service-accounts.pub"]].concat()]
        {
            command::output(Command::new("openssl").current_dir(&self.0).args(arguments))?;
        }
        Ok(())
    }
}

fn kubeconfig(folder: &Path, who: &str) -> String {
    let file = |name: String| folder.join(name).display().to_string();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {
            "server": format!("https://{CONTROL}:6443"),
            "certificate-authority": file("ca.crt".to_owned()),
        }}],
        "users": [{"name": CONTEXT, "user": {
            "client-certificate": file(format!("{who}.crt")),
            "client-key": file(format!("{who}.key")),
        }}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    });
    config.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_its_name_and_its_address() {
        let node = Subject::node(2);
        assert_eq!(node.common_name, "system:node:node-2");
        assert_eq!(node.alternative_names, "DNS:node-2,IP:10.88.0.12");
    }

    #[test]
    fn pods_reach_the_api_server_by_its_service() {
        let names = Subject::api_server().alternative_names;
        assert!(names.contains(",IP:10.96.0.1,"), "{names}");
        assert!(names.ends_with(",DNS:kubernetes.default.svc.cluster.local"), "{names}");
    }

    #[test]
    fn a_kubeconfig_names_the_certificate_of_its_user() {
        let config: serde_json::Value =
            serde_json::from_str(&kubeconfig(Path::new("/run/x"), "admin")).unwrap();
        assert_eq!(config["users"][0]["user"]["client-key"], "/run/x/admin.key");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://10.88.0.1:6443");
    }
}
