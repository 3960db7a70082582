//! A raw connection of the Redis protocol: tests that care about bytes use this, the others a stock client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longest wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one node.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> Result<Self> {
        Self::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Connects to an address.
    pub fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Sends one command and reads its reply.
    pub fn ask(&mut self, args: &[&[u8]]) -> Result<String> {
        self.send(&command(args))?;
        self.reply()
    }

    /// Reads one RESP2 reply that is not an aggregate: its first line, and for a bulk string `$` and the text.
    pub fn reply(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the node closed the connection");
        }
        let line = line.trim_end().to_owned();
        match line.strip_prefix('$') {
            None | Some("-1") => Ok(line),
            Some(length) => {
                let mut bytes = vec![0; length.parse::<usize>().with_context(|| line.clone())? + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(format!("${}", String::from_utf8_lossy(&bytes)))
            }
        }
    }

    /// Reads until the node closes the connection and returns what it sent; an error if it does not close within `limit`.
    pub fn closed(&mut self, limit: Duration) -> Result<String> {
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(e) if e.kind() != std::io::ErrorKind::ConnectionReset => {
                Err(e).with_context(|| {
                    format!("not closed; it sent {:?}", String::from_utf8_lossy(&bytes))
                })
            }
            _ => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

/// A command as clients send it.
pub fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
