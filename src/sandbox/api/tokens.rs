//! `auth/token` and `GET auth`.
//!
//! Tokens have the shape of the vendor's JWTs (HS256; `appId`, `platform`, `iat`, `exp`) but no valid
//! signature: the sandbox remembers them. Claims are in the client's time, so that `exp` is true for
//! every client, however fast the virtual clock runs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, LooseText};
use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse};
use crate::sandbox::clock::{seconds_to_ms, wall_ms};
use crate::sandbox::vendor_behavior::AuthErrorShape;
use crate::sandbox::world::JournalEntry;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TokenBody {
    app_id: LooseText,
    user_key: LooseText,
}

impl SandboxApi<'_> {
    pub(super) fn issue_token(&mut self, request: &SandboxRequest) -> HandlerResult {
        let body: TokenBody = body::parse_body(&request.body)?;
        let (Some(app_id), Some(user_key)) = (body.app_id.0, body.user_key.0) else {
            return Err(RequestRejection::bad_request("appId and userKey are required"));
        };
        let auth = &self.switches.auth;
        let known = auth.accept_any || self.credentials.includes(&app_id, &user_key);
        if !known || auth.revoked {
            let problem = RequestRejection::new(401, 4011, "appId or userKey is wrong");
            return Err(match auth.bad_credentials {
                AuthErrorShape::Http401 => problem,
                AuthErrorShape::SuccessFalse => problem.with_status_200(),
            });
        }
        let settings = &self.switches.token;
        let expires = self.now.saturating_add(seconds_to_ms(settings.ttl_s));
        let token = self.write_token(&app_id);
        self.world.delete_expired_tokens(self.now);
        let alone = settings.single_active;
        self.commit(vec![JournalEntry::Token { token: token.clone(), expires, alone }])?;
        Ok(SandboxResponse::success(json!({ "token": token })))
    }

    fn write_token(&self, app_id: &str) -> String {
        let settings = &self.switches.token;
        // Two ids differ in every bit, so two tokens of the same second still differ.
        let secret =
            [self.world.generate_id("token", self.now), self.world.generate_id("key", self.now)];
        if settings.opaque {
            return secret.concat();
        }
        let given = wall_ms() / 1000;
        let scale = if self.scale > 0.0 { self.scale } else { 1.0 };
        let life = (settings.ttl_s / scale).ceil().max(1.0) as i64;
        let claims = json!({
            "appId": app_id, "platform": "web", "iat": given, "exp": given.saturating_add(life),
        });
        let signature = blake3::hash(secret.concat().as_bytes());
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!(
            "{}.{}.{}",
            part(br#"{"alg":"HS256","typ":"JWT"}"#),
            part(claims.to_string().as_bytes()),
            part(signature.as_bytes())
        )
    }

    pub(super) fn check_auth(&self, request: &SandboxRequest) -> SandboxResponse {
        let body = json!({ "isAuthenticated": self.is_valid_token(request.token.as_deref()) });
        if self.switches.auth.confirm_flat {
            SandboxResponse::from_json(200, &body)
        } else {
            SandboxResponse::success(body)
        }
    }
}
