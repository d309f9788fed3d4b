//! `run.json` as a POST, signed according to the Standard Webhooks specification, so that receivers
//! can verify it with a library.
//!
//! The signature is an HMAC-SHA256 of `ID.TIMESTAMP.BODY`; the id is unique per run, so that a
//! receiver recognises duplicates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::message;
use crate::batch::NotifySettings;
use crate::clock::Clock;
use crate::http::{HttpPoster, PostRequest};
use crate::report::RunRecord;

pub(super) async fn send(
    notify: &NotifySettings,
    record: &RunRecord,
    poster: &HttpPoster,
    clock: &Clock,
) -> Result<(), String> {
    let Some(address) = &notify.webhook else { return Ok(()) };
    let url = notify.resolve_address(address).await?;
    let body = record.to_json().into_bytes();
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let signed = SignedContent {
        id: format!("msg_{}", message::run_id(record)),
        timestamp: clock.now().as_second(),
        body: &body,
    };
    if let Some(secret) = &notify.webhook_secret {
        let secret = notify.resolve_secret(secret).await?;
        headers.push(("webhook-signature", signature(&secret, &signed)));
    }
    let timestamp = signed.timestamp.to_string();
    headers.extend([("webhook-id", signed.id), ("webhook-timestamp", timestamp)]);
    poster.post(PostRequest { url, headers, body }).await
}

/// The content that a signature covers.
struct SignedContent<'a> {
    id: String,
    /// In seconds since 1970.
    timestamp: i64,
    body: &'a [u8],
}

fn signature(secret: &SecretString, content: &SignedContent<'_>) -> String {
    let secret = secret.expose_secret();
    let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
    let key = key.unwrap_or_else(|| secret.as_bytes().to_vec());
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    hmac.update(format!("{}.{}.", content.id, content.timestamp).as_bytes());
    hmac.update(content.body);
    format!("v1,{}", STANDARD.encode(hmac.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn the_signature_matches_the_example_of_the_specification() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let content = SignedContent {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            timestamp: 1_614_265_330,
            body: br#"{"test": 2432232314}"#,
        };
        assert_eq!(signature(&secret, &content), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
