//! The keys of a batch file, by section.
//!
//! It knows no values. Invariant: every key that is read is listed here, which the reader asserts;
//! a key that is not listed is rejected as unknown.

/// Each section with its keys; the section without a name is the top of the file.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "name",
            "sheet",
            "encoding",
            "worksheet",
            "header_row",
            "template",
            "key",
            "group_by",
            "columns",
            "skip",
            "skip_hidden",
            "defaults",
            "variants",
            "output",
            "file",
            "studio",
            "limits",
            "window",
            "notify",
            "metrics",
            "review",
            "on_done",
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
            "proxy",
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
            "confirm_after",
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
            "rerender_share",
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
    ("metrics", &["textfile"]),
    ("review", &["required", "sample"]),
    ("on_done", &["command", "timeout"]),
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
            "plain_links",
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
            "plain_links",
            "requests",
            "submits",
            "in_flight",
        ],
    ),
];

/// Returns the keys of `section`.
pub(super) fn section_keys(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

/// Returns the section, other than `here`, that has this `key`.
pub(super) fn other_section_with(here: &str, key: &str) -> Option<&'static str> {
    SECTIONS.iter().find(|(name, keys)| *name != here && keys.contains(&key)).map(|(name, _)| *name)
}
