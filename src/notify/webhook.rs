//! `run.json` as a POST, signed as the Standard Webhooks specification says, so that receivers
//! find a library that checks it.
//!
//! Signed is `ID.TIMESTAMP.BODY` with HMAC-SHA256; the id is the run's own, so that a receiver
//! knows what it has seen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::secret_ref;
use crate::batch::NotifySettings;
use crate::http::{HttpPoster, PostRequest};
use crate::report::RunRecord;

pub(super) async fn send(
    notify: &NotifySettings,
    record: &RunRecord,
    courier: &HttpPoster,
) -> Result<(), String> {
    let Some(address) = &notify.webhook else { return Ok(()) };
    let url = secret_ref::resolve_address(address).await?;
    let body = record.to_json().into_bytes();
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let (id, at) = (message_id(record), Timestamp::now().as_second());
    if let Some(secret) = &notify.webhook_secret {
        let secret = secret_ref::resolve_secret(secret).await?;
        headers.push(("webhook-signature", signature(&secret, (&id, at), &body)));
    }
    headers.extend([("webhook-id", id), ("webhook-timestamp", at.to_string())]);
    courier.post(PostRequest { url, headers, body }).await
}

/// Returns what tells this message from every other.
fn message_id(record: &RunRecord) -> String {
    let what = format!("{}/{}/{}/{}", record.host, record.pid, record.batch, record.began);
    format!("msg_{}", &blake3::hash(what.as_bytes()).to_hex()[..24])
}

fn signature(secret: &SecretString, (id, at): (&str, i64), body: &[u8]) -> String {
    let secret = secret.expose_secret();
    let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
    let key = key.unwrap_or_else(|| secret.as_bytes().to_vec());
    let mut signed = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    signed.update(format!("{id}.{at}.").as_bytes());
    signed.update(body);
    format!("v1,{}", STANDARD.encode(signed.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn it_is_signed_as_the_specification_says() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signed = signature(
            &secret,
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330),
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
