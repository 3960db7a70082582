//! What is told of a cluster, and who listens.
//!
//! Nothing is kept for a listener but how much of the news it has taken: who is late gets the latest look, and who takes nothing for long
//! is let go.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

/// Most streams at once: windows of browsers on one machine.
pub const MOST_STREAMS: usize = 16;
/// Events that are kept for who comes later, and characters of each.
const MOST_LINES: usize = 200;
const LINE_CHARACTERS: usize = 1000;
/// A stream that has not taken so many looks is let go.
const MOST_BEHIND: u32 = 10;

/// A page: what is told on it, and to whom. Clones are the same page.
#[derive(Clone, Debug)]
pub struct Page(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    told: Mutex<Told>,
    /// Changes whenever something is told.
    news: watch::Sender<()>,
    /// How many streams are open.
    open: watch::Sender<usize>,
}

/// All that was told lately.
#[derive(Debug)]
struct Told {
    begin: String,
    /// The last events, ready to be sent.
    lines: VecDeque<String>,
    /// Events so far.
    events: u64,
    /// The last look, ready to be sent; `None` = nobody listens, or there was none yet.
    look: Option<Bytes>,
    /// Looks so far.
    looks: u64,
    streams: HashMap<u64, Listener>,
    last_stream: u64,
}

/// What is known of a stream by who tells.
#[derive(Debug)]
struct Listener {
    behind: u32,
    gone: Arc<Notify>,
}

/// How much a stream has taken.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    has_begun: bool,
    events: u64,
    looks: u64,
}

impl Page {
    /// A page without news. `run` tells this run of the program from others: a page that stays open over a restart begins its list of
    /// events anew.
    pub fn new(run: &str) -> Self {
        let told = Told {
            begin: message("begin", &json!({ "run": run })),
            lines: VecDeque::new(),
            events: 0,
            look: None,
            looks: 0,
            streams: HashMap::new(),
            last_stream: 0,
        };
        let (news, open) = (watch::Sender::new(()), watch::Sender::new(0));
        Self(Arc::new(Shared { told: Mutex::new(told), news, open }))
    }

    /// Tells an event, at a time in seconds since 1970.
    pub fn log(&self, at: u64, text: &str) {
        let mut told = self.0.told.lock();
        told.events += 1;
        let text: String = text.chars().take(LINE_CHARACTERS).collect();
        let line = json!({ "number": told.events, "at": at, "text": text });
        told.lines.push_back(message("log", &line));
        if told.lines.len() > MOST_LINES {
            told.lines.pop_front();
        }
        drop(told);
        self.0.news.send_replace(());
    }

    /// Tells what a look has brought, and lets those go that have not taken the last ones.
    pub fn publish(&self, look: &Value) {
        let mut told = self.0.told.lock();
        told.looks += 1;
        told.look = Some(message("state", look).into());
        for listener in told.streams.values_mut() {
            listener.behind += 1;
            if listener.behind > MOST_BEHIND {
                listener.gone.notify_one();
            }
        }
        drop(told);
        self.0.news.send_replace(());
    }

    /// Waits until somebody looks at the page.
    pub async fn looked_at(&self) {
        // Its other end lives as long as this page.
        let _ = self.0.open.subscribe().wait_for(|open| *open > 0).await;
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        *self.0.open.borrow()
    }

    /// One more stream, whose connection ends when `gone` is notified; `None` = there are as many as may be.
    pub(crate) fn open(&self, gone: &Arc<Notify>) -> Option<Stream> {
        let mut told = self.0.told.lock();
        if told.streams.len() >= MOST_STREAMS {
            return None;
        }
        if told.streams.is_empty() {
            // While nobody listened nobody looked: it is of another time.
            told.look = None;
        }
        told.last_stream += 1;
        let id = told.last_stream;
        told.streams.insert(id, Listener { behind: 0, gone: Arc::clone(gone) });
        self.0.open.send_replace(told.streams.len());
        drop(told);
        let news = self.0.news.subscribe();
        Some(Stream { page: self.clone(), id, news, taken: Taken::default() })
    }
}

impl Told {
    /// What a stream has not taken yet; empty if there is nothing.
    fn since(&mut self, id: u64, taken: &mut Taken) -> Bytes {
        let begin = if taken.has_begun { "" } else { &self.begin };
        let new = (self.events - taken.events).min(self.lines.len() as u64) as usize;
        let lines = self.lines.iter().skip(self.lines.len() - new).map(String::as_str);
        let text: String = [begin].into_iter().chain(lines).collect();
        let look = self.look.clone().filter(|_| self.looks > taken.looks);
        *taken = Taken { has_begun: true, events: self.events, looks: self.looks };
        if let Some(listener) = self.streams.get_mut(&id) {
            listener.behind = 0;
        }
        match look {
            Some(look) if text.is_empty() => look,
            Some(look) => [text.as_bytes(), &look].concat().into(),
            None => text.into(),
        }
    }
}

/// A stream of news.
#[derive(Debug)]
pub(crate) struct Stream {
    page: Page,
    id: u64,
    news: watch::Receiver<()>,
    taken: Taken,
}

impl Stream {
    /// What has been told since the last call, as soon as there is something.
    pub(crate) async fn next(&mut self) -> Bytes {
        loop {
            // Before it is read: what comes in between wakes once more.
            self.news.borrow_and_update();
            let news = self.page.0.told.lock().since(self.id, &mut self.taken);
            if !news.is_empty() {
                return news;
            }
            // The other end lives as long as the page.
            let _ = self.news.changed().await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut told = self.page.0.told.lock();
        told.streams.remove(&self.id);
        self.page.0.open.send_replace(told.streams.len());
    }
}

/// A server-sent event. JSON has no line breaks but those that it escapes.
fn message(event: &str, data: &Value) -> String {
    format!("event: {event}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(page: &Page) -> Stream {
        page.open(&Arc::default()).expect("room")
    }

    async fn text(stream: &mut Stream) -> String {
        String::from_utf8(stream.next().await.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn a_stream_begins_with_the_events_so_far_and_goes_on_with_what_is_new() {
        let page = Page::new("7");
        page.log(5, "web-0 started");
        let mut stream = open(&page);
        let wanted = "event: begin\ndata: {\"run\":\"7\"}\n\n\
                      event: log\ndata: {\"at\":5,\"number\":1,\"text\":\"web-0 started\"}\n\n";
        assert_eq!(text(&mut stream).await, wanted);
        page.publish(&json!({"a": 1}));
        page.log(6, "Ready");
        let wanted = "event: log\ndata: {\"at\":6,\"number\":2,\"text\":\"Ready\"}\n\n\
                      event: state\ndata: {\"a\":1}\n\n";
        assert_eq!(text(&mut stream).await, wanted);
        page.publish(&json!({"a": 2}));
        page.publish(&json!({"a": 3}));
        assert_eq!(text(&mut stream).await, "event: state\ndata: {\"a\":3}\n\n", "the latest");
    }

    #[tokio::test]
    async fn no_text_can_end_its_message() {
        let page = Page::new("7");
        page.log(5, "a\n\nevent: state\rdata: {}\u{2028}<b>");
        let told = text(&mut open(&page)).await;
        assert_eq!(told.matches("\n\n").count(), 2, "{told}");
        assert_eq!((told.matches("event: ").count(), told.contains('\r')), (3, false), "{told}");
        let line = told.lines().filter(|line| line.starts_with("data: ")).nth(1).expect("a line");
        assert!(line.contains(r"a\n\nevent: state\rdata: {}"), "{line}");
    }

    #[tokio::test]
    async fn events_are_kept_up_to_a_bound_and_cut() {
        let page = Page::new("7");
        for number in 0..=MOST_LINES as u64 {
            page.log(number, &"ü".repeat(LINE_CHARACTERS + 1));
        }
        let told = text(&mut open(&page)).await;
        assert_eq!(told.matches("event: log").count(), MOST_LINES);
        assert!(!told.contains("\"number\":1,") && told.contains("\"number\":2,"));
        assert_eq!(told.matches('ü').count(), MOST_LINES * LINE_CHARACTERS);
    }

    #[tokio::test]
    async fn sixteen_streams_are_open_at_once_and_not_one_more() {
        let page = Page::new("7");
        let mut streams: Vec<Stream> = (0..MOST_STREAMS).map(|_| open(&page)).collect();
        assert!(page.open(&Arc::default()).is_none());
        assert_eq!(page.streams(), MOST_STREAMS);
        streams.pop();
        assert_eq!(page.streams(), MOST_STREAMS - 1);
        assert!(page.open(&Arc::default()).is_some());
    }

    #[tokio::test]
    async fn who_comes_after_nobody_looked_gets_no_look_of_another_time() {
        let page = Page::new("7");
        let mut first = open(&page);
        page.publish(&json!({"a": 1}));
        text(&mut first).await;
        let mut second = open(&page);
        assert!(text(&mut second).await.contains("event: state"), "it is of now");
        drop((first, second));
        assert!(!text(&mut open(&page)).await.contains("event: state"));
    }

    #[tokio::test]
    async fn a_stream_that_takes_nothing_is_let_go_and_the_others_are_not() {
        let page = Page::new("7");
        let (slow, quick) = (Arc::default(), Arc::default());
        let (mut one, mut other) =
            (page.open(&slow).expect("room"), page.open(&quick).expect("room"));
        text(&mut one).await;
        for look in 0..=MOST_BEHIND {
            page.publish(&json!(look));
            text(&mut other).await;
        }
        slow.notified().await;
        let waits = tokio::time::timeout(std::time::Duration::ZERO, quick.notified()).await;
        assert!(waits.is_err(), "it has taken everything");
    }

    #[tokio::test]
    async fn nobody_is_asked_to_look_until_somebody_listens() {
        let page = Page::new("7");
        let waits = tokio::time::timeout(std::time::Duration::ZERO, page.looked_at()).await;
        assert!(waits.is_err(), "nobody listens");
        let _stream = open(&page);
        page.looked_at().await;
    }
}
