//! Alterations of a project list on its way to the client: a page, the newest few, gaps, names that
//! are escaped or cut off. The list itself is unchanged. Any of the four shapes of a list can be altered.

use serde_json::Value;

use super::api::SandboxResponse;
use super::faults::ListAlteration;
use super::rng::hash64;

/// Alters the list in a response; `number` is how many projects or letters remain, or the
/// share left out.
pub(super) fn alter_list(response: &mut SandboxResponse, how: ListAlteration, number: u64) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return };
    alter_items(&mut body, how, number);
    response.body = body.to_string().into_bytes();
}

fn alter_items(node: &mut Value, how: ListAlteration, number: u64) {
    match node {
        Value::Array(items) => *items = altered(std::mem::take(items), how, number),
        Value::Object(fields) if fields.contains_key("0") => {
            let mut items: Vec<(usize, Value)> = std::mem::take(fields)
                .into_iter()
                .map(|(place, item)| (place.parse().unwrap_or(0), item))
                .collect();
            items.sort_by_key(|(place, _)| *place);
            let items = items.into_iter().map(|(_, item)| item).collect();
            let numbered = altered(items, how, number).into_iter().enumerate();
            *fields = numbered.map(|(place, item)| (place.to_string(), item)).collect();
        }
        Value::Object(fields) => {
            for name in ["data", "projects"] {
                if let Some(inner) = fields.get_mut(name) {
                    alter_items(inner, how, number);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn altered(mut items: Vec<Value>, how: ListAlteration, number: u64) -> Vec<Value> {
    let count = usize::try_from(number).unwrap_or(usize::MAX);
    // An id begins with the time of its creation.
    items.sort_by_key(|item| id(item).to_owned());
    match how {
        ListAlteration::Oldest => items.truncate(count),
        ListAlteration::Newest => drop(items.drain(..items.len().saturating_sub(count))),
        ListAlteration::Gaps => items.retain(|item| hash64(id(item).as_bytes()) % 100 >= number),
        ListAlteration::Escaped => change_names(&mut items, escape),
        ListAlteration::Cut => change_names(&mut items, |name| name.chars().take(count).collect()),
    }
    items
}

fn change_names(items: &mut [Value], change: impl Fn(&str) -> String) {
    for item in items {
        if let Some(name) = item["name"].as_str() {
            item["name"] = Value::from(change(name));
        }
    }
}

fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_default()
}

fn escape(name: &str) -> String {
    let mut escaped = String::new();
    for c in name.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '[' | ']' | ':' => escaped.push_str(&format!("&#{};", u32::from(c))),
            _ => escaped.push(c),
        }
    }
    escaped
}
