//! The endpoints of the sandbox, and the routing of a request to one.
//!
//! This module is pure. Paths are those of the V3 reference; the remains of V2 and the plural `projects`
//! of old samples are not found, as the vendor corrected them.

use serde::{Deserialize, Serialize};

/// The prefix of every path of the API.
const API_PREFIX: &str = "/api/odin/v3/";

/// One endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SandboxEndpoint {
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
    /// A finished file, on the other origin.
    Download,
}

impl SandboxEndpoint {
    /// In the order of their discriminants, so that `endpoint as usize` is an index into it.
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

    /// Returns its name in fault rules and counters.
    pub(super) fn as_str(self) -> &'static str {
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

    /// Returns whether it creates a project, and so returns an id.
    pub(super) fn is_project_write(self) -> bool {
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
    pub(super) fn can_start_render(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Edit | Self::Export | Self::SimpleVideo | Self::SimpleCustom
        )
    }
}

/// The result of routing a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RouteMatch<'a> {
    /// The endpoint, and the key in the path or an empty text.
    Endpoint(SandboxEndpoint, &'a str),
    /// The path exists, but not with this method.
    WrongMethod,
    NotFound,
}

/// Routes a method and a path to an endpoint.
pub(super) fn match_route<'a>(method: &str, path: &'a str) -> RouteMatch<'a> {
    use SandboxEndpoint as E;
    let Some(rest) = path.strip_prefix(API_PREFIX) else { return RouteMatch::NotFound };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // Complete paths first: `editor/project/export` must not be read as the project `export`.
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
        _ => return match_keyed_route(method, rest),
    };
    match_method(method, choices, "")
}

fn match_keyed_route<'a>(method: &str, rest: &'a str) -> RouteMatch<'a> {
    use SandboxEndpoint as E;
    let keyed: [(&str, &[(&str, E)]); 4] = [
        ("editor/project/", &[("GET", E::Project), ("POST", E::Edit)]),
        ("editor/progress/", &[("GET", E::Progress)]),
        ("editor/template/", &[("POST", E::Template)]),
        ("automation/progress/", &[("GET", E::AutomationProgress)]),
    ];
    for (prefix, choices) in keyed {
        match rest.strip_prefix(prefix) {
            Some(key) if !key.is_empty() && !key.contains('/') => {
                return match_method(method, choices, key);
            }
            Some(_) | None => {}
        }
    }
    RouteMatch::NotFound
}

fn match_method<'a>(
    method: &str,
    choices: &[(&str, SandboxEndpoint)],
    key: &'a str,
) -> RouteMatch<'a> {
    match choices.iter().find(|(known, _)| *known == method) {
        Some((_, endpoint)) => RouteMatch::Endpoint(*endpoint, key),
        None => RouteMatch::WrongMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_routed_as_in_the_reference() {
        let table = [
            ("POST", "/api/odin/v3/auth/token", RouteMatch::Endpoint(SandboxEndpoint::Token, "")),
            (
                "POST",
                "/api/odin/v3/editor/project",
                RouteMatch::Endpoint(SandboxEndpoint::Create, ""),
            ),
            (
                "POST",
                "/api/odin/v3/editor/project/export",
                RouteMatch::Endpoint(SandboxEndpoint::Export, ""),
            ),
            (
                "GET",
                "/api/odin/v3/editor/project/66f0",
                RouteMatch::Endpoint(SandboxEndpoint::Project, "66f0"),
            ),
            (
                "POST",
                "/api/odin/v3/editor/project/66f0",
                RouteMatch::Endpoint(SandboxEndpoint::Edit, "66f0"),
            ),
            (
                "GET",
                "/api/odin/v3/automation/progress/",
                RouteMatch::Endpoint(SandboxEndpoint::AutomationProgress, ""),
            ),
            ("GET", "/api/odin/v3/editor/project/export", RouteMatch::WrongMethod),
            ("GET", "/api/odin/v3/editor/progress/a/b", RouteMatch::NotFound),
            ("GET", "/api/odin/editor/progress/66f0", RouteMatch::NotFound),
            ("GET", "/api/odin/v3/editor/projects", RouteMatch::NotFound),
        ];
        for (method, path, expected) in table {
            assert_eq!(match_route(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_endpoint_is_at_its_own_index() {
        for (place, endpoint) in SandboxEndpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, place, "{}", endpoint.as_str());
        }
    }
}
