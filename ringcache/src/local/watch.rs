//! Wakes the loop when the user's file changes. Only a hint: the loop looks at the file in any case.

use std::path::Path;
use std::sync::Arc;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Wakes whoever waits for it.
pub(super) struct Watch {
    changed: Arc<Notify>,
    /// Without one (there are systems with too few watches) a change is noticed a little later.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches the directory of `file` and not the file itself: editors replace files.
    pub(super) fn new(file: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let (name, wake) = (file.file_name().map(ToOwned::to_owned), Arc::clone(&changed));
        let on_event = move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            // Looking at the file is an access, too: woken by that, the loop would never sleep.
            let edited = !event.kind.is_access();
            if edited && event.paths.iter().any(|path| path.file_name() == name.as_deref()) {
                wake.notify_one();
            }
        };
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let watcher = notify::recommended_watcher(on_event).and_then(|mut watcher| {
            watcher.watch(dir, RecursiveMode::NonRecursive).map(|()| watcher)
        });
        Self { changed, _watcher: watcher.ok() }
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
