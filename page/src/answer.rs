//! What a request is answered, by nothing but its head.

use hyper::header::{HOST, HeaderMap, HeaderName};
use hyper::{Method, Request, StatusCode};

use crate::files::{self, File};

/// Where the stream of news is.
const EVENTS: &str = "/events";
/// What the machine is called by itself. A name that leads here by the DNS of somebody else is none of them.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Browsers say with it whose page makes a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A file of the page.
    File(&'static File),
    /// The stream of news, if there is room for one more.
    News,
    /// Nothing, and why.
    Refusal(StatusCode, &'static str),
}

/// The answer to a request.
pub(crate) fn answer<B>(request: &Request<B>) -> Answer {
    if !is_for_us(request.headers()) {
        let why = "this page is for http://localhost and http://127.0.0.1 only\n";
        return Answer::Refusal(StatusCode::MISDIRECTED_REQUEST, why);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Answer::Refusal(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    match request.uri().path() {
        EVENTS if is_of_another_page(request.headers()) => {
            Answer::Refusal(StatusCode::FORBIDDEN, "for the page itself only\n")
        }
        EVENTS => Answer::News,
        path => files::at(path).map_or(
            Answer::Refusal(StatusCode::NOT_FOUND, "there is no such file: the page is at /\n"),
            Answer::File,
        ),
    }
}

/// Whether the request names this machine, once. The port tells nothing: browsers leave out 80, and `ssh -L` forwards any.
fn is_for_us(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    OWN_NAMES.iter().any(|own| {
        host.split_at_checked(own.len()).is_some_and(|(name, port)| {
            name.eq_ignore_ascii_case(own) && (port.is_empty() || is_port(port))
        })
    })
}

/// Whether it is a colon and a number.
fn is_port(text: &str) -> bool {
    let number = text.strip_prefix(':').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Another page cannot read the stream, but could take all that there are.
fn is_of_another_page(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(&request.body(()).expect("a request"))
    }

    fn status(answer: &Answer) -> u16 {
        match answer {
            Answer::Refusal(status, _) => status.as_u16(),
            Answer::File(_) | Answer::News => 200,
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered_with_any_port_or_none() {
        for host in [
            "localhost:7800",
            "LocalHost:7800",
            "127.0.0.1:9000",
            "[::1]:1",
            "localhost",
            "127.0.0.1",
            "[::1]",
        ] {
            assert_eq!(status(&ask("GET", "/", &[("host", host)])), 200, "{host}");
        }
        for host in [
            "",
            "localhost:",
            "localhost:http",
            "localhost:+80",
            "localhost.",
            "localhost7800",
            "localhos",
            "evil.example:7800",
            "evil.example",
            "localhost.evil.example:7800",
            "127.0.0.1.evil.example:7800",
            "127.0.0.2:7800",
            "::1:7800",
            "localhost:7800:7800",
            "localhost:7800 ",
            "user@localhost:7800",
            "0.0.0.0:7800",
        ] {
            for path in ["/", "/events", "/none"] {
                assert_eq!(status(&ask("GET", path, &[("host", host)])), 421, "{host} {path}");
            }
        }
        assert_eq!(status(&ask("GET", "/", &[])), 421, "no name");
        let two = [("host", "localhost:7800"), ("host", "localhost:7800")];
        assert_eq!(status(&ask("GET", "/", &two)), 421, "two names");
    }

    #[test]
    fn a_name_in_the_request_line_does_not_stand_for_the_header() {
        let host = [("host", "evil.example:7800")];
        assert_eq!(status(&ask("GET", "http://localhost:7800/", &host)), 421);
    }

    #[test]
    fn only_what_reads_is_answered() {
        let host = [("host", "localhost:7800")];
        for method in ["GET", "HEAD"] {
            assert_eq!(status(&ask(method, "/", &host)), 200, "{method}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"] {
            for path in ["/", "/events", "/none"] {
                assert_eq!(status(&ask(method, path, &host)), 405, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_path_is_a_file_of_the_page_the_stream_or_nothing() {
        let get = |path: &str| ask("GET", path, &[("host", "localhost:7800")]);
        assert_eq!(get("/events"), Answer::News);
        for path in ["/", "/?x=1", "/page.js", "/page.css"] {
            assert!(matches!(get(path), Answer::File(_)), "{path}");
        }
        for path in ["/index.html", "/events/", "//", "/../Cargo.toml", "/%2e%2e/x", "/page.js/"] {
            assert_eq!(status(&get(path)), 404, "{path}");
        }
    }

    #[test]
    fn a_page_of_somebody_else_gets_no_stream_but_may_link_here() {
        let from = |path: &str, site: &str| {
            status(&ask("GET", path, &[("host", "localhost:7800"), ("sec-fetch-site", site)]))
        };
        assert_eq!((from("/events", "same-origin"), from("/events", "none")), (200, 200));
        assert_eq!((from("/events", "cross-site"), from("/events", "same-site")), (403, 403));
        assert_eq!(from("/", "cross-site"), 200, "people follow links");
    }
}
