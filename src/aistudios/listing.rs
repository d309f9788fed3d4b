//! The account's list of projects, in any of the four shapes that the vendor's catalogue endpoints
//! are known to use (docs/internals/vendor-api.md, "Catalogues").
//!
//! A list may hold tens of thousands of projects with all their scenes: it is parsed without copying,
//! and only the fields that are needed of each project are kept. Invariant: a list that was cut,
//! refused or not understood is never returned, and one that may be incomplete is marked so.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::envelope::{self, SuccessClaim};
use super::project::{ListedProject, ProjectId, ProjectList, RenderState};

/// The names under which the vendor may wrap its list; others are accepted if there is only one.
const LIST_KEYS: &[&str] = &["projects", "list", "items", "docs", "results"];

/// The names under which paging information may be nested.
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
/// Entries beyond this are not kept, and the list counts as incomplete.
const ENTRIES_MAX: usize = 200_000;
/// An object with more named fields is neither a list nor an entry.
const NAMES_MAX: usize = 10_000;
/// Paging information is not nested deeper than this.
const NESTING_MAX: usize = 16;

/// Parses a list; `None` if the body is not JSON or not a list.
pub(super) fn parse_listing(body: &[u8]) -> Option<ProjectList> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let root: &RawValue = serde_json::from_slice(body).ok()?;
    Some(find_list(root, NESTING_MAX)?.into_list())
}

/// Finds the entries in `node`, either directly, under `data`, under numbers, or under a name.
fn find_list(node: &RawValue, depth: usize) -> Option<Entries> {
    if let Ok(entries) = serde_json::from_str(node.get()) {
        return Some(entries);
    }
    let fields = Fields::parse(node)?;
    if depth == 0 || fields.is_failure() {
        return None;
    }
    let entries = match fields.named.get("data") {
        Some(data) => find_list(data, depth - 1)?,
        None if !fields.numbered.is_empty() => Entries::from_numbered(&fields.numbered),
        None if fields.named.is_empty() => Entries::default(),
        None => fields.find_named_list()?,
    };
    let is_partial = entries.is_partial || fields.indicates_more(entries.count, depth);
    Some(Entries { is_partial, ..entries })
}

/// An object: numbered entries (`{"0":{…}}`) and named fields. Values are not parsed yet.
#[derive(Default)]
struct Fields<'a> {
    numbered: BTreeMap<u64, &'a RawValue>,
    named: BTreeMap<String, &'a RawValue>,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    match name.parse() {
                        // One beyond the limit marks the list as incomplete.
                        Ok(_) if fields.numbered.len() > ENTRIES_MAX => {}
                        Ok(number) => drop(fields.numbered.insert(number, value)),
                        Err(_not_a_number) => drop(fields.named.insert(name, value)),
                    }
                    if fields.named.len() > NAMES_MAX {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The entries of a list.
#[derive(Default)]
struct Entries {
    projects: Vec<ListedProject>,
    /// All entries, including unreadable ones.
    count: usize,
    is_partial: bool,
}

impl Entries {
    fn from_numbered(entries: &BTreeMap<u64, &RawValue>) -> Self {
        let mut all = Self::default();
        entries.values().for_each(|entry| all.add(entry));
        all
    }

    fn add(&mut self, entry: &RawValue) {
        self.count += 1;
        match (self.count <= ENTRIES_MAX).then(|| parse_entry(entry)).flatten() {
            Some(project) => self.projects.push(project),
            None => self.is_partial = true,
        }
    }

    fn into_list(self) -> ProjectList {
        ProjectList { projects: self.projects, is_complete: !self.is_partial }
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of projects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
                let mut all = Entries::default();
                while let Some(entry) = seq.next_element::<&RawValue>()? {
                    all.add(entry);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(EntriesVisitor)
    }
}

/// Parses one entry; `None` if it is not an object with a plausible id.
fn parse_entry(node: &RawValue) -> Option<ListedProject> {
    const KEYS: &[&str] = &["id", "_id", "projectId", "key", "name", "state", "status"];
    let all = Fields::parse(node)?.named;
    let fields: Value = KEYS
        .iter()
        .chain(envelope::DOWNLOAD_URL_KEYS)
        .filter_map(|key| Some(((*key).to_owned(), scalar(all.get(*key)?)?)))
        .collect();
    let id = envelope::first_text(&fields, &["id", "_id", "projectId", "key"])?;
    Some(ListedProject {
        id: ProjectId::parse(id)?,
        name: envelope::first_text(&fields, &["name"]).map(str::to_owned),
        state: envelope::first_text(&fields, &["state", "status"]).and_then(RenderState::parse),
        has_video: envelope::find_download_url(&fields).is_some(),
    })
}

impl<'a> Fields<'a> {
    fn parse(node: &'a RawValue) -> Option<Self> {
        serde_json::from_str(node.get()).ok()
    }

    fn is_failure(&self) -> bool {
        let success = self.named.get("success").and_then(|node| scalar(node));
        envelope::parse_success_claim(success.as_ref()) == SuccessClaim::No
            || self.named.get("error").is_some_and(|node| !matches!(node.get(), "null" | "false"))
    }

    fn find_named_list(&self) -> Option<Entries> {
        let is_list = |(_, node): &(&String, &&RawValue)| node.get().starts_with('[');
        let lists: Vec<_> = self.named.iter().filter(is_list).collect();
        let known = lists.iter().find(|(name, _)| LIST_KEYS.contains(&name.as_str()));
        let (_, node) = match (known, lists.as_slice()) {
            (Some(known), _) => known,
            (None, [only]) => only,
            (None, _) => return None,
        };
        serde_json::from_str(node.get()).ok()
    }

    /// Returns whether this object indicates that the account has more than `count` projects.
    fn indicates_more(&self, count: usize, depth: usize) -> bool {
        self.has_paging_field(count)
            || self.named.iter().any(|(name, node)| {
                depth > 0
                    && PAGING_KEYS.contains(&bare(name).as_str())
                    && Fields::parse(node)
                        .is_some_and(|inner| inner.indicates_more(count, depth - 1))
            })
    }

    /// Checks the fields of this object itself. No paging is documented.
    fn has_paging_field(&self, count: usize) -> bool {
        let count = count as f64;
        let (mut more, mut is_all, mut is_full) = (false, false, false);
        for (name, node) in &self.named {
            let Some(value) = scalar(node) else { continue };
            let (number, flag) = (envelope::parse_number(&value), parse_loose_flag(&value));
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
                // Not the first page, so there is one before it.
                "page" | "currentpage" | "pagenumber" | "pageno" => {
                    more |= number.is_some_and(|page| page > 1.0);
                }
                "hasmore" | "hasnext" | "hasnextpage" | "hasmorepages" | "more" => {
                    more |= flag == Some(true);
                    is_all |= flag == Some(false);
                }
                "next" | "nextpage" | "nextcursor" | "nexttoken" | "nextpagetoken" | "nexturl"
                | "nextlink" | "cursor" => more |= is_next_page(&value),
                "limit" | "pagesize" | "perpage" | "itemsperpage" => {
                    is_full |= number.is_some_and(|most| most > 0.0 && count >= most);
                }
                _ => {}
            }
        }
        more || (is_full && !is_all)
    }
}

/// Returns the value of a node that is neither list nor object.
fn scalar(node: &RawValue) -> Option<Value> {
    if node.get().starts_with(['[', '{']) { None } else { serde_json::from_str(node.get()).ok() }
}

/// Removes the differences in how services spell a name.
fn bare(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-'], "")
}

/// Parses a flag, also one written as text or number.
fn parse_loose_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns whether `value` names a next page.
fn is_next_page(value: &Value) -> bool {
    match value {
        Value::String(text) => !matches!(text.trim(), "" | "0" | "null" | "false"),
        Value::Number(page) => page.as_f64().is_some_and(|page| page > 0.0),
        Value::Bool(more) => *more,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
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
        let ids: Vec<_> = listing.projects.iter().map(|project| project.id.as_str()).collect();
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
            // Beside the list, in an object of its own, or as text.
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
    fn a_response_without_a_list_is_never_an_empty_list() {
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
    fn a_list_beyond_all_measure_is_kept_in_part_and_incomplete() {
        let many = |count: usize, entry: &dyn Fn(usize) -> String| {
            (0..count).map(entry).collect::<Vec<_>>().join(",")
        };
        for (text, kept) in [
            (format!("[{}]", many(250_000, &|_| r#"{"id":"a"}"#.into())), 200_000),
            (format!("{{{}}}", many(250_000, &|n| format!(r#""{n}":{{"id":"a"}}"#))), 200_000),
            (format!("[{ANN},{{{}}}]", many(20_000, &|n| format!(r#""k{n}":1"#))), 1),
        ] {
            let listing = parse_listing(text.as_bytes()).unwrap();
            assert_eq!((listing.projects.len(), listing.is_complete), (kept, false), "{text:.60}");
        }
    }

    /// The largest list that is received: without a limit, its entries would take gigabytes.
    #[cfg(unix)]
    #[test]
    fn a_list_of_millions_of_entries_takes_little_memory() {
        let test = "aistudios::listing::tests::a_list_of_millions_of_entries_takes_little_memory";
        crate::text::little_memory::with_little_memory(test, 220, || {
            let mut text = String::from("[");
            text.push_str(&r#"{"id":"a"},"#.repeat(5_500_000));
            text.push_str("null]");
            let listing = parse_listing(text.as_bytes()).unwrap();
            assert_eq!((listing.projects.len(), listing.is_complete), (ENTRIES_MAX, false));
        });
    }

    #[test]
    fn an_entry_keeps_name_state_and_link() {
        let listing = parse_listing(format!("[{ANN}]").as_bytes()).unwrap();
        let [project] = &listing.projects[..] else { panic!("{listing:?}") };
        assert_eq!(project.name.as_deref(), Some("Ann"));
        assert_eq!(project.state, Some(RenderState::Done("exported".into())));
        assert!(project.has_video && project.is_exported());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_as_a_list_or_as_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_listing(bytes.as_slice());
        }

        #[test]
        fn a_truncated_list_is_rejected(cut in 1usize..200) {
            let text = format!(r#"{{"success":true,"data":[{ANN},{BEN},{ANN}]}}"#);
            let end = text.len().saturating_sub(cut).max(1);
            prop_assert_eq!(parse_listing(&text.as_bytes()[..end]), None);
        }
    }
}
