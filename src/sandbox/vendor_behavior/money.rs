//! Switches for credits, callbacks and finished files.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// When a render's credits are charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeAt {
    Submit,
    /// The webhook page mentions credits "deducted at completion".
    #[default]
    Complete,
}

/// The effect of an empty account on a render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InsufficientCreditPolicy {
    #[default]
    Reject,
    /// Accepts it, and lets it fail at once, free of charge.
    AcceptThenFail,
}

/// A render costs `per_minute` for each virtual minute begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreditSwitches {
    /// All credits the account ever had; spent ones are subtracted. Unlimited when absent.
    pub balance: Option<f64>,
    pub charge_at: ChargeAt,
    /// A failed render is free.
    pub refund_on_fail: bool,
    pub insufficient: InsufficientCreditPolicy,
    /// Minutes are not rounded up, so credits have decimals.
    pub fractional: bool,
    pub per_minute: f64,
}

impl Default for CreditSwitches {
    fn default() -> Self {
        Self {
            balance: None,
            charge_at: ChargeAt::Complete,
            refund_on_fail: true,
            insufficient: InsufficientCreditPolicy::Reject,
            fractional: false,
            per_minute: 1.0,
        }
    }
}

/// When callbacks are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookMode {
    Off,
    CompletionOnly,
    /// At 25, 50, 75 and 100.
    #[default]
    AllProgress,
}

/// The HTTP method of a callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookMethod {
    #[default]
    Post,
    Get,
}

/// Where the callback's fields are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEncoding {
    #[default]
    Json,
    Form,
    /// Appended to the URL after a `?`, whether or not it has one already, as V2 did.
    Query,
}

/// Callbacks go to `http://` on this machine only; others are rejected and counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookSwitches {
    pub mode: WebhookMode,
    pub method: WebhookMethod,
    pub encoding: WebhookEncoding,
    /// One more callback, at progress 0, as soon as the render is accepted: it may arrive before the
    /// response to the request.
    pub at_submit: bool,
    /// Every callback is sent twice.
    pub duplicate: bool,
    /// The last callback comes first and the first one last.
    pub reorder: bool,
    /// Delay of each callback in virtual seconds.
    pub delay_s: f64,
    /// Share of the callbacks that are never sent, 0 to 1.
    pub drop: f64,
    /// Three more attempts when the receiver does not respond with 2xx.
    pub retry: bool,
}

/// The validator of a finished file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ETagMode {
    #[default]
    Strong,
    None,
    /// A different one on every request.
    Changing,
}

/// How finished files are served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DownloadSwitches {
    /// Lifetime of a link in virtual hours. A read of the project returns a new one from half of it on.
    pub ttl_hours: f64,
    /// 403, 404 or 410.
    pub status_after_expiry: u16,
    /// Whether `Range` is honoured.
    pub range: bool,
    pub etag: ETagMode,
    /// Bytes per real second; unlimited when absent.
    pub bytes_per_s: Option<u32>,
}

impl Default for DownloadSwitches {
    fn default() -> Self {
        Self {
            ttl_hours: 24.0,
            status_after_expiry: 403,
            range: true,
            etag: ETagMode::Strong,
            bytes_per_s: None,
        }
    }
}
