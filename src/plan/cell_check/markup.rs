//! HTML elements and entities in a cell.
//!
//! A script may be marked up with `<p>` and `<span>`, which AI Studios accepts; entities belong to
//! it. Only names that HTML has count: `<Anna>` and `AT&T;` are text.

const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "button",
    "center",
    "code",
    "div",
    "em",
    "embed",
    "font",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "label",
    "li",
    "link",
    "mark",
    "meta",
    "ol",
    "pre",
    "s",
    "script",
    "section",
    "small",
    "strike",
    "strong",
    "style",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "title",
    "tr",
    "tt",
    "u",
    "ul",
    "video",
];
const ENTITIES: &[&str] = &[
    "amp", "lt", "gt", "quot", "apos", "nbsp", "ensp", "emsp", "thinsp", "zwnj", "zwj", "shy",
    "copy", "reg", "trade", "euro", "pound", "yen", "cent", "sect", "deg", "plusmn", "times",
    "divide", "frac12", "frac14", "frac34", "hellip", "mdash", "ndash", "lsquo", "rsquo", "sbquo",
    "ldquo", "rdquo", "bdquo", "laquo", "raquo", "lsaquo", "rsaquo", "bull", "middot", "para",
    "dagger", "szlig", "aelig", "AElig", "oelig", "OElig", "oslash", "Oslash", "aring", "Aring",
    "ccedil", "Ccedil", "ntilde", "Ntilde", "iexcl", "iquest", "eth", "thorn", "larr", "rarr",
    "check", "star",
];
/// Letters with an accent have a regular name: `eacute`, `Uuml`.
const ACCENTS: &[&str] = &["acute", "grave", "circ", "uml", "tilde", "caron", "cedil", "ring"];

/// Returns the first element or entity in a cell.
pub(super) fn find_markup(cell: &str) -> Option<String> {
    if !cell.contains(['<', '&']) || is_marked_up_script(cell) {
        return None;
    }
    cell.char_indices().find_map(|(at, c)| match c {
        '<' => element(&cell[at..]),
        '&' => entity(&cell[at..]),
        _ => None,
    })
}

fn is_marked_up_script(cell: &str) -> bool {
    let start = cell.get(..6).unwrap_or(cell).to_ascii_lowercase();
    ["<p>", "<p ", "<span>", "<span "].iter().any(|tag| start.starts_with(tag))
}

fn element(rest: &str) -> Option<String> {
    if rest.starts_with("<!--") {
        return Some("<!--".to_owned());
    }
    let end = rest.find('>')?;
    let inside = rest[1..end].trim_start_matches('/');
    let name_end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let (name, attributes) = inside.split_at(name_end);
    let is_element = ELEMENTS.contains(&name.to_ascii_lowercase().as_str());
    let is_closed = attributes.is_empty()
        || attributes.trim() == "/"
        || attributes.starts_with(char::is_whitespace) && attributes.contains('=');
    (is_element && is_closed).then(|| rest[..=end].to_owned())
}

fn entity(rest: &str) -> Option<String> {
    let end = rest.find(';').filter(|end| (3..=10).contains(end))?;
    let name = &rest[1..end];
    let is_number = name.strip_prefix('#').is_some_and(|digits| {
        let hex = digits.strip_prefix(['x', 'X']);
        match hex {
            Some(hex) => !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        }
    });
    let is_letter =
        name.get(..1).is_some_and(|letter| letter.bytes().all(|b| b.is_ascii_alphabetic()))
            && ACCENTS.contains(&name.get(1..).unwrap_or_default());
    (is_number || is_letter || ENTITIES.contains(&name)).then(|| rest[..=end].to_owned())
}
