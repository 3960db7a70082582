// Keeps the stream of news open, and says how it stands. It is closed while nobody looks: the cluster is asked for this page only.

const STALE_MS = 6000;
const AGAIN_MS = 2000;

/** Calls `begin(run)`, `log(event)` and `state(look)` as they come, and `standing(word)`: opening, live, stale, lost or paused. */
export function follow({ begin, log, state, standing }) {
  let source = null;
  let again = null;
  let heard = null;
  let isPaused = false;

  const listen = (event, tell) =>
    source.addEventListener(event, (message) => tell(JSON.parse(message.data)));

  function open() {
    clearTimeout(again);
    source = new EventSource("events");
    listen("begin", (it) => {
      // The first look may never come.
      heard = Date.now();
      begin(it.run);
    });
    listen("log", log);
    listen("state", (look) => {
      heard = Date.now();
      standing("live");
      state(look);
    });
    source.addEventListener("error", () => {
      heard = null;
      standing("lost");
      // What was refused is not tried again by the browser.
      if (source.readyState === EventSource.CLOSED) {
        close();
        again = setTimeout(open, AGAIN_MS);
      }
    });
  }

  function close() {
    clearTimeout(again);
    source?.close();
    source = null;
    heard = null;
  }

  function settle() {
    const wanted = !isPaused && !document.hidden;
    if (wanted && !source) {
      standing("opening");
      open();
    } else if (!wanted) {
      close();
      if (isPaused) standing("paused");
    }
  }

  document.addEventListener("visibilitychange", settle);
  setInterval(() => {
    if (heard !== null && Date.now() - heard > STALE_MS) standing("stale");
  }, 1000);
  settle();
  return {
    pause(wanted) {
      isPaused = wanted;
      settle();
    },
  };
}
