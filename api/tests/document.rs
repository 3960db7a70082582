//! A ring document is read only if it is whole: what its writer meant, for a reader of this version.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use proptest::prelude::*;
use ringcache_api::document::{
    ClusterRef, FORMAT_VERSION, HashRule, MAX_DOCUMENT_BYTES, MAX_MEMBERS, SlotRange, slot_ranges,
};
use ringcache_api::{Document, Incarnation, Member, MemberState, Ports};
use serde_json::{Value, json};

fn member(n: usize) -> Member {
    Member {
        name: format!("simple-web-{n}"),
        uid: Incarnation::new(&format!("u{n}"), "7"),
        host: "127.0.0.1".into(),
        ports: Ports { resp: 6379, http: 8080, admin: 9400, bus: 16379 },
        state: MemberState::Active,
    }
}

fn document(members: usize) -> Document {
    let names: Vec<String> = (0..members).map(|n| member(n).name).collect();
    let document = Document {
        version: FORMAT_VERSION,
        cluster: ClusterRef {
            namespace: "shop".into(),
            name: "simple-web".into(),
            uid: "c1".into(),
        },
        epoch: 42,
        hash: HashRule::default(),
        members: (0..members).rev().map(member).collect(),
        gone: [Incarnation::new("u9", "1")].into(),
        slots: slot_ranges(|slot| &names[usize::from(slot) * members / 16384]),
        checksum: String::new(),
    };
    document.sealed()
}

/// What the reader says to `document` after it was changed and sealed again.
fn refusal(change: impl FnOnce(&mut Document)) -> String {
    let mut document = document(2);
    change(&mut document);
    Document::parse(document.sealed().to_json().as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_was_written_is_read() {
    let written = document(3);
    assert_eq!(Document::parse(written.to_json().as_bytes()), Ok(written.clone()));
    let names: Vec<_> = written.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["simple-web-0", "simple-web-1", "simple-web-2"]);
    assert_eq!(written.intended("simple-web-1").len(), 5461);
}

#[test]
fn the_checksum_does_not_depend_on_spaces_and_order() {
    let value: Value = serde_json::from_str(&document(2).to_json()).unwrap();
    let compact = value.to_string();
    assert_eq!(Document::parse(compact.as_bytes()), Ok(document(2)));
}

#[test]
fn a_field_that_this_reader_does_not_know_is_covered_by_the_checksum() {
    let mut value: Value = serde_json::from_str(&document(2).to_json()).unwrap();
    value["zones"] = json!(["a"]);
    let error = Document::parse(value.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("the ring document's checksum is sha256:"), "{error}");
}

#[test]
fn another_format_version_is_refused_before_anything_else() {
    let expected = "the ring document has format version 2; this program reads version 1";
    assert_eq!(refusal(|document| document.version = 2), expected);
    let error = Document::parse(br#"{"version": 2, "all": "different"}"#).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn another_hash_rule_is_refused() {
    let error = refusal(|document| document.hash.slots = 1024);
    assert!(error.contains("only crc16-xmodem with 16384 slots"), "{error}");
}

#[test]
fn epochs_start_at_one() {
    let expected = "the ring document is inconsistent: epochs start at 1";
    assert_eq!(refusal(|document| document.epoch = 0), expected);
}

#[test]
fn slots_must_be_whole_and_owned() {
    let at = |i: usize, change: fn(&mut SlotRange)| refusal(|d| change(&mut d.slots[i]));
    let cases = [
        (at(0, |r| r.range.0 = 1), "slot range 1-8191 where one from 0 was due"),
        (at(1, |r| r.range.0 = 8193), "slot range 8193-16383 where one from 8192 was due"),
        (at(1, |r| r.range.0 = 8191), "slot range 8191-16383 where one from 8192 was due"),
        (at(1, |r| r.range.1 = 16384), "slot range 8192-16384 where one from 8192 was due"),
        (at(1, |r| r.range.1 = 8191), "slot range 8192-8191 where one from 8192 was due"),
        (at(1, |r| r.range.1 = 16382), "slots 16383-16383 have no owner"),
        (at(0, |r| r.owner = "x".into()), "slots 0-8191 belong to `x`, which is no member"),
    ];
    for (found, expected) in cases {
        assert_eq!(found, format!("the ring document is inconsistent: {expected}"));
    }
    let leaving = refusal(|document| document.members[0].state = MemberState::Leaving);
    assert!(
        leaving.ends_with("slots 0-8191 belong to `simple-web-0`, which is leaving"),
        "{leaving}"
    );
}

#[test]
fn members_must_be_named_and_unique() {
    let same_name = refusal(|document| document.members[1].name = "simple-web-0".into());
    assert!(same_name.ends_with("member `simple-web-0` (u1.7) appears twice"), "{same_name}");
    let same_run = refusal(|document| document.members[1].uid = member(0).uid);
    assert!(same_run.ends_with("member `simple-web-1` (u0.7) appears twice"), "{same_run}");
    let nowhere = refusal(|document| document.members[1].host.clear());
    assert!(nowhere.ends_with("member `simple-web-1` lacks a name, uid or host"), "{nowhere}");
}

#[test]
fn there_may_be_as_many_members_as_the_limit_says_and_not_one_more() {
    assert_eq!(document(MAX_MEMBERS).validate(), Ok(()));
    let error = document(MAX_MEMBERS + 1).validate().unwrap_err().to_string();
    assert!(error.ends_with("129 members; 1 to 128 are allowed"), "{error}");
    assert!(document(1).validate().is_ok());
    let nobody = refusal(|document| document.members.clear());
    assert!(nobody.ends_with("0 members; 1 to 128 are allowed"), "{nobody}");
}

#[test]
fn a_document_may_be_as_long_as_the_limit_says_and_not_one_byte_more() {
    let mut text = document(2).to_json();
    text.extend(std::iter::repeat_n(' ', MAX_DOCUMENT_BYTES - text.len()));
    assert_eq!(Document::parse(text.as_bytes()), Ok(document(2)));
    text.push(' ');
    let error = Document::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "the ring document has 524289 bytes; at most 524288 are allowed");
}

#[test]
fn an_incarnation_knows_the_platforms_part_of_itself() {
    assert_eq!(Incarnation::new("a.b", "7").uid(), "a.b");
    assert_eq!(Incarnation("bare".into()).uid(), "bare");
}

proptest! {
    /// Whatever happens to a byte on the way, another meaning is never read.
    #[test]
    fn a_changed_byte_is_noticed_or_means_nothing(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let written = document(2);
        let mut bytes = written.to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Document::parse(&bytes) {
            prop_assert_eq!(read, written);
        }
    }
}
