//! `auth/token` and `GET auth`.
//!
//! Tokens are shaped like the vendor's JWTs (HS256; `appId`, `platform`, `iat`, `exp`) but signed
//! with nothing: the studio knows them by heart. Claims are in the client's time, so that `exp` is
//! true for whoever reads it, however fast the virtual clock runs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, Text};
use super::{Answer, Call, Desk, Outcome, Problem};
use crate::sandbox::clock::{millis, wall_ms};
use crate::sandbox::switches::Refusal;
use crate::sandbox::world::Entry;
use crate::sandbox::{APP_ID, USER_KEY};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TokenBody {
    app_id: Text,
    user_key: Text,
}

impl Desk<'_> {
    pub(super) fn give_token(&mut self, call: &Call) -> Outcome {
        let body: TokenBody = body::read(&call.body)?;
        let (Some(app_id), Some(user_key)) = (body.app_id.0, body.user_key.0) else {
            return Err(Problem::bad("appId and userKey are required"));
        };
        let auth = &self.switches.auth;
        let known = auth.accept_any || (app_id == APP_ID && user_key == USER_KEY);
        if !known || auth.revoked {
            let problem = Problem::new(401, 4011, "appId or userKey is wrong");
            return Err(match auth.bad_credentials {
                Refusal::Http401 => problem,
                Refusal::SuccessFalse => problem.under_200(),
            });
        }
        let settings = &self.switches.token;
        let expires = self.now.saturating_add(millis(settings.ttl_s));
        let token = self.write_token(&app_id);
        self.world.forget_tokens(self.now);
        let alone = settings.single_active;
        self.commit(vec![Entry::Token { token: token.clone(), expires, alone }])?;
        Ok(Answer::data(json!({ "token": token })))
    }

    fn write_token(&self, app_id: &str) -> String {
        let settings = &self.switches.token;
        // Two ids differ in every bit, so two tokens of one second still differ.
        let secret = [self.world.fresh_id("token", self.now), self.world.fresh_id("key", self.now)];
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

    pub(super) fn confirm(&self, call: &Call) -> Answer {
        let body = json!({ "isAuthenticated": self.is_good(call.token.as_deref()) });
        if self.switches.auth.confirm_flat { Answer::json(200, &body) } else { Answer::data(body) }
    }
}
