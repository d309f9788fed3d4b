//! The endpoints of the virtual AI Studios and how a request finds one.
//!
//! This module is pure. Paths are those of the V3 reference; the leftovers of V2 and the plural
//! `projects` of old samples are not found, as the vendor corrected them.

use serde::{Deserialize, Serialize};

/// What stands before every path of the API.
const PREFIX: &str = "/api/odin/v3/";

/// One question that the studio can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Endpoint {
    Token,
    Auth,
    Create,
    List,
    Project,
    Edit,
    Delete,
    Export,
    Progress,
    SimpleVideo,
    SimpleCustom,
    Template,
    ScriptsToVideo,
    TopicToVideo,
    UrlToVideo,
    AutomationProgress,
    Model,
    Models,
    Workspaces,
    TemplatesBusiness,
    TemplatesAutomation,
    /// A finished file, from the other origin.
    Download,
}

impl Endpoint {
    /// In the order of their discriminants, so that `endpoint as usize` is a place in it.
    pub(super) const ALL: [Self; 22] = [
        Self::Token,
        Self::Auth,
        Self::Create,
        Self::List,
        Self::Project,
        Self::Edit,
        Self::Delete,
        Self::Export,
        Self::Progress,
        Self::SimpleVideo,
        Self::SimpleCustom,
        Self::Template,
        Self::ScriptsToVideo,
        Self::TopicToVideo,
        Self::UrlToVideo,
        Self::AutomationProgress,
        Self::Model,
        Self::Models,
        Self::Workspaces,
        Self::TemplatesBusiness,
        Self::TemplatesAutomation,
        Self::Download,
    ];

    /// Returns the word for it in fault rules and counters.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Auth => "auth",
            Self::Create => "create",
            Self::List => "list",
            Self::Project => "project",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Progress => "progress",
            Self::SimpleVideo => "simple-video",
            Self::SimpleCustom => "simple-custom",
            Self::Template => "template",
            Self::ScriptsToVideo => "scripts-to-video",
            Self::TopicToVideo => "topic-to-video",
            Self::UrlToVideo => "url-to-video",
            Self::AutomationProgress => "automation-progress",
            Self::Model => "model",
            Self::Models => "models",
            Self::Workspaces => "workspaces",
            Self::TemplatesBusiness => "templates-business",
            Self::TemplatesAutomation => "templates-automation",
            Self::Download => "download",
        }
    }

    /// Returns whether it makes a project, and so answers with an id.
    pub(super) fn makes_a_project(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Edit
                | Self::Export
                | Self::SimpleVideo
                | Self::SimpleCustom
                | Self::Template
                | Self::ScriptsToVideo
                | Self::TopicToVideo
                | Self::UrlToVideo
        )
    }

    /// Returns whether it can start a render.
    pub(super) fn can_cost(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Edit | Self::Export | Self::SimpleVideo | Self::SimpleCustom
        )
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The endpoint, and the key in the path or nothing.
    Endpoint(Endpoint, &'a str),
    /// The path exists, but not with this method.
    WrongMethod,
    Nothing,
}

/// Finds the endpoint behind a method and a path.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    use Endpoint as E;
    let Some(rest) = path.strip_prefix(PREFIX) else { return Found::Nothing };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // Whole paths first: `editor/project/export` must not be read as the project `export`.
    let choices: &[(&str, E)] = match rest {
        "auth/token" => &[("POST", E::Token)],
        "auth" => &[("GET", E::Auth)],
        "editor/project" => &[("POST", E::Create), ("GET", E::List), ("DELETE", E::Delete)],
        "editor/project/export" => &[("POST", E::Export)],
        "simple/video" => &[("POST", E::SimpleVideo)],
        "simple/custom" => &[("POST", E::SimpleCustom)],
        "model" => &[("GET", E::Model)],
        "dropdown/models" => &[("GET", E::Models)],
        "dropdown/workspaces" => &[("GET", E::Workspaces)],
        "dropdown/templates_business" => &[("GET", E::TemplatesBusiness)],
        "dropdown/templates_automation" => &[("POST", E::TemplatesAutomation)],
        "automation/scripts_to_video" => &[("POST", E::ScriptsToVideo)],
        "automation/topic_to_video" => &[("POST", E::TopicToVideo)],
        "automation/url_to_video" => &[("POST", E::UrlToVideo)],
        "automation/progress" => &[("GET", E::AutomationProgress)],
        _ => return find_keyed(method, rest),
    };
    choose(method, choices, "")
}

fn find_keyed<'a>(method: &str, rest: &'a str) -> Found<'a> {
    use Endpoint as E;
    let keyed: [(&str, &[(&str, E)]); 4] = [
        ("editor/project/", &[("GET", E::Project), ("POST", E::Edit)]),
        ("editor/progress/", &[("GET", E::Progress)]),
        ("editor/template/", &[("POST", E::Template)]),
        ("automation/progress/", &[("GET", E::AutomationProgress)]),
    ];
    for (prefix, choices) in keyed {
        match rest.strip_prefix(prefix) {
            Some(key) if !key.is_empty() && !key.contains('/') => {
                return choose(method, choices, key);
            }
            Some(_) | None => {}
        }
    }
    Found::Nothing
}

fn choose<'a>(method: &str, choices: &[(&str, Endpoint)], key: &'a str) -> Found<'a> {
    match choices.iter().find(|(known, _)| *known == method) {
        Some((_, endpoint)) => Found::Endpoint(*endpoint, key),
        None => Found::WrongMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_where_the_reference_says() {
        let table = [
            ("POST", "/api/odin/v3/auth/token", Found::Endpoint(Endpoint::Token, "")),
            ("POST", "/api/odin/v3/editor/project", Found::Endpoint(Endpoint::Create, "")),
            ("POST", "/api/odin/v3/editor/project/export", Found::Endpoint(Endpoint::Export, "")),
            ("GET", "/api/odin/v3/editor/project/66f0", Found::Endpoint(Endpoint::Project, "66f0")),
            ("POST", "/api/odin/v3/editor/project/66f0", Found::Endpoint(Endpoint::Edit, "66f0")),
            (
                "GET",
                "/api/odin/v3/automation/progress/",
                Found::Endpoint(Endpoint::AutomationProgress, ""),
            ),
            ("GET", "/api/odin/v3/editor/project/export", Found::WrongMethod),
            ("GET", "/api/odin/v3/editor/progress/a/b", Found::Nothing),
            ("GET", "/api/odin/editor/progress/66f0", Found::Nothing),
            ("GET", "/api/odin/v3/editor/projects", Found::Nothing),
        ];
        for (method, path, expected) in table {
            assert_eq!(find(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_endpoint_stands_at_its_own_place() {
        for (place, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, place, "{}", endpoint.word());
        }
    }
}
