//! Switches of who may ask, what is accepted, and what answers look like.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// How a refusal for bad credentials or a bad token looks. The documents name neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthErrorShape {
    /// HTTP 401 with the error envelope.
    #[default]
    Http401,
    /// HTTP 200 with `success: false`.
    SuccessFalse,
}

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthSwitches {
    /// Whether `Bearer <token>` is taken too. The documents show the raw token only.
    pub accept_bearer: bool,
    /// Answer of `auth/token` to a wrong pair.
    pub bad_credentials: AuthErrorShape,
    /// Answer of everything else to a wrong or dead token.
    pub bad_token: AuthErrorShape,
    /// Whether `GET auth` puts `isAuthenticated` at the top instead of under `data`.
    pub confirm_flat: bool,
    /// Whether `GET auth` says `isAuthenticated: false` to a bad token instead of refusing.
    pub confirm_says_false: bool,
    /// Takes any `appId` and `userKey`, for people who try their own client.
    pub accept_any: bool,
    /// The key was revoked: no token is given out and none is good.
    pub revoked: bool,
}

/// What a token is and how long it lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSwitches {
    /// Life of a token in virtual seconds. The `exp` inside it is in the client's own time:
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
    /// Always 200; only `success: false` tells.
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

/// What stands under `error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{"code": …, "msg": …}`, as in the documents' own error branches.
    #[default]
    Object,
    /// The message alone.
    String,
    /// No `error` at all.
    Missing,
}

/// How a refusal is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorSwitches {
    pub http: ErrorHttpStatus,
    pub code_type: ErrorCodeType,
    pub shape: ErrorShape,
}

/// What a 429 says about when to come back.
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

/// The four shapes that catalogue answers were seen in.
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

/// The shape of each list that the studio gives out.
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

/// In which order the list shows projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    #[default]
    Newest,
    Oldest,
    /// No order that a client could rely on; the same on every read.
    Shuffled,
}

/// What `GET editor/project` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListSwitches {
    pub include: ListFilter,
    pub order: ListOrder,
    /// At most so many items.
    pub limit: Option<usize>,
    /// A project (or its finish) appears so many virtual seconds late.
    pub lag_s: f64,
    /// Every item comes twice.
    pub duplicates: bool,
}

/// How strictly a request is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationLevel {
    /// Takes anything that is a JSON object; what is broken fails at its render.
    Lenient,
    /// Refuses what cannot become a video, tolerates the oddities of the vendor's own samples
    /// (script in the clip, two scenes numbered 0, fields the table calls required left out).
    #[default]
    Fair,
    /// Refuses whatever the tables do not allow.
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

/// Where a script may stand.
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

/// What becomes of a project's `name`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameSwitches {
    /// Cut to so many characters.
    pub cut_to: Option<usize>,
    /// Square brackets are taken out.
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
