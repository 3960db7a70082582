//! The commands a node serves, as data: arity checks, routing by key and `COMMAND` all read this table.

mod commands;
mod entry;
mod subcommands;
#[cfg(test)]
mod tests;

pub use commands::COMMANDS;
pub use entry::write_entry;

/// A command's identity, so that a `match` over all of them is checked by the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Each variant is the command of that name; Redis documents them.")]
#[rustfmt::skip]
pub enum Command {
    Asking, Auth, Client, Cluster, Command, Config, Dbsize, Decr, Decrby, Del, Discard, Echo, Exec,
    Exists, Expire, Expireat, Expiretime, Flushall, Flushdb, Get, Getdel, Getex, Getset, Hello, Incr,
    Incrby, Incrbyfloat, Info, Mget, Mset, Multi, Persist, Pexpire, Pexpireat, Pexpiretime, Ping,
    Psetex, Pttl, Quit, Readonly, Readwrite, Reset, Scan, Select, Set, Setex, Setnx, Strlen, Time,
    Touch, Ttl, Type, Unlink, Unwatch, Watch,
}

/// Which arguments are keys: from `first` to `last` (negative: counted from the end) by `step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// Position of the first key; the command's name is 0, so 0 means that there are no keys.
    pub first: i32,
    /// Position of the last key; -1 is the last argument.
    pub last: i32,
    /// Distance from one key to the next.
    pub step: i32,
}

/// One command, in the words of Redis' `COMMAND`. The figures are those of Redis 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// Which command; a subcommand has its container's.
    pub id: Command,
    /// In lower case; a subcommand's name is `container|name`.
    pub name: &'static str,
    /// The number of arguments with the name(s): exact, or negative for at least so many.
    pub arity: i32,
    /// Such as `readonly`, `write`, `fast`.
    pub flags: &'static [&'static str],
    /// Where the keys are.
    pub keys: KeyRange,
    /// What happens to the keys: `RO`, `RW`, `OW` or `RM`, then `access`, `insert`, `update`, `delete`.
    pub key_flags: &'static [&'static str],
    /// ACL categories besides those that follow from the flags; see [`CommandSpec::acl_categories`].
    pub group: &'static [&'static str],
    /// How a client of a cluster should send it and join the answers.
    pub tips: &'static [&'static str],
    /// The subcommands of a container such as `client`.
    pub subcommands: &'static [CommandSpec],
}

impl CommandSpec {
    /// Whether a request of `argc` arguments, the name included, has as many as it must.
    pub fn accepts(&self, argc: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { argc >= wanted } else { argc == wanted }
    }

    /// Whether the command has this flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// The positions of the keys in a request of `argc` arguments.
    pub fn key_positions(&self, argc: usize) -> impl ExactSizeIterator<Item = usize> + use<> {
        let KeyRange { first, last, step } = self.keys;
        let argc = i32::try_from(argc).unwrap_or(i32::MAX);
        let last = if last < 0 { argc + last } else { last.min(argc - 1) };
        let (first, end) = if first > 0 && first <= last { (first, last + 1) } else { (0, 0) };
        (first as usize..end as usize).step_by(step.max(1) as usize)
    }

    /// Its ACL categories: those that follow from the flags, as in Redis, then its group's.
    pub fn acl_categories(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        let spec = *self;
        let admin = spec.has_flag("admin");
        [
            (spec.has_flag("write"), "@write"),
            (spec.has_flag("readonly"), "@read"),
            (admin, "@admin"),
            (admin, "@dangerous"),
            (spec.has_flag("fast"), "@fast"),
            (!spec.has_flag("fast"), "@slow"),
        ]
        .into_iter()
        .filter_map(|(applies, category)| applies.then_some(category))
        .chain(spec.group.iter().copied())
    }

    /// The subcommand of this name, in upper or lower case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        self.subcommands.iter().find(|subcommand| {
            let (_, own_name) = subcommand.name.split_once('|').unwrap_or_default();
            name.eq_ignore_ascii_case(own_name.as_bytes())
        })
    }
}

/// Longest name of a command: a longer one need not be looked up.
const MAX_NAME_BYTES: usize = 16;

/// The command of this name, in upper or lower case.
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let mut lower_case = [0_u8; MAX_NAME_BYTES];
    let lower_case = lower_case.get_mut(..name.len())?;
    lower_case.copy_from_slice(name);
    lower_case.make_ascii_lowercase();
    let index = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower_case)).ok()?;
    COMMANDS.get(index)
}
