//! The link under which a sheet can be downloaded, for the link that a browser shows.
//!
//! Only for sheets that anyone with the link may read; nothing is requested here.

use url::Url;

/// Returns the link that downloads a sheet; other links are returned as they are.
pub fn download_link(link: &str) -> String {
    google_export(link).unwrap_or_else(|| link.to_owned())
}

/// The editor of Google Sheets has its worksheet in `gid`.
fn google_export(link: &str) -> Option<String> {
    let url = Url::parse(link).ok().filter(|url| url.host_str() == Some("docs.google.com"))?;
    let parts: Vec<&str> = url.path_segments()?.collect();
    let ["spreadsheets", "d", id, rest @ ..] = &parts[..] else { return None };
    // `d/e/…/pub` is a published sheet, which downloads as it is.
    if *id == "e" || !matches!(rest, [] | ["" | "edit" | "view" | "htmlview", ..]) {
        return None;
    }
    let in_query = url.query_pairs().find(|(key, _)| key == "gid").map(|(_, gid)| gid.into_owned());
    let in_fragment = url.fragment().and_then(|text| text.strip_prefix("gid=").map(str::to_owned));
    let format = match in_query.or(in_fragment) {
        Some(gid) => format!("format=csv&gid={gid}"),
        None => "format=xlsx".to_owned(),
    };
    Some(format!("https://docs.google.com/spreadsheets/d/{id}/export?{format}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_of_the_editor_of_google_sheets_becomes_a_download() {
        let base = "https://docs.google.com/spreadsheets/d";
        for (link, want) in [
            (format!("{base}/AbC-1/edit#gid=7"), format!("{base}/AbC-1/export?format=csv&gid=7")),
            (format!("{base}/A/edit?gid=0#gid=0"), format!("{base}/A/export?format=csv&gid=0")),
            (format!("{base}/A/edit?usp=sharing"), format!("{base}/A/export?format=xlsx")),
            (format!("{base}/e/2PAC/pub?output=csv"), format!("{base}/e/2PAC/pub?output=csv")),
            (format!("{base}/A/export?format=csv"), format!("{base}/A/export?format=csv")),
            ("https://example.org/a.csv".to_owned(), "https://example.org/a.csv".to_owned()),
        ] {
            assert_eq!(download_link(&link), want);
        }
    }
}
