//! Projects as AI Studios reports them, and the conclusions that may be drawn from a report.
//!
//! Every field but the id is optional: no two pages of the vendor's reference agree on the fields
//! that are always present (docs/internals/vendor-api.md, "Projects"). Pure. Invariant: a
//! [`ProjectId`] is valid in a URL path without escapes.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::envelope::{self, DOWNLOAD_URL_KEYS};

/// The id of a project. The vendor calls it key, `projectId`, `_id` or `id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ProjectId(String);

impl ProjectId {
    /// Parses an id that is safe in a URL path without escapes: 1 to 128 of `A-Z a-z 0-9 - _`. The
    /// vendor's ids have 24 hexadecimal digits, but no page guarantees it.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=128).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ProjectId> for String {
    fn from(id: ProjectId) -> Self {
        id.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The request to render an existing project (the reference's `export-project` page).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportRequest {
    /// The project.
    #[serde(rename = "projectId")]
    pub project_id: ProjectId,
    /// The workspace it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// `4k`, `1080`, `720` or `480`; the vendor's default is `1080`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// The address for the vendor's callbacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
}

impl ExportRequest {
    /// Returns the exact bytes that [`ApiClient::export_project`](super::ApiClient::export_project)
    /// sends.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("four texts always make JSON")
    }
}

/// A state word, interpreted (docs/internals/vendor-api.md, "State words"). Each variant carries the
/// word in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderState {
    /// A word known to mean finished. A video is finished only once its link exists as well.
    Done(String),
    /// A word known to mean failed, or one that contains `fail` or `error`.
    Failed(String),
    /// Any other word: presumably in progress.
    InProgress(String),
}

impl RenderState {
    /// Parses the vendor's word; `None` if it is blank.
    pub fn parse(word: &str) -> Option<Self> {
        let word: String = word.trim().to_lowercase().chars().take(64).collect();
        let word: String = word.chars().filter(|char| !char.is_control()).collect();
        let failed = word.contains("fail") || word.contains("error");
        match word.as_str() {
            "" => None,
            "cancelled" | "canceled" => Some(Self::Failed(word)),
            _ if failed => Some(Self::Failed(word)),
            "exported" | "finish" | "finished" | "complete" | "completed" => Some(Self::Done(word)),
            _ => Some(Self::InProgress(word)),
        }
    }

    /// Returns the word itself.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Done(word) | Self::Failed(word) | Self::InProgress(word) => word,
        }
    }
}

/// The progress of a render.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressReport {
    /// 0 to 100. `None`: not started, or not a number.
    pub percent: Option<f64>,
    /// The state, which the vendor's table omits and its samples use.
    pub state: Option<RenderState>,
    /// The download link. It may follow later than 100 %.
    pub download_url: Option<Url>,
    /// The vendor's message about a failure, at most 300 characters.
    pub message: Option<String>,
}

impl ProgressReport {
    /// Parses a `progress` response; `None` if it contains no progress.
    pub(super) fn parse(data: &Value) -> Option<Self> {
        let keys = ["progress", "state", "status"];
        let has_any = keys.iter().chain(DOWNLOAD_URL_KEYS).any(|key| data.get(key).is_some());
        has_any.then(|| Self {
            percent: parse_percent(data),
            state: parse_state(data),
            download_url: envelope::find_download_url(data),
            message: None,
        })
    }
}

/// A project as `GET editor/project/{key}` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectDetails {
    /// Its id.
    pub id: ProjectId,
    /// Its name, which ends with our tag.
    pub name: Option<String>,
    /// Its state.
    pub state: Option<RenderState>,
    /// Export progress, 0 to 100.
    pub percent: Option<f64>,
    /// The vendor's task id, present once a render was started.
    pub task_id: Option<String>,
    /// Whether credits were charged (`creditSubstracted`, the vendor's spelling).
    pub credit_subtracted: Option<bool>,
    /// Its price in credits, if the vendor reports one; may be a fraction.
    pub price: Option<f64>,
    /// The download link of its video.
    pub video_url: Option<String>,
    /// When it was created, by the vendor's clock.
    pub created_at: Option<Timestamp>,
}

/// State words of a project that was never exported. Every other word counts as evidence of an
/// export, because mistaking an export for a draft costs money, and the reverse only time.
const DRAFT_STATE_WORDS: &[&str] = &[
    "draft",
    "created",
    "new",
    "none",
    "saved",
    "idle",
    "init",
    "initial",
    "initialized",
    "edit",
    "editing",
    "unexported",
    "not exported",
    "not_exported",
    "default",
];

impl ProjectDetails {
    /// Parses a project; `None` without an id.
    pub(super) fn parse(data: &Value, requested: &ProjectId) -> Option<Self> {
        let fields = data.get("project").filter(|inner| inner.is_object()).unwrap_or(data);
        let id = envelope::first_text(fields, &["_id", "id", "projectId", "key"]);
        let id = match id {
            Some(text) => ProjectId::parse(text)?,
            // Some responses contain only the changes; they are identified by a project's fields.
            None if fields.get("scenes").is_some() || fields.get("state").is_some() => {
                requested.clone()
            }
            None => return None,
        };
        let owned = |key: &str| envelope::first_text(fields, &[key]).map(str::to_owned);
        Some(Self {
            id,
            name: owned("name"),
            state: parse_state(fields),
            percent: parse_percent(fields),
            task_id: owned("backendTaskId").or_else(|| owned("taskId")),
            credit_subtracted: envelope::parse_flag(fields, "creditSubstracted")
                .or_else(|| envelope::parse_flag(fields, "creditSubtracted")),
            price: envelope::first_number(fields, &["credit", "credits"]),
            video_url: envelope::find_download_url(fields).map(String::from),
            created_at: parse_created_at(fields),
        })
    }

    /// Returns the credits that were charged. A price of 0, or one reported as not charged yet, may
    /// still change.
    pub fn charged_credits(&self) -> Option<f64> {
        let is_charged = self.credit_subtracted != Some(false);
        self.price.filter(|credits| is_charged && *credits > 0.0)
    }

    /// Returns an identity of the render that this project shows: its task, or else its link without
    /// the query, which may be a signature. `None` when it shows no render.
    pub fn render_identity(&self) -> Option<String> {
        self.export_evidence()?;
        let link = self.video_url.as_deref().and_then(|url| Url::parse(url).ok());
        let link = link.map(|url| url.path().to_owned());
        let state = || self.state.as_ref().map(|state| state.as_str().to_owned());
        self.task_id.clone().or(link).or_else(state).or_else(|| Some("shown".to_owned()))
    }

    /// Returns evidence that this project was certainly exported, if there is any.
    ///
    /// `None` is no proof of the opposite: the vendor may show an accepted export late.
    pub fn export_evidence(&self) -> Option<&'static str> {
        if self.credit_subtracted == Some(true) {
            return Some("it reports its credits as charged");
        }
        if self.video_url.is_some() {
            return Some("it has a download link");
        }
        if self.percent.is_some_and(|percent| percent > 0.0) {
            return Some("its render has made progress");
        }
        if self.task_id.is_some() {
            return Some("it has a render task");
        }
        match &self.state {
            Some(state) if !DRAFT_STATE_WORDS.contains(&state.as_str()) => {
                Some("its state is not that of a draft")
            }
            Some(_) | None => None,
        }
    }
}

/// One project in the account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name, which ends with our tag.
    pub name: Option<String>,
    /// Its state.
    pub state: Option<RenderState>,
    /// Whether it has a download link.
    pub has_video: bool,
}

impl ListedProject {
    /// Returns whether it has certainly been exported; `false` proves nothing.
    pub fn is_exported(&self) -> bool {
        self.has_video || matches!(self.state, Some(RenderState::Done(_) | RenderState::Failed(_)))
    }
}

/// The account's projects, as far as AI Studios lists them.
///
/// According to the vendor's reference the list shows *exported* projects, so presence is proof and
/// absence is none (docs/internals/vendor-api.md, "Project list").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectList {
    /// In the vendor's order; a project may occur twice.
    pub projects: Vec<ListedProject>,
    /// Whether every entry could be read and nothing indicates further pages. Only then may
    /// anything be concluded from the absence of a project.
    pub is_complete: bool,
}

/// Parses the time of creation: a date, or a number of seconds or milliseconds since 1970.
fn parse_created_at(fields: &Value) -> Option<Timestamp> {
    /// A number below this counts seconds: in milliseconds, it would be in 1973.
    const SECONDS_MAX: f64 = 1e11;
    const KEYS: &[&str] = &["createdAt", "created_at", "createDate", "created"];
    if let Some(text) = envelope::first_text(fields, KEYS)
        && let Ok(time) = text.parse()
    {
        return Some(time);
    }
    let number = envelope::first_number(fields, KEYS)?;
    let ms = if number < SECONDS_MAX { number * 1000.0 } else { number };
    Timestamp::from_millisecond(ms as i64).ok()
}

fn parse_percent(fields: &Value) -> Option<f64> {
    envelope::first_number(fields, &["progress"]).map(|percent| percent.clamp(0.0, 100.0))
}

fn parse_state(fields: &Value) -> Option<RenderState> {
    RenderState::parse(envelope::first_text(fields, &["state", "status"])?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_project_id_is_valid_in_a_url_path() {
        for text in ["66f0a1b2c3d4e5f60718293a", "a", "A-b_9", &"x".repeat(128), "12345"] {
            assert_eq!(ProjectId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a/b", "..", "a b", "é", "a?b", "a%2f", &"x".repeat(129)] {
            assert_eq!(ProjectId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn known_state_words_are_recognised() {
        use RenderState::*;
        for (word, state) in [
            ("exported", Done("exported".into())),
            (" Complete ", Done("complete".into())),
            ("FINISH", Done("finish".into())),
            ("Export_Failed", Failed("export_failed".into())),
            ("error", Failed("error".into())),
            ("canceled", Failed("canceled".into())),
            ("building audio", InProgress("building audio".into())),
            ("exporting", InProgress("exporting".into())),
            ("대기중", InProgress("대기중".into())),
        ] {
            assert_eq!(RenderState::parse(word), Some(state));
        }
        assert_eq!(RenderState::parse("  "), None);
    }

    #[test]
    fn progress_is_parsed_in_every_spelling() {
        for (data, percent, linked) in [
            (json!({"progress": 42}), Some(42.0), false),
            (json!({"progress": 37.5, "state": "exporting"}), Some(37.5), false),
            (json!({"progress": "99.5"}), Some(99.5), false),
            (json!({"progress": "waiting"}), None, false),
            (json!({"progress": "NaN"}), None, false),
            (json!({"progress": null}), None, false),
            (json!({"progress": 250}), Some(100.0), false),
            (json!({"progress": -1}), Some(0.0), false),
            (json!({"progress": 100, "downloadUrl": "https://m.example/a.mp4"}), Some(100.0), true),
            (json!({"progress": 100, "download_url": "http://m.example/a.mp4"}), Some(100.0), true),
            (json!({"progress": 100, "videoUrl": " https://m.example/a "}), Some(100.0), true),
            (json!({"progress": 100, "url": "https://m.example/a"}), Some(100.0), true),
            (json!({"progress": 100, "downloadUrl": ""}), Some(100.0), false),
            (json!({"progress": 100, "downloadUrl": "ftp://m.example/a"}), Some(100.0), false),
            (json!({"progress": 100, "downloadUrl": "/a.mp4"}), Some(100.0), false),
            (json!({"progress": 100, "downloadUrl": 7}), Some(100.0), false),
        ] {
            let progress = ProgressReport::parse(&data).unwrap();
            assert_eq!(progress.percent, percent, "{data}");
            assert_eq!(progress.download_url.is_some(), linked, "{data}");
        }
        for data in [json!({}), json!([]), json!(null), json!("x"), json!({"projectId": "a"})] {
            assert_eq!(ProgressReport::parse(&data), None, "{data}");
        }
    }

    #[test]
    fn a_project_needs_an_id_or_project_fields() {
        let requested = ProjectId::parse("66f0").unwrap();
        let bare = ProjectDetails::parse(&json!({"project": {"_id": "66f1"}}), &requested).unwrap();
        assert_eq!((bare.id.as_str(), bare.export_evidence()), ("66f1", None));
        let changed = json!({"project": {"state": "exported", "progress": 100}});
        assert_eq!(ProjectDetails::parse(&changed, &requested).unwrap().id, requested);
        for none in [json!({}), json!({"project": null}), json!({"_id": "a/b"}), json!([1])] {
            assert_eq!(ProjectDetails::parse(&none, &requested), None, "{none}");
        }
    }

    #[test]
    fn every_sign_of_an_export_is_evidence_and_a_draft_has_none() {
        let requested = ProjectId::parse("66f0").unwrap();
        let evidence = |fields: Value| {
            let mut all = json!({"_id": "66f0", "name": "Ann [cs:7h3k9q2m]"});
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            ProjectDetails::parse(&all, &requested).unwrap().export_evidence()
        };
        for draft in [
            json!({}),
            json!({"state": "draft", "progress": 0, "creditSubstracted": false}),
            json!({"state": "", "backendTaskId": "", "download_url": ""}),
            json!({"state": null, "progress": null, "backendTaskId": null}),
        ] {
            assert_eq!(evidence(draft.clone()), None, "{draft}");
        }
        for exported in [
            json!({"creditSubstracted": true}),
            json!({"creditSubstracted": "true"}),
            json!({"progress": 0.5}),
            json!({"progress": "3"}),
            json!({"backendTaskId": "task-7f3a"}),
            json!({"download_url": "https://m.example/a.mp4"}),
            json!({"state": "waiting"}),
            json!({"state": "failed"}),
            json!({"state": "an unknown word"}),
        ] {
            assert!(evidence(exported.clone()).is_some(), "{exported}");
        }
    }

    #[test]
    fn credits_count_only_once_they_were_charged() {
        let requested = ProjectId::parse("66f0").unwrap();
        for (fields, price) in [
            (json!({"credit": 2}), Some(2.0)),
            (json!({"credit": "1.5", "creditSubstracted": true}), Some(1.5)),
            (json!({"credit": 2, "creditSubstracted": false}), None),
            (json!({"credit": 0, "creditSubstracted": true}), None),
            (json!({"credit": 0}), None),
            (json!({"credit": -1}), None),
            (json!({"creditSubstracted": true}), None),
        ] {
            let mut all = json!({"_id": "66f0"});
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            assert_eq!(
                ProjectDetails::parse(&all, &requested).unwrap().charged_credits(),
                price,
                "{fields}"
            );
        }
    }

    #[test]
    fn an_export_request_contains_only_the_given_settings() {
        let mut request = ExportRequest {
            project_id: ProjectId::parse("66f0").unwrap(),
            workspace_id: None,
            resolution: None,
            webhook_url: None,
        };
        assert_eq!(request.to_json(), br#"{"projectId":"66f0"}"#);
        request.resolution = Some("1080".into());
        request.webhook_url = Some("https://hooks.example/h/abc".into());
        request.workspace_id = Some("w".into());
        let body: Value = serde_json::from_slice(&request.to_json()).unwrap();
        assert_eq!(
            body,
            json!({
                "projectId": "66f0",
                "workspaceId": "w",
                "resolution": "1080",
                "webhookUrl": "https://hooks.example/h/abc",
            })
        );
    }
}
