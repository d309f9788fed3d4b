//! Responses and rejections, in the shapes that the switches select.
//!
//! Keys and shapes follow the reference's envelope: `success`, `data`, `error.code`, `error.msg`.
//! The error codes are this simulator's own; no page of the vendor lists any.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::sandbox::vendor_behavior::{
    ErrorCodeType, ErrorHttpStatus, ErrorShape, ErrorSwitches, ListResponseShape,
};

/// A response, before the connection faults.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) struct SandboxResponse {
    pub(in crate::sandbox) status: u16,
    pub(in crate::sandbox) content_type: &'static str,
    pub(in crate::sandbox) headers: Vec<(&'static str, String)>,
    pub(in crate::sandbox) body: Vec<u8>,
}

impl SandboxResponse {
    pub(in crate::sandbox) fn from_json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("responses are plain data with string keys");
        Self { status, content_type: "application/json; charset=utf-8", headers: Vec::new(), body }
    }

    pub(in crate::sandbox) fn html_page(status: u16, text: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>{text}</title></head>\n<body><h1>{text}</h1>\n\
             <p>The requested service is not available.</p></body></html>\n"
        );
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            headers: Vec::new(),
            body: page.into_bytes(),
        }
    }

    pub(in crate::sandbox) fn with_header(mut self, header: &'static str, value: String) -> Self {
        self.headers.push((header, value));
        self
    }

    /// The success envelope.
    pub(in crate::sandbox) fn success(data: impl Serialize) -> Self {
        #[derive(Serialize)]
        struct SuccessEnvelope<T> {
            success: bool,
            data: T,
        }
        Self::from_json(200, &SuccessEnvelope { success: true, data })
    }

    /// A catalogue in one of the four shapes that were observed.
    pub(in crate::sandbox) fn from_list(
        items: Vec<Value>,
        key: &str,
        shape: ListResponseShape,
    ) -> Self {
        match shape {
            ListResponseShape::Bare => Self::from_json(200, &items),
            ListResponseShape::DataArray => Self::success(items),
            ListResponseShape::DataKeyed => Self::success(json!({ key: items })),
            ListResponseShape::NumericObject => {
                let numbered = items.into_iter().enumerate();
                let object: Map<_, _> = numbered.map(|(n, item)| (n.to_string(), item)).collect();
                Self::from_json(200, &object)
            }
        }
    }
}

/// Why a request is rejected.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct RequestRejection {
    status: u16,
    code: i64,
    msg: String,
}

impl RequestRejection {
    pub(in crate::sandbox) fn new(status: u16, code: i64, msg: impl fmt::Display) -> Self {
        Self { status, code, msg: msg.to_string() }
    }

    pub(in crate::sandbox) fn bad_request(msg: impl fmt::Display) -> Self {
        Self::new(400, 4000, msg)
    }

    pub(in crate::sandbox) fn not_found(what: &str) -> Self {
        Self::new(404, 4040, format_args!("{what} not found"))
    }

    pub(in crate::sandbox) fn no_credit() -> Self {
        Self::new(402, 4020, "not enough credit")
    }

    pub(in crate::sandbox) fn invalid_token() -> Self {
        Self::new(401, 4010, "invalid token")
    }

    /// The same rejection under HTTP 200.
    pub(in crate::sandbox) fn with_status_200(self) -> Self {
        Self { status: 200, ..self }
    }

    /// Formats the rejection as the switches demand.
    pub(in crate::sandbox) fn to_response(&self, switches: &ErrorSwitches) -> SandboxResponse {
        let status = match switches.http {
            ErrorHttpStatus::Status => self.status,
            ErrorHttpStatus::Ok200 => 200,
        };
        let code = match switches.code_type {
            ErrorCodeType::Number => json!(self.code),
            ErrorCodeType::String => json!(self.code.to_string()),
        };
        let body = match switches.shape {
            ErrorShape::Object => {
                json!({"success": false, "error": {"code": code, "msg": self.msg}})
            }
            ErrorShape::String => json!({"success": false, "error": self.msg}),
            ErrorShape::Missing => json!({"success": false}),
        };
        SandboxResponse::from_json(status, &body)
    }
}

impl From<std::io::Error> for RequestRejection {
    /// The journal could not be written, so nothing was done.
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the sandbox could not write its state; a request was rejected");
        Self::new(500, 5000, "the sandbox could not write its state file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &SandboxResponse) -> String {
        format!("{} {}", response.status, String::from_utf8_lossy(&response.body))
    }

    #[test]
    fn a_catalogue_comes_in_four_shapes() {
        let shapes = [
            ListResponseShape::Bare,
            ListResponseShape::DataArray,
            ListResponseShape::DataKeyed,
            ListResponseShape::NumericObject,
        ];
        let items = || vec![json!({"id": "a"}), json!({"id": "b"})];
        let all: Vec<_> = shapes
            .iter()
            .map(|shape| text(&SandboxResponse::from_list(items(), "models", *shape)))
            .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        200 [{"id":"a"},{"id":"b"}]
        200 {"success":true,"data":[{"id":"a"},{"id":"b"}]}
        200 {"success":true,"data":{"models":[{"id":"a"},{"id":"b"}]}}
        200 {"0":{"id":"a"},"1":{"id":"b"}}
        "#);
    }

    #[test]
    fn a_rejection_has_the_shape_that_the_switches_select() {
        let plain = ErrorSwitches::default();
        let odd = ErrorSwitches {
            http: ErrorHttpStatus::Ok200,
            code_type: ErrorCodeType::String,
            shape: ErrorShape::Object,
        };
        let string = ErrorSwitches { shape: ErrorShape::String, ..ErrorSwitches::default() };
        let missing = ErrorSwitches { shape: ErrorShape::Missing, ..ErrorSwitches::default() };
        let all: Vec<_> = [plain, odd, string, missing]
            .iter()
            .map(|switches| text(&RequestRejection::invalid_token().to_response(switches)))
            .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        401 {"error":{"code":4010,"msg":"invalid token"},"success":false}
        200 {"error":{"code":"4010","msg":"invalid token"},"success":false}
        401 {"error":"invalid token","success":false}
        401 {"success":false}
        "#);
    }
}
