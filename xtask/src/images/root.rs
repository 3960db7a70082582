//! The files of an image: a program, the shared libraries it is linked to, and the name of its user.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::output;

/// User and group of every image, known as `nonroot`. A number: the kubelet cannot tell whether a
/// name is root's.
pub(super) const USER: &str = "65532";

/// A file of an image.
pub(super) struct File {
    /// Absolute.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// The files of the image of `program`, whose executable is `binary`.
pub(super) fn files(program: &str, binary: &Path) -> Result<Vec<File>> {
    let mut files = vec![
        file(&format!("/{program}"), 0o755, read(binary)?),
        file("/etc/passwd", 0o644, format!("nonroot:x:{USER}:{USER}:nonroot:/:/nologin\n").into()),
        file("/etc/group", 0o644, format!("nonroot:x:{USER}:\n").into()),
    ];
    let linked = output(Command::new("ldd").arg(binary))?;
    for library in libraries(&linked)? {
        files.push(file(library, 0o755, read(Path::new(library))?));
    }
    Ok(files)
}

fn file(path: &str, mode: u32, content: Vec<u8>) -> File {
    File { path: path.to_owned(), mode, content }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// Paths of the libraries and of the loader in what `ldd` says. The kernel's `linux-vdso` has none.
fn libraries(ldd: &str) -> Result<Vec<&str>> {
    let missing: Vec<&str> = ldd.lines().filter(|line| line.contains("not found")).collect();
    ensure!(missing.is_empty(), "ldd: {}", missing.join(", "));
    let paths: Vec<&str> = ldd
        .lines()
        .filter_map(|line| line.split_whitespace().find(|w| w.starts_with('/')))
        .collect();
    // A program that is not linked to GNU libc would run, but give memory back to nobody.
    ensure!(paths.iter().any(|path| path.contains("/libc.so")), "not linked to GNU libc: {ldd}");
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_ldd_resolves_and_the_loader() {
        let ldd = "\tlinux-vdso.so.1 (0x00007f9e5e457000)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f9e5d53e000)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f9e5e459000)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(ldd).unwrap(), expected);
    }

    #[test]
    fn a_missing_library_and_another_libc_are_errors() {
        let ldd = "\tlibc.so.6 => /lib/libc.so.6 (0x0)\n\tlibm.so.6 => not found\n";
        assert!(libraries(ldd).unwrap_err().to_string().contains("libm.so.6 => not found"));
        assert!(libraries("\tstatically linked\n").is_err());
    }
}
