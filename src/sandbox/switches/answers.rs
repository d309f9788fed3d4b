//! Switches of who may ask, what is accepted, and what answers look like.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// How a refusal for bad credentials or a bad token looks. The documents name neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// HTTP 401 with the error envelope.
    #[default]
    Http401,
    /// HTTP 200 with `success: false`.
    SuccessFalse,
}

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// Whether `Bearer <token>` is taken too. The documents show the raw token only.
    pub accept_bearer: bool,
    /// Answer of `auth/token` to a wrong pair.
    pub bad_credentials: Refusal,
    /// Answer of everything else to a wrong or dead token.
    pub bad_token: Refusal,
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
pub struct Token {
    /// Life of a token in virtual seconds. The `exp` inside it is in the client's own time:
    /// from now to `ttl_s / time_scale` real seconds later.
    pub ttl_s: f64,
    /// A new token ends all earlier ones.
    pub single_active: bool,
    /// Tokens are random text instead of JWTs.
    pub opaque: bool,
}

impl Default for Token {
    fn default() -> Self {
        Self { ttl_s: 86_400.0, single_active: false, opaque: false }
    }
}

/// Whether a failure shows in the HTTP status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorHttp {
    /// 400, 402, 404 and so on.
    #[default]
    Status,
    /// Always 200; only `success: false` tells.
    Ok200,
}

/// JSON type of `error.code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeType {
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
pub struct Errors {
    pub http: ErrorHttp,
    pub code_type: CodeType,
    pub shape: ErrorShape,
}

/// What a 429 says about when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    #[default]
    Seconds,
    /// An HTTP date.
    Date,
    None,
}

/// A limit over all API calls together, in real time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateLimit {
    /// At most so many requests in any window of `per_ms`.
    pub requests: u32,
    /// Real milliseconds.
    pub per_ms: u64,
    /// HTTP 200 with `success: false` instead of a 429.
    pub success_false: bool,
    pub retry_after: RetryAfter,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests: 60,
            per_ms: 60_000,
            success_false: false,
            retry_after: RetryAfter::Seconds,
        }
    }
}

/// The four shapes that catalogue answers were seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
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
pub struct Catalogue {
    pub projects: Shape,
    pub models: Shape,
    pub workspaces: Shape,
    pub templates_business: Shape,
    pub templates_automation: Shape,
    /// Whether `GET model` still exists; its page left the sidebar.
    pub model_page: bool,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            projects: Shape::DataArray,
            models: Shape::Bare,
            workspaces: Shape::DataArray,
            templates_business: Shape::DataArray,
            templates_automation: Shape::NumericObject,
            model_page: true,
        }
    }
}

/// Which projects the list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// Those "already exported and ready to download", as the page says.
    #[default]
    Exported,
    All,
}

/// In which order the list shows projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
    /// No order that a client could rely on; the same on every read.
    Shuffled,
}

/// What `GET editor/project` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    pub include: Include,
    pub order: Order,
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
pub enum Validate {
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
pub enum Html {
    /// Text is text.
    #[default]
    Literal,
    /// Text is read as HTML: a stray `<` makes the request bad.
    Parsed,
}

/// Where a script may stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// In the clip, as at the launch of V3.
    pub accept_old: bool,
    /// In `scenes[].scripts`, since 2024-12-18.
    pub accept_new: bool,
    pub html: Html,
}

impl Default for Script {
    fn default() -> Self {
        Self { accept_old: true, accept_new: true, html: Html::Literal }
    }
}

/// What becomes of a project's `name`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// Cut to so many characters.
    pub cut_to: Option<usize>,
    /// Square brackets are taken out.
    pub strip_brackets: bool,
}

/// How `editor/template/{id}` takes its parameters; page and sample disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    #[default]
    Either,
    Body,
    Query,
}

/// Which of the two printed sets of names is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSet {
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
pub struct Template {
    pub carrier: Carrier,
    pub names: NameSet,
}
