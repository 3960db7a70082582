//! The server as a test holds it: its clients, its objects, and the strings that a test pulls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::call::{Call, Verdict};
use crate::kind::Kind;
use crate::platform::{Paces, Platform, set_up};
use crate::restore::restore;
use crate::service::Line;
use crate::store::{Change, Key, Store};

/// Between two looks of the platform at everything, when it runs by itself.
const STEP: Duration = Duration::from_millis(100);

/// How the server begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides about everything that a real server leaves to chance.
    pub seed: u64,
    /// The wall clock at the beginning.
    pub epoch: Timestamp,
    /// Between a call and its answer.
    pub latency: Duration,
    /// Namespaces that exist.
    pub namespaces: Vec<String>,
    /// Hosts that pods can run on, all of them ready.
    pub hosts: Vec<String>,
    /// Who says whether a running container is ready.
    pub probe: Probe,
    /// How long the platform takes.
    pub paces: Paces,
}

/// Who says whether a running container is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is.
    Always,
    /// Whoever calls [`ApiServer::set_ready`].
    Told,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            epoch: Timestamp::from_second(1_800_000_000).unwrap_or_default(),
            latency: Duration::from_millis(1),
            namespaces: vec!["default".to_owned()],
            hosts: (0..6).map(|n| format!("host-{n}")).collect(),
            probe: Probe::Told,
            paces: Paces::default(),
        }
    }
}

type Hook = Arc<dyn Fn(&ApiServer, &Call) -> Verdict + Send + Sync>;

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

/// A server at one moment, to begin others from.
pub struct Snapshot {
    state: (Store, Platform),
    elapsed: Duration,
    latency: Duration,
}

struct Inner {
    started: Instant,
    /// Time that had passed before.
    offset: Duration,
    latency: Duration,
    state: Mutex<(Store, Platform)>,
    /// Wakes the watches, in the order in which they wait: a history that depended on anything else could not be replayed.
    news: Notify,
    hook: Mutex<Option<Hook>>,
    cut: Mutex<u64>,
    /// Clients that see nothing after a revision, unless they ask past every cache.
    views: Mutex<BTreeMap<String, u64>>,
}

impl ApiServer {
    /// A server with namespaces and hosts and nothing else.
    pub fn new(options: Options) -> Self {
        let Options { seed, epoch, latency, namespaces, hosts, probe, paces } = options;
        let mut store = Store::new(seed, epoch);
        let platform = Platform::new(seed, probe, paces);
        store.begin(Duration::ZERO, platform.writer());
        set_up(&mut store, &namespaces, &hosts);
        Self::begin((store, platform), Duration::ZERO, latency)
    }

    /// The server as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.0.state.lock().clone();
        Snapshot { state, elapsed: self.elapsed(), latency: self.0.latency }
    }

    /// A server that goes on from a snapshot, its clock too. Hooks and views are not part of it.
    pub fn resume(snapshot: &Snapshot) -> Self {
        Self::begin(snapshot.state.clone(), snapshot.elapsed, snapshot.latency)
    }

    fn begin(state: (Store, Platform), offset: Duration, latency: Duration) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            offset,
            latency,
            state: Mutex::new(state),
            news: Notify::new(),
            hook: Mutex::new(None),
            cut: Mutex::new(0),
            views: Mutex::new(BTreeMap::new()),
        }))
    }

    /// Time since the server began.
    fn elapsed(&self) -> Duration {
        self.0.offset + self.0.started.elapsed()
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.0.state.lock().0.clock(self.elapsed())
    }

    /// A client; its calls are known by the name of the writer. Must be called within a runtime.
    pub fn client(&self, writer: &str) -> Client {
        Client::new(Line { api: self.clone(), writer: Arc::from(writer) }, "default")
    }

    /// From now on the hook is asked before each call.
    pub fn set_hook(&self, hook: impl Fn(&Self, &Call) -> Verdict + Send + Sync + 'static) {
        *self.0.hook.lock() = Some(Arc::new(hook));
    }

    pub(crate) fn ask(&self, call: &Call) -> Verdict {
        let hook = self.0.hook.lock().clone();
        hook.map_or(Verdict::Pass, |hook| hook(self, call))
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.0.state.lock().0.revision
    }

    /// All objects as they are stored, by kind, namespace and name.
    pub fn objects(&self) -> Vec<Value> {
        self.0.state.lock().0.objects().values().map(|object| object.value().clone()).collect()
    }

    /// Looks at the objects of a kind in all namespaces.
    pub fn look_at<T>(&self, kind: Kind, look: impl FnMut(&Value) -> T) -> Vec<T> {
        let state = self.0.state.lock();
        state.0.of_kind(kind, None).map(|(_, object)| object.value()).map(look).collect()
    }

    /// The objects of a kind in all namespaces.
    pub fn of_kind(&self, kind: Kind) -> Vec<Value> {
        self.look_at(kind, Value::clone)
    }

    /// One object.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let state = self.0.state.lock();
        state.0.get(&Key::new(kind, namespace, name)).map(|object| object.value().clone())
    }

    /// Puts an object into the database, with the uid, the status and the times that it names. The fields that this changes
    /// are the manager's. An object of the same name and another uid goes.
    pub fn restore(&self, manager: &str, object: Value) {
        self.with(&Arc::from(manager), |store| restore(store, manager, object));
    }

    /// Removes an object at once, whatever it waits for.
    pub fn remove(&self, kind: Kind, namespace: &str, name: &str) {
        let key = Key::new(kind, namespace, name);
        self.with(&Arc::from("database"), |store| drop(store.remove(&key)));
    }

    /// From now on the definition of cacheclusters is an older one, which does not declare this field: `status.lostEntries.askedAt`.
    ///
    /// # Panics
    /// If no field of that name is declared.
    pub fn undeclare(&self, field: &str) {
        assert!(self.0.state.lock().0.undeclare(field), "{field} is not declared");
    }

    /// The changes after a revision.
    pub fn history(&self, after: u64) -> Vec<Change> {
        self.0.state.lock().0.after(after).to_vec()
    }

    /// Forgets all versions but the present one, as etcd's compaction does: watches and lists of older ones expire.
    pub fn compact(&self) {
        let mut state = self.0.state.lock();
        state.0.compacted = state.0.revision;
    }

    /// Ends every watch as one whose version was compacted before it was told what came after.
    pub fn cut_watches(&self) {
        self.compact();
        *self.0.cut.lock() += 1;
        self.0.news.notify_waiters();
    }

    /// How often watches were cut.
    pub(crate) fn cuts(&self) -> u64 {
        *self.0.cut.lock()
    }

    /// From now on watches and cached lists of the client see nothing new.
    pub fn freeze(&self, writer: &str) {
        let revision = self.revision();
        self.0.views.lock().insert(writer.to_owned(), revision);
    }

    /// The client sees everything again.
    pub fn thaw(&self, writer: &str) {
        self.0.views.lock().remove(writer);
        // Nothing has changed, but what was held back is to be told.
        self.0.news.notify_waiters();
    }

    /// The container of a pod ends by itself with this exit code.
    pub fn exit(&self, namespace: &str, name: &str, code: i64) {
        self.platform(|store, platform| platform.exit(store, namespace, name, code));
    }

    /// What the readiness probe of a pod's container says; only where [`Probe::Told`] is set.
    pub fn set_ready(&self, namespace: &str, name: &str, ready: bool) {
        self.platform(|store, platform| platform.set_ready(store, namespace, name, ready));
    }

    /// A host loses power: nothing on it runs or reports any more.
    pub fn lose_power(&self, host: &str) {
        self.platform(|store, platform| platform.lose_power(store, host));
    }

    /// The platform does whatever is due: scheduler, kubelets, controllers. True if anything has changed.
    pub fn step(&self) -> bool {
        let before = self.revision();
        self.platform(|store, platform| platform.step(store));
        self.revision() > before
    }

    /// Lets the platform run by itself for as long as the future is polled.
    pub async fn run_platform(&self) {
        loop {
            self.step();
            sleep(STEP).await;
        }
    }

    fn platform(&self, work: impl FnOnce(&mut Store, &mut Platform)) {
        let news = {
            let mut state = self.0.state.lock();
            let (store, platform) = &mut *state;
            let before = store.revision;
            store.begin(self.elapsed(), platform.writer());
            work(store, platform);
            store.revision > before
        };
        if news {
            self.0.news.notify_waiters();
        }
    }

    pub(crate) fn latency(&self) -> Duration {
        self.0.latency
    }

    /// Works on the objects in the name of a writer, and tells the watches.
    pub(crate) fn with<T>(&self, writer: &Arc<str>, work: impl FnOnce(&mut Store) -> T) -> T {
        let (result, news) = {
            let mut state = self.0.state.lock();
            let before = state.0.revision;
            state.0.begin(self.elapsed(), writer);
            (work(&mut state.0), state.0.revision > before)
        };
        if news {
            self.0.news.notify_waiters();
        }
        result
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Store) -> T) -> T {
        work(&self.0.state.lock().0)
    }

    pub(crate) fn news(&self) -> &Notify {
        &self.0.news
    }

    /// The newest revision that the client's watches and cached lists may show.
    pub(crate) fn view_of(&self, writer: &str) -> u64 {
        self.0.views.lock().get(writer).copied().unwrap_or(u64::MAX)
    }
}
