//! Writes requests: what a client, or a node that forwards, sends.

use crate::number::push_integer;

/// Appends `args` to `out` as one multibulk request (`*N`, then `$L` for each argument).
pub fn encode_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    encode_args(out, args.len(), args.iter().copied());
}

/// The same for `count` arguments that are in no list.
pub fn encode_args<'a>(out: &mut Vec<u8>, count: usize, args: impl Iterator<Item = &'a [u8]>) {
    out.push(b'*');
    push_integer(out, count);
    out.extend_from_slice(b"\r\n");
    for arg in args {
        push_bulk(out, arg);
    }
}

/// Appends one bulk string, the same in requests and replies.
pub(crate) fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    push_integer(out, bytes.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
