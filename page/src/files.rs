//! The files of the page, as they are in `web/`.

/// A file, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Where browsers ask for it.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its content.
    pub(crate) text: &'static str,
}

/// The page itself stands at the root.
const fn page(text: &'static str) -> File {
    File { path: "/", kind: "text/html; charset=utf-8", text }
}

const fn style(path: &'static str, text: &'static str) -> File {
    File { path, kind: "text/css; charset=utf-8", text }
}

const fn script(path: &'static str, text: &'static str) -> File {
    File { path, kind: "text/javascript; charset=utf-8", text }
}

/// All of them.
static FILES: [File; 15] = [
    page(include_str!("web/index.html")),
    style("/page.css", include_str!("web/page.css")),
    style("/colours.css", include_str!("web/colours.css")),
    script("/page.js", include_str!("web/page.js")),
    script("/stream.js", include_str!("web/stream.js")),
    script("/dom.js", include_str!("web/dom.js")),
    script("/words.js", include_str!("web/words.js")),
    script("/palette.js", include_str!("web/palette.js")),
    script("/glance.js", include_str!("web/glance.js")),
    script("/ring.js", include_str!("web/ring.js")),
    script("/curve.js", include_str!("web/curve.js")),
    script("/work.js", include_str!("web/work.js")),
    script("/minutes.js", include_str!("web/minutes.js")),
    script("/nodes.js", include_str!("web/nodes.js")),
    script("/lists.js", include_str!("web/lists.js")),
];

/// The file that a browser asks for.
pub(crate) fn at(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page may weigh, all of it.
    const MOST_BYTES: usize = 100 << 10;

    #[test]
    fn all_of_the_page_is_less_than_100_kib() {
        let bytes: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(bytes < MOST_BYTES, "{bytes} bytes");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for File { path, text, .. } in &FILES {
            // A namespace is a name, and nothing is there to be loaded.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for elsewhere in ["http:", "https:", "//cdn", "@import", "url("] {
                assert!(!text.contains(elsewhere), "{path}: {elsewhere}");
            }
        }
    }

    #[test]
    fn no_text_of_a_cluster_can_become_markup_or_code() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "srcdoc",
            "eval(",
            "new Function",
            "createContextualFragment",
            "setTimeout(\"",
        ];
        for File { path, text, .. } in FILES.iter().filter(|file| file.kind.contains("javascript"))
        {
            for way in ways {
                assert!(!text.contains(way), "{path}: {way}");
            }
        }
        let page = FILES[0].text;
        for inline in [" style=", " onclick=", " onload=", "<style", "javascript:"] {
            assert!(!page.contains(inline), "the policy of the page forbids {inline}");
        }
        let scripts = page.matches("<script ").count();
        assert_eq!(page.matches(" src=\"").count(), scripts, "each script is a file");
    }

    #[test]
    fn every_file_that_the_page_asks_for_is_there_and_none_besides() {
        let mut missing: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        let asked = |text: &'static str, before: &str| -> Vec<&'static str> {
            text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
        };
        for File { path, text, .. } in &FILES {
            let wants =
                [asked(text, "href=\""), asked(text, "src=\""), asked(text, "from \"./")].concat();
            for name in
                wants.into_iter().filter(|name| !name.starts_with(['#', '$']) && *name != "data:,")
            {
                let wanted = format!("/{name}");
                assert!(at(&wanted).is_some(), "{path} asks for {wanted}");
                missing.retain(|path| *path != wanted);
            }
        }
        assert_eq!(missing, ["/"], "nobody asks for these");
    }
}
