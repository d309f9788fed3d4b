//! The keys of a batch file, and the nearest to one that is not among them.
//!
//! The one list of what may be written where. A key that is read but not listed here would be
//! refused as unknown, so the reader asserts that it is listed.

/// Each table with its keys; the nameless one is the top of the file.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "name",
            "sheet",
            "encoding",
            "worksheet",
            "template",
            "key",
            "group_by",
            "columns",
            "skip",
            "defaults",
            "variants",
            "output",
            "file",
            "studio",
            "limits",
            "window",
            "notify",
            "vendor",
            "measured",
            "webhook",
        ],
    ),
    (
        "studio",
        &[
            "region",
            "base_url",
            "request",
            "submission",
            "on_uncertain",
            "resolution",
            "workspace_id",
            "profile",
            "user_key_command",
        ],
    ),
    (
        "limits",
        &[
            "requests",
            "submits",
            "in_flight",
            "canary",
            "downloads",
            "request_timeout",
            "poll_min",
            "poll_max",
            "settle_after",
            "stall_after",
            "render_timeout",
            "backoff_min",
            "backoff_max",
            "submit_retries",
            "rerenders",
            "fetch_retries",
            "halt_after",
            "max_videos",
            "max_credits",
            "max_credits_per_day",
        ],
    ),
    ("window", &["from", "to", "zone", "days"]),
    ("webhook", &["public_url", "listen"]),
    (
        "notify",
        &[
            "when",
            "command",
            "webhook",
            "webhook_secret",
            "slack",
            "email_to",
            "email_from",
            "smtp",
            "smtp_tls",
            "smtp_user",
            "smtp_password",
            "heartbeat_url",
            "timeout",
        ],
    ),
    (
        "vendor",
        &[
            "file",
            "done_words",
            "failed_words",
            "draft_words",
            "list",
            "list_lag",
            "export_id",
            "second_export",
            "drafts",
            "names",
            "requests",
            "submits",
            "in_flight",
        ],
    ),
    (
        "measured",
        &[
            "on",
            "host",
            "facts",
            "done_words",
            "failed_words",
            "draft_words",
            "list",
            "list_lag",
            "export_id",
            "second_export",
            "drafts",
            "names",
            "requests",
            "submits",
            "in_flight",
        ],
    ),
];

/// Less alike than this, two names are not a slip of the finger apart.
const SIMILARITY_MIN: f64 = 0.6;

/// Returns the keys of `section`.
pub(super) fn section_keys(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

/// Returns the section, other than `here`, that has this `key`.
pub(super) fn other_section_with(here: &str, key: &str) -> Option<&'static str> {
    SECTIONS.iter().find(|(name, keys)| *name != here && keys.contains(&key)).map(|(name, _)| *name)
}

/// Returns the one of `names` that `given` was most likely meant to be.
pub(super) fn nearest_name<'n>(
    given: &str,
    names: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let given = plain(given);
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(&given, &plain(name)), name))
        .filter(|(alike, _)| *alike >= SIMILARITY_MIN)
        // `max_by` would keep the last of equals; the first in our own order reads better.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name)
}
