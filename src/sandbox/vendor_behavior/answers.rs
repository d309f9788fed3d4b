//! Switches for access, for the strictness of checks, and for the shape of responses.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// How a rejection of bad credentials or a bad token looks. The documents name neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthErrorShape {
    /// HTTP 401 with the error envelope.
    #[default]
    Http401,
    /// HTTP 200 with `success: false`.
    SuccessFalse,
}

/// Which clients are accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthSwitches {
    /// Whether `Bearer <token>` is accepted too. The documents show the raw token only.
    pub accept_bearer: bool,
    /// Response of `auth/token` to a wrong pair.
    pub bad_credentials: AuthErrorShape,
    /// Response of all other endpoints to a wrong or expired token.
    pub bad_token: AuthErrorShape,
    /// Whether `GET auth` puts `isAuthenticated` at the top instead of under `data`.
    pub confirm_flat: bool,
    /// Whether `GET auth` returns `isAuthenticated: false` for a bad token instead of rejecting it.
    pub confirm_says_false: bool,
    /// Accepts any `appId` and `userKey`, for users who try their own client.
    pub accept_any: bool,
    /// The key was revoked: no token is issued and none is valid.
    pub revoked: bool,
}

/// Format and lifetime of a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSwitches {
    /// Lifetime of a token in virtual seconds. The `exp` inside it is in the client's own time:
    /// from now to `ttl_s / time_scale` real seconds later.
    pub ttl_s: f64,
    /// A new token ends all earlier ones.
    pub single_active: bool,
    /// Tokens are random text instead of JWTs.
    pub opaque: bool,
}

impl Default for TokenSwitches {
    fn default() -> Self {
        Self { ttl_s: 86_400.0, single_active: false, opaque: false }
    }
}

/// Whether a failure shows in the HTTP status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorHttpStatus {
    /// 400, 402, 404 and so on.
    #[default]
    Status,
    /// Always 200; only `success: false` shows it.
    Ok200,
}

/// JSON type of `error.code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCodeType {
    #[default]
    Number,
    String,
}

/// The content of `error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{"code": …, "msg": …}`, as in the documents' own error branches.
    #[default]
    Object,
    /// Only the message.
    String,
    /// No `error` at all.
    Missing,
}

/// How a rejection is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorSwitches {
    pub http: ErrorHttpStatus,
    pub code_type: ErrorCodeType,
    pub shape: ErrorShape,
}

/// The `Retry-After` of a 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfterFormat {
    #[default]
    Seconds,
    /// An HTTP date.
    Date,
    None,
}

/// A limit over all API calls together, in real time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateLimitSwitches {
    /// At most so many requests in any window of `per_ms`.
    pub requests: u32,
    /// Real milliseconds.
    pub per_ms: u64,
    /// HTTP 200 with `success: false` instead of a 429.
    pub success_false: bool,
    pub retry_after: RetryAfterFormat,
}

impl Default for RateLimitSwitches {
    fn default() -> Self {
        Self {
            requests: 60,
            per_ms: 60_000,
            success_false: false,
            retry_after: RetryAfterFormat::Seconds,
        }
    }
}

/// The four shapes of catalogue responses that were observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListResponseShape {
    /// `[…]`
    Bare,
    /// `{"success": true, "data": […]}`
    DataArray,
    /// `{"success": true, "data": {"models": […]}}`
    DataKeyed,
    /// `{"0": {…}, "1": {…}}`
    NumericObject,
}

/// The shape of each list that the API returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CatalogSwitches {
    pub projects: ListResponseShape,
    pub models: ListResponseShape,
    pub workspaces: ListResponseShape,
    pub templates_business: ListResponseShape,
    pub templates_automation: ListResponseShape,
    /// Whether `GET model` still exists; its page left the sidebar.
    pub model_page: bool,
}

impl Default for CatalogSwitches {
    fn default() -> Self {
        Self {
            projects: ListResponseShape::DataArray,
            models: ListResponseShape::Bare,
            workspaces: ListResponseShape::DataArray,
            templates_business: ListResponseShape::DataArray,
            templates_automation: ListResponseShape::NumericObject,
            model_page: true,
        }
    }
}

/// Which projects the list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListFilter {
    /// Those "already exported and ready to download", as the page says.
    #[default]
    Exported,
    All,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    #[default]
    Newest,
    Oldest,
    /// No order that a client could rely on; the same on every read.
    Shuffled,
}

/// The list of `GET editor/project`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListSwitches {
    pub include: ListFilter,
    pub order: ListOrder,
    /// At most this many items.
    pub limit: Option<usize>,
    /// A project (or its finish) appears this many virtual seconds late.
    pub lag_s: f64,
    /// Every item appears twice.
    pub duplicates: bool,
}

/// How strictly a request is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationLevel {
    /// Accepts any JSON object; what is broken fails at its render.
    Lenient,
    /// Rejects what cannot become a video, tolerates the oddities of the vendor's own samples
    /// (script in the clip, two scenes numbered 0, fields the table calls required left out).
    #[default]
    Fair,
    /// Rejects everything that the tables do not allow.
    Strict,
}

/// How script text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HtmlHandling {
    /// Text is text.
    #[default]
    Literal,
    /// Text is read as HTML: a stray `<` makes the request bad.
    Parsed,
}

/// Where a script may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScriptSwitches {
    /// In the clip, as at the launch of V3.
    pub accept_old: bool,
    /// In `scenes[].scripts`, since 2024-12-18.
    pub accept_new: bool,
    pub html: HtmlHandling,
}

impl Default for ScriptSwitches {
    fn default() -> Self {
        Self { accept_old: true, accept_new: true, html: HtmlHandling::Literal }
    }
}

/// How a project's `name` is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameSwitches {
    /// Cut to this many characters.
    pub cut_to: Option<usize>,
    /// Square brackets are removed.
    pub strip_brackets: bool,
}

/// How `editor/template/{id}` takes its parameters; page and sample disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateParamSource {
    #[default]
    Either,
    Body,
    Query,
}

/// Which of the two printed sets of names is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateParamNames {
    #[default]
    Either,
    /// `aiName`, `clothId`.
    Table,
    /// `model`, `clothes`.
    Sample,
}

/// How `editor/template/{id}` is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateSwitches {
    pub carrier: TemplateParamSource,
    pub names: TemplateParamNames,
}
