// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MIB = 1048576;

/** What stands where nothing is known. */
export const NONE = "–";

const known = (write) => (value) => (value === null || value === undefined ? NONE : write(value));

export const count = known((n) => whole.format(n));

/** So many in a second: few of them with a decimal. */
export const rate = known((n) => (n > 0 && n < 10 ? n.toFixed(1) : whole.format(n)));

export const percent = known((part) => `${(part * 100).toFixed(1)} %`);

export const bytes = known((n) => {
  const mib = n / MIB;
  if (mib >= 10240) return `${(mib / 1024).toFixed(1)} GiB`;
  return `${mib > 0 && mib < 10 ? mib.toFixed(1) : whole.format(mib)} MiB`;
});

/** A time in microseconds. */
export const took = known((us) => {
  if (us < 1000) return `${whole.format(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toPrecision(3)} ms`;
  return `${(us / 1e6).toPrecision(3)} s`;
});

export const nodes = (n) => (n === 1 ? "1 node" : `${count(n)} nodes`);

/** The time of day in UTC, of seconds since 1970. */
export const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

/** What tells a node from the others of its cluster: the last part of its name. */
export const short = (name) => name.slice(name.lastIndexOf("-") + 1).slice(0, 4);

/** Names with numbers in the order of these. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;
