//! The subject of the vendor's error messages.
//!
//! No V3 error code or status is documented (docs/internals/vendor-api.md, "Envelope"), so where
//! `success: false` stands alone its message has to be interpreted. Pure. The lists err on one side: a
//! message is a refusal only if it clearly is one, and a phrase that may also follow an accepted
//! request always wins.

use serde_json::Value;

/// An error in the vendor's wording. Not redacted yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ErrorText {
    /// The messages, joined.
    pub(super) text: String,
    /// The error code, if there was one.
    pub(super) code: Option<String>,
}

/// The subject of an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorSubject {
    /// An internal failure, or work in progress: the request may have been accepted.
    ServiceFailure,
    /// The access token or the credentials.
    Token,
    /// Missing credits.
    Credits,
    /// Too many requests.
    RateLimit,
    /// The scope of the account's plan.
    Plan,
    /// A missing object.
    NotFound,
    /// A mistake in the request.
    Validation,
    /// None of these.
    Unclear,
}

const SERVICE_FAILURE_PHRASES: &[&str] = &[
    " internal",
    " timeout",
    " timed out",
    " time out",
    " server error",
    " unavailable",
    " exception",
    " gateway",
    " busy ",
    " overload",
    " unexpected error",
    " unknown error",
    " crash",
    " unhandled",
    " failed to",
    " export fail",
    " export error",
    " render fail",
    " rendering fail",
    " synthesis fail",
    " database",
    " connection",
];
/// Phrases about a request that was accepted before; it may be this very one.
const ALREADY_ACCEPTED_PHRASES: &[&str] = &[
    " already",
    " in progress",
    " pending ",
    " processing",
    " duplicate",
    " being exported",
    " being rendered",
    " being processed",
    " being generated",
    " exporting ",
];
const TRY_AGAIN_PHRASES: &[&str] = &[" try again", " retry", " later ", " temporar", " wait "];
const TOKEN_PHRASES: &[&str] = &[
    " token expired",
    " token has expired",
    " token is expired",
    " expired token",
    " token is invalid",
    " token invalid",
    " invalid token",
    " token is not valid",
    " token not valid",
    " access token",
    " token required",
    " token is required",
    " token missing",
    " token is missing",
    " missing token",
    " no token",
    " bad token",
    " wrong token",
    " malformed token",
    " token malformed",
    " token verification",
    " web token ",
    " jwt ",
    " unauthorized",
    " unauthorised",
    " unauthenticated",
    " not authenticated",
    " authentication",
    " authorization header",
    " authorization required",
    " invalid signature",
    " session expired",
    " login required",
    " invalid user key",
    " invalid userkey",
    " invalid api key",
    " invalid apikey",
    " invalid credential",
    " wrong credential",
];
/// A JSON parser's message about our payload, not about the access token.
const JSON_PARSER_PHRASES: &[&str] = &[" unexpected token", " in json ", " json at "];
const CREDIT_PHRASES: &[&str] = &[" credit", " balance", " cube"];
const SHORTAGE_PHRASES: &[&str] = &[
    " insufficient",
    " not enough",
    " no credit",
    " out of",
    " exceed",
    " lack",
    " shortage",
    " deplet",
    " exhaust",
    " run out",
    " ran out",
    " used up",
    " remaining",
    " too low",
    " 0 ",
    " zero",
    " need",
];
const PAYMENT_PHRASES: &[&str] = &[" payment required", " insufficient fund", " out of credit"];
const RATE_LIMIT_PHRASES: &[&str] =
    &[" rate limit", " ratelimit", " too many request", " throttl", " request limit"];
const PLAN_PHRASES: &[&str] =
    &[" upgrade your plan", " your plan", " plan does not", " plan doesn t"];
const NOT_FOUND_PHRASES: &[&str] = &[
    " not found",
    " notfound",
    " no such",
    " does not exist",
    " doesn t exist",
    " unknown project",
    " unknown template",
    " unknown model",
];
const VALIDATION_PHRASES: &[&str] = &[
    " validation",
    " invalid",
    " missing",
    " required",
    " must ",
    " not allowed",
    " not supported",
    " unsupported",
    " malformed",
    " bad request",
    " illegal",
    " not valid",
    " cannot be empty",
    " can not be empty",
    " should be",
    " too long",
    " too short",
    " too large",
    " exceeds the max",
    " permission",
    " forbidden",
    " access denied",
    " not permitted",
    " out of range",
    " unexpected token",
    " json at ",
];
/// A failed render: the failure is named next to its object.
const RENDER_FAILED_PHRASES: &[&str] = &[
    " export failed ",
    " export has failed ",
    " exporting failed ",
    " export failure ",
    " failed export ",
    " render failed ",
    " render has failed ",
    " rendering failed ",
    " rendering has failed ",
    " render failure ",
    " rendering failure ",
    " failed render ",
    " synthesis failed ",
    " synthesis has failed ",
    " synthesis failure ",
    " video generation failed ",
    " video generation has failed ",
    " video synthesis failed ",
    " video creation failed ",
];
/// A failed request for the progress of a render, which shows nothing about the render.
const POLL_FAILED_PHRASES: &[&str] = &[
    " failed to",
    " get ",
    " getting ",
    " fetch",
    " query",
    " querying ",
    " find ",
    " load",
    " read ",
    " check",
    " status ",
    " progress ",
    " retriev",
    " lookup ",
    " look up ",
];

impl ErrorText {
    /// Collects the messages of an error envelope in any shape: `error` as an object or a string,
    /// messages at the top level as in V2, a list of errors.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut all = Self::default();
        let error = value.get("error");
        all.collect_value(error.unwrap_or(&Value::Null));
        for list in ["errors", "details"] {
            for item in value.get(list).and_then(Value::as_array).into_iter().flatten().take(5) {
                all.collect_value(item);
            }
        }
        all.collect_value(value);
        if all.text.is_empty() {
            all.collect_value(value.get("data").unwrap_or(&Value::Null));
        }
        all
    }

    /// Wraps a response in plain text.
    pub(super) fn from_text(text: &str) -> Self {
        Self { text: text.trim().chars().take(300).collect(), code: None }
    }

    fn collect_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.push_message(text),
            Value::Object(fields) => {
                for key in ["msg", "message", "detail", "reason", "error_description"] {
                    if let Some(Value::String(text)) = fields.get(key) {
                        self.push_message(text);
                    }
                }
                for key in ["code", "errorCode", "error_code"] {
                    match fields.get(key) {
                        Some(Value::String(code)) if self.code.is_none() => {
                            self.code = Some(code.clone());
                        }
                        Some(Value::Number(code)) if self.code.is_none() => {
                            self.code = Some(code.to_string());
                        }
                        Some(_) | None => {}
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }

    fn push_message(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.text.contains(text) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        self.text.push_str(text);
    }

    /// Returns the subject of the message.
    pub(super) fn subject(&self) -> ErrorSubject {
        let text = self.normalized();
        let has_any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if has_any(SERVICE_FAILURE_PHRASES) || self.can_follow_acceptance() {
            return ErrorSubject::ServiceFailure;
        }
        if self.is_about_token() {
            return ErrorSubject::Token;
        }
        if self.is_about_credits() {
            return ErrorSubject::Credits;
        }
        if has_any(RATE_LIMIT_PHRASES) {
            return ErrorSubject::RateLimit;
        }
        // "Invalid state, try again later": the second half outweighs the first.
        if has_any(TRY_AGAIN_PHRASES) {
            return ErrorSubject::ServiceFailure;
        }
        if has_any(PLAN_PHRASES) {
            ErrorSubject::Plan
        } else if has_any(NOT_FOUND_PHRASES) {
            ErrorSubject::NotFound
        } else if has_any(VALIDATION_PHRASES) {
            ErrorSubject::Validation
        } else {
            ErrorSubject::Unclear
        }
    }

    /// Returns whether the message may be about a request that was accepted before.
    pub(super) fn can_follow_acceptance(&self) -> bool {
        let text = self.normalized();
        ALREADY_ACCEPTED_PHRASES.iter().any(|phrase| text.contains(phrase))
    }

    /// Returns whether the message is about the access token or the credentials.
    pub(super) fn is_about_token(&self) -> bool {
        let text = self.normalized();
        let has_any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        has_any(TOKEN_PHRASES) && !has_any(JSON_PARSER_PHRASES)
    }

    /// Returns whether the message is about missing credits.
    pub(super) fn is_about_credits(&self) -> bool {
        let text = self.normalized();
        let has_any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        (has_any(CREDIT_PHRASES) && has_any(SHORTAGE_PHRASES)) || has_any(PAYMENT_PHRASES)
    }

    /// Returns whether the message reports that a render failed, as `export failed` does. It may lead
    /// to a new, paid render, so a message about the progress request itself never counts, nor one
    /// that asks to try again.
    pub(super) fn is_render_failure(&self) -> bool {
        let text = self.normalized();
        let has_any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        has_any(RENDER_FAILED_PHRASES)
            && !has_any(POLL_FAILED_PHRASES)
            && !has_any(TRY_AGAIN_PHRASES)
            && !has_any(NOT_FOUND_PHRASES)
    }

    /// Returns the message in lower case, with single spaces between and around its words, so that
    /// `TOKEN_EXPIRED`, `tokenExpired` and `Token expired!` are equal.
    fn normalized(&self) -> String {
        let mut plain = String::from(" ");
        let mut last_lower = false;
        let code = self.code.as_deref().unwrap_or("");
        for char in self.text.chars().chain([' ']).chain(code.chars()).chain([' ']) {
            if last_lower && char.is_uppercase() {
                plain.push(' ');
            }
            last_lower = char.is_lowercase();
            if char.is_alphanumeric() {
                plain.extend(char.to_lowercase());
            } else if !plain.ends_with(' ') {
                plain.push(' ');
            }
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_subject_of_each_known_message_is_recognised() {
        use ErrorSubject::*;
        for (text, subject) in [
            ("invalid token", Token),
            ("TOKEN_EXPIRED", Token),
            ("TokenExpiredError: jwt expired", Token),
            ("JsonWebTokenError", Token),
            ("token has expired, please try again", Token),
            ("Unauthorized", Token),
            ("Unexpected token } in JSON at position 12", Validation),
            ("not enough credit", Credits),
            ("Insufficient credits. Please top up and try again.", Credits),
            ("your remaining balance is too low", Credits),
            ("Payment Required", Credits),
            ("creditor name is required", Validation),
            ("too many requests", RateLimit),
            ("Rate limit exceeded, retry in 3 s", RateLimit),
            ("project not found", NotFound),
            ("scenes is required", Validation),
            ("clip.model: unsupported value", Validation),
            ("Please upgrade your plan", Plan),
            ("internal server error", ServiceFailure),
            ("invalid internal state", ServiceFailure),
            ("request timeout", ServiceFailure),
            ("token service timed out", ServiceFailure),
            ("project is already exporting", ServiceFailure),
            ("this project is being exported", ServiceFailure),
            ("invalid response from renderer, try again later", ServiceFailure),
            ("export failed", ServiceFailure),
            ("failed to create project: name is required", ServiceFailure),
            ("no", Unclear),
            ("", Unclear),
        ] {
            let error = ErrorText { text: text.to_owned(), code: None };
            assert_eq!(error.subject(), subject, "{text}");
        }
    }

    #[test]
    fn only_a_message_about_the_render_itself_reports_its_failure() {
        for (text, failed) in [
            ("export failed", true),
            ("EXPORT_FAILED", true),
            ("renderFailed", true),
            ("Rendering failed: the voice is gone", true),
            ("video generation failed", true),
            ("speech synthesis failed", true),
            ("failed to get video progress, please try again", false),
            ("failed to find video", false),
            ("failed to query the render", false),
            ("get export failed", false),
            ("query of render failed", false),
            ("export failed, try again later", false),
            ("render failed: project not found", false),
            ("video service failed", false),
            ("reading the progress of the export failed", false),
            ("", false),
        ] {
            let error = ErrorText { text: text.to_owned(), code: None };
            assert_eq!(error.is_render_failure(), failed, "{text}");
        }
    }

    #[test]
    fn an_error_is_parsed_in_every_shape() {
        for (value, text, code) in [
            (json!({"error": {"code": 4001, "msg": "bad"}}), "bad", Some("4001")),
            (json!({"error": {"code": "E1", "message": "bad"}}), "bad", Some("E1")),
            (json!({"error": "bad"}), "bad", None),
            (json!({"msg": "bad", "code": "E2"}), "bad", Some("E2")),
            (json!({"error": "bad", "message": "worse"}), "bad; worse", None),
            (json!({"errors": ["a", {"msg": "b"}, 3]}), "a; b", None),
            (json!({"error": null}), "", None),
            (json!({"error": [1, 2]}), "", None),
            (json!([1]), "", None),
            (json!("bad"), "bad", None),
        ] {
            let error = ErrorText::from_json(&value);
            assert_eq!((error.text.as_str(), error.code.as_deref()), (text, code), "{value}");
        }
    }
}
