//! Files, each and all of them bounded, as a `tar.gz`.

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use ringcache_show::report::{Entry, Missing};
use tar::{Builder, EntryType, Header};

/// Most bytes of a file.
pub(super) const MAX_FILE_BYTES: usize = 1 << 20;
/// Most bytes of all files, before they are compressed.
pub(super) const MAX_BYTES: usize = 32 << 20;

/// Which part of a file stays if it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Beginning,
    /// Of a log the last lines say most.
    End,
}

/// Files to be.
#[derive(Debug, Default)]
pub(super) struct Archive {
    files: Vec<(String, String)>,
    bytes: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) missing: Vec<Missing>,
}

impl Archive {
    /// Takes a file, or what there is room for; it may be a part already.
    pub(super) fn add(&mut self, path: &str, what: &str, text: &str, keep: Keep, was_cut: bool) {
        let kept = bounded(text, keep, MAX_FILE_BYTES);
        if self.bytes + kept.len() > MAX_BYTES {
            self.lacks(what, &format!("the archive has {} MiB already", self.bytes >> 20));
            return;
        }
        self.bytes += kept.len();
        let is_cut = was_cut || kept.len() < text.len();
        let entry =
            Entry { path: path.to_owned(), what: what.to_owned(), bytes: kept.len(), is_cut };
        self.files.push((path.to_owned(), kept.to_owned()));
        self.entries.push(entry);
    }

    /// Notes that something is not there.
    pub(super) fn lacks(&mut self, what: &str, why: &str) {
        self.missing.push(Missing { what: what.to_owned(), why: why.to_owned() });
    }

    /// All of it in a folder, with files that say what is in it.
    pub(super) fn packed(
        &self,
        folder: &str,
        unix_seconds: u64,
        about: &[(&str, String)],
    ) -> io::Result<Vec<u8>> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let about = about.iter().map(|(path, text)| (*path, text));
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text));
        for (path, text) in about.chain(files) {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o600);
            header.set_mtime(unix_seconds);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, format!("{folder}/{path}"), text.as_bytes())?;
        }
        tar.into_inner()?.finish()
    }
}

/// At most so many bytes of the text, whole characters.
fn bounded(text: &str, keep: Keep, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    match keep {
        Keep::Beginning => &text[..text.floor_char_boundary(most)],
        Keep::End => &text[text.ceil_char_boundary(text.len() - most)..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_at_the_end_that_says_less() {
        assert_eq!(bounded("aü€", Keep::Beginning, 6), "aü€");
        assert_eq!(bounded("aü€", Keep::Beginning, 5), "aü");
        assert_eq!(bounded("aü€", Keep::End, 4), "€");
    }

    #[test]
    fn an_archive_takes_no_more_than_there_is_room_for_and_says_what_it_left_out() {
        let mut archive = Archive::default();
        let long = "x".repeat(MAX_FILE_BYTES + 1);
        for n in 0..MAX_BYTES / MAX_FILE_BYTES {
            archive.add(&format!("{n}"), "a log", &long, Keep::End, false);
        }
        assert!(archive.entries.iter().all(|entry| entry.is_cut && entry.bytes == MAX_FILE_BYTES));
        assert_eq!(archive.missing, []);
        archive.add("one more", "a small file", "x", Keep::Beginning, false);
        assert_eq!(archive.missing[0].what, "a small file");
        assert_eq!(archive.missing[0].why, "the archive has 32 MiB already");
        assert_eq!(archive.entries.len(), MAX_BYTES / MAX_FILE_BYTES);
    }
}
