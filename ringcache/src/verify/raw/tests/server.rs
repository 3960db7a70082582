//! A node in front of a map, which tells the truth but for one thing.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringcache_wire::encode_command;
use ringcache_wire::request::{Limits, Parsed, RequestParser};
use uuid::Uuid;

use crate::clock;

/// What the server does wrong, once in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    Nothing,
    LosesAWrite,
    AnswersAnOldValue,
    AnswersForeignBytes,
    ChangesAByte,
    ForgetsAKey,
    ExpiresEarly,
    ExpiresLate,
    OverwritesKeepTheOldDeadline,
    KeepsADeletedKey,
    MiscountsADeletion,
    CountsAnIncrementTwice,
    LosesAnIncrement,
    TearsAPair,
    IgnoresAWatch,
    RunsWhatItSaysItRefused,
    SwapsReplies,
    LeavesAReplyOut,
    RepeatsAReply,
    AnswersAnError,
    FailsInATransaction,
    ClosesAConnection,
    ClosesAnIdleConnection,
    AnswersNonsense,
    AnswersAnotherType,
    MovesForEver,
}

/// A lie is told once in so many occasions; one about transactions, of which there are fewer, more often.
const ONE_IN: u64 = 40;
const ONE_TRANSACTION_IN: u64 = 5;

#[derive(Clone, Debug, Default)]
struct Entry {
    value: Vec<u8>,
    before: Option<Vec<u8>>,
    deadline_ms: u64,
    changes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    address: SocketAddr,
    id: String,
}

struct State {
    lie: Lie,
    me: Node,
    /// To whom the slots belong.
    owner: Mutex<Node>,
    keys: Mutex<HashMap<Vec<u8>, Entry>>,
    occasions: AtomicU64,
    increments: AtomicU64,
    is_closing: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

/// A running server; ends when dropped.
pub(super) struct Server {
    state: Arc<State>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(lie: Lie) -> Self {
        Self::start_at(lie, 0)
    }

    /// At this port; 0 = any that is free.
    fn start_at(lie: Lie, port: u16) -> Self {
        // Somebody's connection may have got the port meanwhile.
        let began = clock::now();
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(clock::now() - began < super::LIMIT, "{error}"),
            }
            thread::sleep(Duration::from_millis(1));
        };
        let address = listener.local_addr().unwrap();
        let me = Node { address, id: Uuid::new_v4().to_string() };
        let state = Arc::new(State {
            lie,
            owner: Mutex::new(me.clone()),
            me,
            keys: Mutex::default(),
            occasions: AtomicU64::new(0),
            increments: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let listener = thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming() {
                if shared.is_closing.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let state = Arc::clone(&shared);
                threads.push(thread::spawn(move || serve(&state, stream)));
            }
            drop(listener);
            for stream in shared.connections.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
        Self { state, listener: Some(listener) }
    }

    pub(super) fn address(&self) -> String {
        self.state.me.address.to_string()
    }

    /// Gives all slots and their data to another server.
    pub(super) fn hand_over(&self, to: &Self) {
        let mut keys = self.state.keys.lock().unwrap();
        *to.state.keys.lock().unwrap() = std::mem::take(&mut *keys);
        to.state.owner.lock().unwrap().clone_from(&to.state.me);
        self.state.owner.lock().unwrap().clone_from(&to.state.me);
    }

    /// How often it has incremented a counter: there are none before the mixed load.
    pub(super) fn increments(&self) -> u64 {
        self.state.increments.load(Ordering::SeqCst)
    }

    /// A server that sends its clients to another one.
    pub(super) fn behind(owner: &Self) -> Self {
        let server = Self::start(Lie::Nothing);
        server.state.owner.lock().unwrap().clone_from(&owner.state.me);
        server
    }

    /// Another server at the same address, when this one has ended.
    pub(super) fn replace(self) -> Self {
        let port = self.state.me.address.port();
        drop(self);
        Self::start_at(Lie::Nothing, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.is_closing.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.state.me.address);
        let listener = self.listener.take().unwrap().join();
        assert!(listener.is_ok() || thread::panicking());
    }
}

type Args = Vec<Vec<u8>>;

/// What one connection remembers.
#[derive(Default)]
struct Session {
    queue: Option<Vec<Args>>,
    is_broken: bool,
    watched: HashMap<Vec<u8>, u64>,
}

fn serve(state: &State, mut stream: TcpStream) {
    let mut parser = RequestParser::new(Limits::default());
    let (mut input, mut session) = (Vec::new(), Session::default());
    let mut held: Option<Vec<u8>> = None;
    loop {
        let mut out = Vec::new();
        let mut is_end = false;
        while let Parsed::Request { consumed } = parser.parse(&input).unwrap() {
            let args: Args = parser.args(&input).iter().map(<[u8]>::to_vec).collect();
            input.drain(..consumed);
            let reply = state.answer(&mut session, &args);
            let is_data = !matches!(args[0].as_slice(), b"CLUSTER");
            match state.lie {
                Lie::SwapsReplies if held.is_some() => {
                    out.extend(reply);
                    out.extend(held.take().unwrap());
                }
                Lie::SwapsReplies if args[0] == b"ECHO" && !input.is_empty() && state.lies() => {
                    held = Some(reply);
                }
                Lie::LeavesAReplyOut if is_data && state.lies() => {}
                Lie::RepeatsAReply if is_data && state.lies() => {
                    out.extend([reply.clone(), reply].concat());
                }
                Lie::ClosesAConnection if is_data && state.lies() => {
                    is_end = true;
                    break;
                }
                Lie::ClosesAnIdleConnection if args[0] == b"UNLINK" || args[0] == b"CLUSTER" => {
                    out.extend(reply);
                }
                Lie::ClosesAnIdleConnection => {
                    out.extend(reply);
                    // The last request of a batch: nothing is outstanding then.
                    let is_last = input.is_empty() && (args[0] == b"ECHO" || args[0] == b"EXEC");
                    is_end = is_last && state.lies();
                }
                Lie::AnswersNonsense if is_data && state.lies() => out.extend(b"?what\r\n"),
                _ => out.extend(reply),
            }
        }
        let mut chunk = [0; 4096];
        if stream.write_all(&out).is_err() || is_end {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => input.extend(&chunk[..read]),
        }
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_command(&mut out, &[bytes]);
    // Without the array around it.
    out.split_off(4)
}

fn optional(value: Option<Vec<u8>>) -> Vec<u8> {
    value.map_or_else(|| b"$-1\r\n".to_vec(), |value| bulk(&value))
}

fn now_ms() -> u64 {
    clock::since_1970().as_millis() as u64
}

fn number(bytes: &[u8]) -> i64 {
    str::from_utf8(bytes).unwrap().parse().unwrap()
}

impl State {
    /// Whether to lie this time.
    fn lies(&self) -> bool {
        let one_in = match self.lie {
            Lie::TearsAPair | Lie::FailsInATransaction | Lie::RunsWhatItSaysItRefused => {
                ONE_TRANSACTION_IN
            }
            _ => ONE_IN,
        };
        self.occasions.fetch_add(1, Ordering::SeqCst) % one_in == one_in - 1
    }

    fn tells(&self, lie: Lie) -> bool {
        self.lie == lie && self.lies()
    }

    fn answer(&self, session: &mut Session, args: &Args) -> Vec<u8> {
        if self.tells(Lie::AnswersAnError) && args[0] != b"CLUSTER" {
            session.is_broken |= session.queue.is_some();
            return b"-TRYAGAIN later\r\n".to_vec();
        }
        // Whoever hands over holds this lock: there is no moment between the question whose slot it is and the access.
        let mut keys = self.keys.lock().unwrap();
        let Node { address: owner, id } = self.owner.lock().unwrap().clone();
        let is_elsewhere = id != self.me.id || self.lie == Lie::MovesForEver;
        let has_key = !matches!(args[0].as_slice(), b"CLUSTER" | b"MULTI" | b"EXEC" | b"ECHO");
        if has_key && is_elsewhere {
            session.is_broken |= session.queue.is_some();
            let slot = ringcache_ring::key_slot(&args[1]);
            return format!("-MOVED {slot} {owner}\r\n").into_bytes();
        }
        match args[0].as_slice() {
            b"CLUSTER" if args[1] == b"MYID" => bulk(self.me.id.as_bytes()),
            b"CLUSTER" => {
                let port = owner.port();
                let range = "*1\r\n*3\r\n:0\r\n:16383\r\n";
                let node = format!("*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n");
                [range.as_bytes(), node.as_bytes(), &bulk(id.as_bytes())].concat()
            }
            b"MULTI" => {
                session.queue = Some(Vec::new());
                b"+OK\r\n".to_vec()
            }
            b"EXEC" if is_elsewhere => {
                *session = Session::default();
                format!("-MOVED 0 {owner}\r\n").into_bytes()
            }
            b"EXEC" => self.exec(&mut keys, session),
            b"WATCH" => {
                let changes = |key: &Vec<u8>| keys.get(key).map_or(0, |entry| entry.changes);
                session.watched.extend(args[1..].iter().map(|key| (key.clone(), changes(key))));
                b"+OK\r\n".to_vec()
            }
            _ => {
                if let Some(queue) = &mut session.queue {
                    queue.push(args.clone());
                    return b"+QUEUED\r\n".to_vec();
                }
                self.carry_out(&mut keys, args)
            }
        }
    }

    fn exec(&self, keys: &mut HashMap<Vec<u8>, Entry>, session: &mut Session) -> Vec<u8> {
        let Session { queue, is_broken, watched } = std::mem::take(session);
        let Some(queue) = queue else { return b"-ERR EXEC without MULTI\r\n".to_vec() };
        if is_broken {
            return b"-EXECABORT Transaction discarded because of previous errors.\r\n".to_vec();
        }
        let changes = |key: &Vec<u8>| keys.get(key).map_or(0, |entry| entry.changes);
        let is_changed = watched.iter().any(|(key, before)| changes(key) != *before);
        if is_changed && self.lie != Lie::IgnoresAWatch {
            return b"*-1\r\n".to_vec();
        }
        let mut out = format!("*{}\r\n", queue.len()).into_bytes();
        let is_pair = watched.is_empty();
        for (place, args) in queue.iter().enumerate() {
            if place == 1 && is_pair && self.tells(Lie::TearsAPair) {
                out.extend(b"+OK\r\n");
            } else if place == 1 && self.tells(Lie::FailsInATransaction) {
                out.extend(b"-OOM no memory\r\n");
            } else {
                out.extend(self.carry_out(keys, args));
            }
        }
        if !is_pair && self.tells(Lie::RunsWhatItSaysItRefused) {
            return b"*-1\r\n".to_vec();
        }
        out
    }

    fn carry_out(&self, keys: &mut HashMap<Vec<u8>, Entry>, args: &Args) -> Vec<u8> {
        match args[0].as_slice() {
            b"SET" => {
                let lifetime = u64::try_from(number(&args[4])).unwrap();
                self.set(keys, &args[1], &args[2], lifetime)
            }
            b"GET" => self.get(keys, &args[1]),
            b"MGET" => {
                let values = args[1..].iter().map(|key| optional(Self::find(keys, key)));
                [
                    format!("*{}\r\n", args.len() - 1).into_bytes(),
                    values.collect::<Vec<_>>().concat(),
                ]
                .concat()
            }
            b"DEL" | b"UNLINK" => {
                let is_there = Self::find(keys, &args[1]).is_some();
                if !self.tells(Lie::KeepsADeletedKey) {
                    keys.remove(&args[1]);
                }
                let is_said = is_there ^ (args[0] == b"DEL" && self.tells(Lie::MiscountsADeletion));
                format!(":{}\r\n", u8::from(is_said)).into_bytes()
            }
            b"INCR" => {
                self.increments.fetch_add(1, Ordering::SeqCst);
                let fresh =
                    || Entry { value: b"0".to_vec(), deadline_ms: u64::MAX, ..Entry::default() };
                let entry = keys.entry(args[1].clone()).or_insert_with(fresh);
                let before = number(&entry.value);
                let added = match self.lie {
                    Lie::CountsAnIncrementTwice if self.lies() => 2,
                    Lie::LosesAnIncrement if self.lies() => 0,
                    _ => 1,
                };
                entry.value = (before + added).to_string().into_bytes();
                // It says what it should have done, which only the sum in the end contradicts.
                format!(":{}\r\n", before + 1).into_bytes()
            }
            b"ECHO" => bulk(&args[1]),
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }

    fn set(
        &self,
        keys: &mut HashMap<Vec<u8>, Entry>,
        key: &[u8],
        value: &[u8],
        lifetime: u64,
    ) -> Vec<u8> {
        let is_short = lifetime <= *super::LIFETIMES_MS.end();
        let ok = b"+OK\r\n".to_vec();
        if !is_short && self.tells(Lie::LosesAWrite) {
            return ok;
        }
        let mut deadline_ms = now_ms() + lifetime;
        let before = keys.get(key);
        match self.lie {
            Lie::ExpiresEarly if is_short => deadline_ms -= lifetime / 2,
            Lie::ExpiresLate if is_short => deadline_ms += lifetime,
            Lie::OverwritesKeepTheOldDeadline if is_short => {
                let alive = before.map(|entry| entry.deadline_ms).filter(|end| *end > now_ms());
                deadline_ms = alive.unwrap_or(deadline_ms);
            }
            _ => {}
        }
        let changes = before.map_or(0, |entry| entry.changes) + 1;
        let before = before.map(|entry| entry.value.clone());
        let entry = Entry { value: value.to_vec(), before, deadline_ms, changes };
        keys.insert(key.to_vec(), entry);
        ok
    }

    fn find(keys: &HashMap<Vec<u8>, Entry>, key: &[u8]) -> Option<Vec<u8>> {
        let entry = keys.get(key).filter(|entry| entry.deadline_ms > now_ms());
        entry.map(|entry| entry.value.clone())
    }

    fn get(&self, keys: &HashMap<Vec<u8>, Entry>, key: &[u8]) -> Vec<u8> {
        let Some(mut value) = Self::find(keys, key) else { return b"$-1\r\n".to_vec() };
        match self.lie {
            Lie::AnswersAnOldValue
                if let Some(before) = &keys[key].before
                    && self.lies() =>
            {
                value.clone_from(before);
            }
            Lie::AnswersForeignBytes if self.lies() => value = vec![b'x'; value.len()],
            Lie::ChangesAByte if self.lies() => *value.last_mut().unwrap() ^= 1,
            Lie::ForgetsAKey if self.lies() => return b"$-1\r\n".to_vec(),
            Lie::AnswersAnotherType if self.lies() => return b":7\r\n".to_vec(),
            _ => {}
        }
        bulk(&value)
    }
}
