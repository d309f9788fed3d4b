//! The list of projects, read while it arrives, in any of the four shapes that the vendor's
//! catalogue end points were seen to use (`AISTUDIOS_V3 §1.5`).
//!
//! A list may hold tens of thousands of projects with all their scenes, so only what is needed of
//! each is ever in memory. Invariant: a list that is cut, refused or not understood is never
//! returned; and one that is returned but may not be everything says so.

use std::{collections::BTreeMap, fmt, io::Read};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    envelope,
    project::{ProjectId, ProjectSummary, RenderState},
};

/// The account's projects, as far as the list shows them.
///
/// By the vendor's reference it shows *exported* projects, so to be in it is a proof and to be
/// missing from it is none (`AISTUDIOS_V3 §3.2`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectListing {
    /// In the order of the answer; a project may come twice.
    pub items: Vec<ProjectSummary>,
    /// Whether every entry could be read and nothing hints at further pages. Only then may
    /// anything at all be concluded from a project that is missing.
    pub is_complete: bool,
}

/// Reads a listing; `None` if what arrives is not JSON or not a list.
pub(super) fn parse_listing(source: impl Read) -> Option<ProjectListing> {
    let mut source = source;
    let mut start = Vec::with_capacity(3);
    source.by_ref().take(3).read_to_end(&mut start).ok()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let whole = std::io::BufReader::with_capacity(64 << 10, start.chain(source));
    let node: Node = serde_json::from_reader(whole).ok()?;
    find(node)
}

/// The names under which the vendor may wrap its list; others will do if there is only one.
const LIST_KEYS: &[&str] = &["projects", "list", "items", "docs", "results"];

fn find(node: Node) -> Option<ProjectListing> {
    let mut shape = match node {
        Node::Rows(rows) => return Some(rows.listing(true)),
        Node::Object(shape) => shape,
        Node::Plain(_) => return None,
    };
    if shape.failed() {
        return None;
    }
    if let Some(data) = shape.named.remove("data") {
        let listing = find(data)?;
        let more = shape.hints_at_more(listing.items.len());
        return Some(ProjectListing { is_complete: listing.is_complete && !more, ..listing });
    }
    if !shape.numbered.is_empty() {
        let rows = Rows::of(std::mem::take(&mut shape.numbered).into_values());
        let whole = !shape.hints_at_more(rows.count());
        return Some(rows.listing(whole));
    }
    if shape.named.is_empty() {
        return Some(Rows::default().listing(true)); // the numbered shape with nothing in it
    }
    let mut lists: Vec<(String, Rows)> = Vec::new();
    for (name, node) in std::mem::take(&mut shape.named) {
        match node {
            Node::Rows(rows) => lists.push((name, rows)),
            Node::Object(_) | Node::Plain(_) => {
                shape.named.insert(name, node);
            }
        }
    }
    let known = lists.iter().position(|(name, _)| LIST_KEYS.contains(&name.as_str()));
    let (_, rows) = match known {
        Some(at) => lists.swap_remove(at),
        None if lists.len() == 1 => lists.remove(0),
        None => return None,
    };
    let whole = !shape.hints_at_more(rows.count());
    Some(rows.listing(whole))
}

/// Any JSON value, reduced to what a listing may be found in.
enum Node {
    Rows(Rows),
    Object(Box<Shape>),
    Plain(Plain),
}

/// A value that is neither list nor object.
enum Plain {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
}

/// An object: numbered entries (`{"0":{…}}`) apart from named ones.
#[derive(Default)]
struct Shape {
    numbered: BTreeMap<u64, Option<ProjectSummary>>,
    named: BTreeMap<String, Node>,
}

/// The entries of a list.
#[derive(Default)]
struct Rows {
    items: Vec<ProjectSummary>,
    unreadable: usize,
}

impl Rows {
    fn of(entries: impl IntoIterator<Item = Option<ProjectSummary>>) -> Self {
        let mut rows = Self::default();
        for entry in entries {
            rows.add(entry);
        }
        rows
    }

    fn add(&mut self, entry: Option<ProjectSummary>) {
        match entry {
            Some(item) => self.items.push(item),
            None => self.unreadable += 1,
        }
    }

    fn count(&self) -> usize {
        self.items.len() + self.unreadable
    }

    fn listing(self, whole: bool) -> ProjectListing {
        ProjectListing { items: self.items, is_complete: whole && self.unreadable == 0 }
    }
}

impl Shape {
    fn failed(&self) -> bool {
        let failure = |node: &Node| match node {
            Node::Plain(Plain::Flag(flag)) => !flag,
            Node::Plain(Plain::Text(text)) => text.eq_ignore_ascii_case("false"),
            Node::Plain(Plain::Number(number)) => *number == 0.0,
            Node::Plain(Plain::Null) | Node::Rows(_) | Node::Object(_) => false,
        };
        let error = |node: &Node| match node {
            Node::Plain(Plain::Null | Plain::Flag(false)) => false,
            Node::Plain(_) | Node::Rows(_) | Node::Object(_) => true,
        };
        self.named.get("success").is_some_and(failure) || self.named.get("error").is_some_and(error)
    }

    /// Says whether something beside the list speaks of further pages. None are documented.
    fn hints_at_more(&self, count: usize) -> bool {
        let nested = |node: &Node| match node {
            Node::Object(shape) => shape.hints_at_more(count),
            Node::Rows(_) | Node::Plain(_) => false,
        };
        let mut named = self.named.iter().map(|(name, node)| (bare(name), node));
        self.speaks_of_more(count)
            || named.any(|(name, node)| PAGING_KEYS.contains(&name.as_str()) && nested(node))
    }

    fn speaks_of_more(&self, count: usize) -> bool {
        let count = count as f64;
        let (mut more, mut is_all, mut is_full) = (false, false, false);
        for (name, node) in &self.named {
            let Node::Plain(plain) = node else { continue };
            let (number, flag) = (plain.number(), plain.flag());
            match bare(name).as_str() {
                "total" | "totalcount" | "totalitems" | "totalresults" | "totaldocs"
                | "totalelements" | "totalrecords" | "count" => {
                    more |= number.is_some_and(|total| total > count);
                    is_all |= number == Some(count);
                }
                "totalpages" | "totalpage" | "pagestotal" | "pages" | "pagecount" | "numpages"
                | "lastpage" => {
                    more |= number.is_some_and(|pages| pages > 1.0);
                    is_all |= number == Some(1.0);
                }
                // Not the first one, so another is before it.
                "page" | "currentpage" | "pagenumber" | "pageno" => {
                    more |= number.is_some_and(|page| page > 1.0);
                }
                "hasmore" | "hasnext" | "hasnextpage" | "hasmorepages" | "more" => {
                    more |= flag == Some(true);
                    is_all |= flag == Some(false);
                }
                "next" | "nextpage" | "nextcursor" | "nexttoken" | "nextpagetoken" | "nexturl"
                | "nextlink" | "cursor" => more |= plain.leads_on(),
                "limit" | "pagesize" | "perpage" | "itemsperpage" => {
                    is_full |= number.is_some_and(|most| most > 0.0 && count >= most);
                }
                _ => {}
            }
        }
        more || (is_full && !is_all)
    }
}

/// Under which names a list's paging may be told.
const PAGING_KEYS: &[&str] = &[
    "pagination",
    "paging",
    "page",
    "pageinfo",
    "pager",
    "paginator",
    "meta",
    "metadata",
    "links",
];

/// A name without the differences in which services write it.
fn bare(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-'], "")
}

impl Plain {
    /// Reads a number, be it written as text.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Null | Self::Flag(_) => None,
        }
    }

    /// Reads a flag, be it written as text or a number.
    fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Number(number) => Some(*number != 0.0),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            Self::Null => None,
        }
    }

    /// Says whether this names a next page.
    fn leads_on(&self) -> bool {
        match self {
            Self::Text(text) => !matches!(text.trim(), "" | "0" | "null" | "false"),
            Self::Number(page) => *page > 0.0,
            Self::Flag(more) => *more,
            Self::Null => false,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Number(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Plain(Plain::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut rows = Rows::default();
        while let Some(Row(entry)) = entries.next_element()? {
            rows.add(entry);
        }
        Ok(Node::Rows(rows))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut shape = Shape::default();
        while let Some(name) = fields.next_key::<String>()? {
            match name.parse() {
                Ok(number) => {
                    let Row(entry) = fields.next_value()?;
                    shape.numbered.insert(number, entry);
                }
                Err(_not_a_number) => {
                    shape.named.insert(name, fields.next_value()?);
                }
            }
        }
        Ok(Node::Object(Box::new(shape)))
    }
}

/// One entry of a list; `None` if it is not an object with a plausible id.
struct Row(Option<ProjectSummary>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor).map(Row)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Option<ProjectSummary>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a project")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut kept = serde_json::Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let wanted = matches!(
                name.as_str(),
                "id" | "_id" | "projectId" | "key" | "name" | "state" | "status"
            ) || envelope::DOWNLOAD_URL_KEYS.contains(&name.as_str());
            if wanted {
                kept.insert(name, fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        let fields = serde_json::Value::Object(kept);
        let id = envelope::first_text(&fields, &["id", "_id", "projectId", "key"]);
        let Some(id) = id.and_then(ProjectId::parse) else { return Ok(None) };
        Ok(Some(ProjectSummary {
            id,
            name: envelope::first_text(&fields, &["name"]).map(str::to_owned),
            state: envelope::first_text(&fields, &["state", "status"]).and_then(RenderState::parse),
            download_url: envelope::find_download_url(&fields),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANN: &str = r#"{"id":"a1","name":"Ann","state":"exported",
        "download_url":"https://m.example/a.mp4","scenes":[{"x":[1,{"y":2}]}]}"#;
    const BEN: &str = r#"{"_id":"b2","name":"Ben"}"#;

    fn ids(text: &str) -> Option<(String, bool)> {
        let listing = parse_listing(text.as_bytes())?;
        let ids: Vec<_> = listing.items.iter().map(|item| item.id.as_str()).collect();
        Some((ids.join(" "), listing.is_complete))
    }

    #[test]
    fn a_list_is_found_in_each_of_its_shapes() {
        for (text, found, complete) in [
            (format!("[{ANN},{BEN}]"), "a1 b2", true),
            (format!("\u{feff}[{ANN}]"), "a1", true),
            (format!(r#"{{"success":true,"data":[{ANN},{BEN}]}}"#), "a1 b2", true),
            (format!(r#"{{"success":true,"data":{{"projects":[{ANN}]}}}}"#), "a1", true),
            (format!(r#"{{"success":true,"data":{{"odd":[{ANN}]}}}}"#), "a1", true),
            (format!(r#"{{"projects":[{ANN}],"warnings":["x"]}}"#), "a1", true),
            (format!(r#"{{"10":{BEN},"9":{ANN}}}"#), "a1 b2", true),
            (format!(r#"{{"success":true,"0":{ANN},"1":{BEN}}}"#), "a1 b2", true),
            (format!(r#"{{"success":true,"data":{{"0":{ANN}}}}}"#), "a1", true),
            (format!("[{ANN},{ANN}]"), "a1 a1", true),
            ("[]".into(), "", true),
            ("{}".into(), "", true),
            (r#"{"success":true,"data":[]}"#.into(), "", true),
            (r#"{"success":true,"data":{}}"#.into(), "", true),
            // There, but perhaps not everything.
            (format!("[{ANN},null]"), "a1", false),
            (format!(r#"[{ANN},{{"id":7}}]"#), "a1", false),
            (format!(r#"{{"0":{ANN},"1":"x"}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"total":2}}}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"total":1}}}}"#), "a1", true),
            (format!(r#"{{"data":{{"list":[{ANN}],"hasMore":true}}}}"#), "a1", false),
            (format!(r#"{{"data":[{ANN}],"nextCursor":"x"}}"#), "a1", false),
            // Told beside it, in an object of its own, or as text.
            (format!(r#"{{"data":{{"list":[{ANN}],"total":"2"}}}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"total":"1","hasMore":"0"}}}}"#), "a1", true),
            (format!(r#"{{"data":{{"list":[{ANN}],"has_next":"true"}}}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"totalPages":2,"page":1}}}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"limit":1}}}}"#), "a1", false),
            (format!(r#"{{"data":{{"list":[{ANN}],"limit":1,"total":1}}}}"#), "a1", true),
            (format!(r#"{{"data":{{"list":[{ANN}],"limit":20,"page":1}}}}"#), "a1", true),
            (
                format!(
                    r#"{{"data":{{"projects":[{ANN}],
                    "pagination":{{"total":2,"page":1,"totalPages":2}}}}}}"#
                ),
                "a1",
                false,
            ),
            (
                format!(
                    r#"{{"data":{{"projects":[{ANN}],
                    "pagination":{{"total":1,"page":1,"totalPages":1,"next":null}}}}}}"#
                ),
                "a1",
                true,
            ),
            (format!(r#"{{"data":[{ANN}],"meta":{{"last_page":"3"}}}}"#), "a1", false),
            (format!(r#"{{"data":[{ANN}],"meta":{{"paging":{{"pages":2}}}}}}"#), "a1", false),
            (format!(r#"{{"data":[{ANN}],"pageInfo":{{"hasNextPage":true}}}}"#), "a1", false),
            (
                format!(r#"{{"data":[{ANN}],"pageInfo":{{"hasNextPage":false,"endCursor":"x"}}}}"#),
                "a1",
                true,
            ),
            (format!(r#"{{"data":[{ANN}],"_links":{{"next":"/p?page=2"}}}}"#), "a1", false),
            (format!(r#"{{"page":{{"hasMore":1}},"0":{ANN}}}"#), "a1", false),
        ] {
            assert_eq!(ids(&text), Some((found.to_owned(), complete)), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_never_an_empty_one() {
        for text in [
            "",
            "null",
            "7",
            "\"x\"",
            "<html>",
            "[",
            "[]x",
            "{\"data\":null}",
            r#"{"success":true}"#,
            r#"{"success":true}x"#,
            r#"{"meta":{}}"#,
            r#"{"success":false,"data":[]}"#,
            r#"{"success":"false","data":[]}"#,
            r#"{"error":{"msg":"x"},"data":[]}"#,
            r#"{"success":true,"data":"x"}"#,
            r#"{"success":true,"data":{"a":[],"b":[]}}"#,
            r#"{"success":true,"message":"x"}"#,
            &format!("[{ANN},{}", &BEN[..9]),
            &"[".repeat(100_000),
        ] {
            assert_eq!(ids(text), None, "{text:.60}");
        }
    }

    #[test]
    fn an_entry_keeps_what_is_needed_of_it() {
        let listing = parse_listing(format!("[{ANN}]").as_bytes()).unwrap();
        let [item] = &listing.items[..] else { panic!("{listing:?}") };
        assert_eq!(item.name.as_deref(), Some("Ann"));
        assert_eq!(item.state, Some(RenderState::Done("exported".into())));
        assert_eq!(item.download_url.as_ref().unwrap().as_str(), "https://m.example/a.mp4");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_list_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_listing(bytes.as_slice());
        }

        #[test]
        fn a_list_cut_anywhere_is_no_list(cut in 1usize..200) {
            let text = format!(r#"{{"success":true,"data":[{ANN},{BEN},{ANN}]}}"#);
            let end = text.len().saturating_sub(cut).max(1);
            prop_assert_eq!(parse_listing(&text.as_bytes()[..end]), None);
        }
    }
}
