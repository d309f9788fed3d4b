//! The access token: had when needed, renewed before it ends, asked for by one caller at a time.
//!
//! A token lives for 24 h (vendor reference, `auth` page). It is renewed at 80 % of its life, by
//! wall time or by time awake, whichever comes first, so that neither a jump of the clock nor a
//! night's sleep of the machine leaves an old one in use. Nothing is verified: the token is the
//! vendor's affair, and only its expiry is read.
//!
//! Invariants: many callers that need a token cause one request; a refused token is not used again;
//! no failure here starts a loop.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{Method, header::HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{
    classify::{self, Classification},
    envelope::{self, ParsedEnvelope},
    error::ApiError,
    exchange::{ApiCall, ApiTransport, BodyHandling, CallCost, V3Endpoint},
    settings::{Credentials, is_valid_header_value},
    submit_outcome::{AccountRefusalKind, NotSentKind, NotSentReason, RefusalKind, UnknownReason},
    verdict::{self, ClassifiedExchange},
};

/// What a token that does not tell is taken to live.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// After a renewal that failed while the old token still holds, the next try is this far off.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(60);

/// An access token, ready to be sent. Its number grows with each new one.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) header: HeaderValue,
    generation: u64,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.generation)
    }
}

/// Keeps the token of one account.
pub(super) struct TokenCache {
    credentials: Credentials,
    /// Requests for a token that have come to an end, so that one which ends while others wait
    /// for their turn is theirs as well.
    completed_requests: AtomicU64,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    current: Option<(AccessToken, TokenLifetime)>,
    /// How the last request for a token went, unless its token was refused since.
    last_result: Option<Result<AccessToken, ApiError>>,
    /// No renewal before this reading of awake time.
    renewal_paused_until: Duration,
}

/// When a token was had, on both clocks, and for how long it is good.
#[derive(Clone, Copy, Debug)]
struct TokenLifetime {
    obtained_at: Timestamp,
    awake_when_obtained: Duration,
    duration: Duration,
}

impl TokenLifetime {
    /// Returns how much of the life is over, by the clock that has gone further.
    fn elapsed(&self, now: Timestamp, awake: Duration) -> Duration {
        let wall = Duration::try_from(now.duration_since(self.obtained_at)).unwrap_or_default();
        wall.max(awake.saturating_sub(self.awake_when_obtained))
    }

    fn is_expired(&self, now: Timestamp, awake: Duration) -> bool {
        self.elapsed(now, awake) >= self.duration
    }

    fn is_renewal_due(&self, now: Timestamp, awake: Duration) -> bool {
        self.elapsed(now, awake) >= self.duration.mul_f64(0.8)
    }
}

impl TokenCache {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, completed_requests: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Returns a token that should be good.
    ///
    /// # Errors
    /// None is held that could still be good, and none was to be had.
    pub(super) async fn current(&self, wire: &ApiTransport) -> Result<AccessToken, ApiError> {
        let asked = self.completed_requests.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let (now, awake) = (wire.clock.now(), wire.clock.awake_time());
        let held = state.current.clone().filter(|(_, life)| !life.is_expired(now, awake));
        if let Some((token, life)) = &held
            && (!life.is_renewal_due(now, awake) || awake < state.renewal_paused_until)
        {
            return Ok(token.clone());
        }
        match (self.renew(&mut state, asked, wire).await, held) {
            (Ok(token), _) => Ok(token),
            (Err(trouble), None) => Err(trouble),
            (Err(trouble), Some((token, _))) => {
                state.renewal_paused_until = wire.clock.awake_time() + RENEWAL_RETRY_DELAY;
                tracing::warn!("the access token could not be renewed yet: {trouble}");
                Ok(token)
            }
        }
    }

    /// Returns how long the token that is held lives from its beginning.
    pub(super) async fn current_lifetime(&self) -> Option<Duration> {
        self.state.lock().await.current.as_ref().map(|(_, life)| life.duration)
    }

    /// Returns a token to use after `refused` was refused. If a newer one is held already, that.
    ///
    /// # Errors
    /// No other token was to be had.
    pub(super) async fn replace_refused(
        &self,
        refused: &AccessToken,
        wire: &ApiTransport,
    ) -> Result<AccessToken, ApiError> {
        let asked = self.completed_requests.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        match &state.current {
            Some((token, _)) if token.generation > refused.generation => return Ok(token.clone()),
            Some(_) => (state.current, state.last_result) = (None, None),
            None => {}
        }
        self.renew(&mut state, asked, wire).await
    }

    /// Asks for a token, unless a request ended since `asked`; then its news is ours.
    async fn renew(
        &self,
        state: &mut TokenState,
        asked: u64,
        wire: &ApiTransport,
    ) -> Result<AccessToken, ApiError> {
        let ended = self.completed_requests.load(Ordering::SeqCst);
        if let Some(outcome) = &state.last_result
            && ended > asked
        {
            return outcome.clone();
        }
        let outcome = self.request_token(wire, ended + 1).await;
        let outcome = outcome.map(|(token, life)| {
            state.current = Some((token.clone(), life));
            state.renewal_paused_until = Duration::ZERO;
            token
        });
        state.last_result = Some(outcome.clone());
        self.completed_requests.store(ended + 1, Ordering::SeqCst);
        outcome
    }

    async fn request_token(
        &self,
        wire: &ApiTransport,
        number: u64,
    ) -> Result<(AccessToken, TokenLifetime), ApiError> {
        let body = json!({
            "appId": self.credentials.app_id(),
            "userKey": self.credentials.user_key(),
        });
        let call = ApiCall {
            cost: CallCost::Free,
            method: Method::POST,
            endpoint: V3Endpoint::Token,
            body: Some(body.to_string().into()),
            body_handling: BodyHandling::Secret,
        };
        let exchange = wire.exchange(&call, None).await;
        let meaning = classify::classify(&exchange.outcome).and_then(parse_token);
        let text =
            into_token_result(ClassifiedExchange { classification: meaning, exchange }, wire)?;
        wire.redactor.add_token(&text);
        let (since, since_awake) = (wire.clock.now(), wire.clock.awake_time());
        let life = TokenLifetime {
            obtained_at: since,
            awake_when_obtained: since_awake,
            duration: parse_lifetime(&text, since),
        };
        let mut header =
            HeaderValue::from_str(&text).expect("`token_text` passes only printable ASCII");
        header.set_sensitive(true);
        Ok((AccessToken { header, generation: number }, life))
    }
}

/// Reads the answer's token. One that cannot stand in a header as it is, is none.
fn parse_token(said: ParsedEnvelope) -> Result<String, UnknownReason> {
    let data = said.data();
    envelope::first_text(data, &["token", "accessToken", "access_token"])
        .or_else(|| data.as_str())
        .filter(|text| !text.is_empty() && is_valid_header_value(text))
        .map(str::to_owned)
        .ok_or(UnknownReason::Incomplete)
}

/// Reads a failure as this end point means it: what is wrong here is nearly always the credentials.
fn into_token_result(
    verdict: ClassifiedExchange<String>,
    wire: &ApiTransport,
) -> Result<String, ApiError> {
    let ClassifiedExchange { classification: meaning, exchange } = verdict;
    let meaning = match meaning {
        Classification::Refused(RefusalKind::NotFound, words)
            if exchange.status() == Some(404) && words.text.is_empty() =>
        {
            let words = format!("`{}` has no token end point: check `base_url`", wire.host());
            Classification::NotSent(NotSentReason { kind: NotSentKind::NoToken, message: words })
        }
        Classification::TokenRefused(words)
        | Classification::Refused(_, words)
        | Classification::Unknown(UnknownReason::UnclearMessage, words) => {
            let kind = AccountRefusalKind::CredentialsRefused;
            return Err(ApiError::Account(verdict::build_account_refusal(
                kind, words, &exchange, wire,
            )));
        }
        Classification::Succeeded(_)
        | Classification::NotSent(_)
        | Classification::Account(..)
        | Classification::RateLimited
        | Classification::Moved
        | Classification::Unknown(..) => meaning,
    };
    ClassifiedExchange { classification: meaning, exchange }.into_result(wire)
}

/// Returns how long `token` lives. Issue and expiry are both the vendor's readings, so that their
/// difference holds whatever our own clock says.
fn parse_lifetime(token: &str, now: Timestamp) -> Duration {
    let claims: Option<Map<String, Value>> =
        jsonwebtoken::dangerous::insecure_decode_claims(token).ok();
    let claims = Value::Object(claims.unwrap_or_default());
    let Some(expiry) = envelope::first_number(&claims, &["exp"]) else { return ASSUMED_LIFETIME };
    let issue = envelope::first_number(&claims, &["iat"]).unwrap_or(now.as_second() as f64);
    let seconds = expiry - issue;
    // A token that was dead when it was handed out says that a clock is wrong, not when it ends.
    if seconds < 1.0 {
        return ASSUMED_LIFETIME;
    }
    Duration::try_from_secs_f64(seconds.min(30.0 * 86_400.0)).unwrap_or(ASSUMED_LIFETIME)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;
    use crate::{aistudios::settings::ClientSettings, clock::Clock};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn jwt(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.sig", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(claims))
    }

    #[test]
    fn a_tokens_life_is_what_it_says_or_a_day() {
        let seconds = Duration::from_secs;
        for (token, life) in [
            (jwt(r#"{"iat":1760000000,"exp":1760086400}"#), seconds(86_400)),
            (jwt(r#"{"iat":1760000000,"exp":1760000005}"#), seconds(5)),
            (jwt(r#"{"exp":3600}"#), seconds(3600)),
            (jwt(r#"{"exp":"3600"}"#), seconds(3600)),
            (jwt(r#"{"iat":0,"exp":1e300}"#), seconds(30 * 86_400)),
            (jwt(r#"{"iat":1760086400,"exp":1760000000}"#), ASSUMED_LIFETIME),
            (jwt(r#"{"exp":-5}"#), ASSUMED_LIFETIME),
            (jwt("{}"), ASSUMED_LIFETIME),
            (jwt("[]"), ASSUMED_LIFETIME),
            ("opaque".into(), ASSUMED_LIFETIME),
            ("a.b.c".into(), ASSUMED_LIFETIME),
            ("..".into(), ASSUMED_LIFETIME),
        ] {
            assert_eq!(parse_lifetime(&token, NOW), life, "{token}");
        }
    }

    #[test]
    fn a_token_is_renewed_by_the_clock_that_goes_further() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let life =
            TokenLifetime { obtained_at: NOW, awake_when_obtained: hours(1), duration: hours(24) };
        for (wall, awake, due, over) in [
            (0, 1, false, false),
            (19, 20, false, false),
            (20, 1, true, false),    // slept
            (-500, 21, true, false), // the clock was put back
            (0, 25, true, true),
            (24, 1, true, true),
            (24 * 365, 1, true, true), // the clock was put forward
        ] {
            let now = NOW + i64::from(wall).hours();
            assert_eq!(life.is_renewal_due(now, hours(awake)), due, "{wall} {awake}");
            assert_eq!(life.is_expired(now, hours(awake)), over, "{wall} {awake}");
        }
    }

    /// A client's insides, with a token that is `age` old, and nobody at the other end.
    fn alone(age: Duration) -> (ApiTransport, TokenCache) {
        let credentials = Credentials::new("app-canary", "key-canary").unwrap();
        let base_url = "http://127.0.0.1:1".parse().unwrap();
        let settings = ClientSettings::new(base_url, credentials.clone());
        let wire = ApiTransport::new(&settings, Clock::real()).unwrap();
        let token = AccessToken { header: HeaderValue::from_static("old"), generation: 7 };
        let since = wire.clock.now() - jiff::SignedDuration::try_from(age).unwrap();
        let life = TokenLifetime {
            obtained_at: since,
            awake_when_obtained: Duration::ZERO,
            duration: ASSUMED_LIFETIME,
        };
        let state = TokenState { current: Some((token, life)), ..TokenState::default() };
        let tokens = TokenCache {
            credentials,
            completed_requests: AtomicU64::new(7),
            state: Mutex::new(state),
        };
        (wire, tokens)
    }

    #[tokio::test]
    async fn an_old_token_goes_on_until_its_end_when_no_new_one_is_to_be_had() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let (wire, tokens) = alone(hours(1));
        assert_eq!(tokens.current(&wire).await.unwrap().generation, 7);
        assert_eq!(tokens.completed_requests.load(Ordering::SeqCst), 7, "it is not due yet");

        let (wire, tokens) = alone(hours(23));
        for _ in 0..3 {
            assert_eq!(tokens.current(&wire).await.unwrap().generation, 7);
            assert_eq!(
                tokens.completed_requests.load(Ordering::SeqCst),
                8,
                "one try, and then a pause"
            );
        }
        let refused = tokens.current(&wire).await.unwrap();
        let trouble = tokens.replace_refused(&refused, &wire).await.unwrap_err();
        assert!(matches!(trouble, ApiError::NotSent(_)), "{trouble:?}");
        assert!(tokens.current(&wire).await.is_err(), "a refused token is not used again");

        let (wire, tokens) = alone(hours(25));
        assert!(matches!(tokens.current(&wire).await, Err(ApiError::NotSent(_))));
    }

    proptest! {
        #[test]
        fn any_text_lives_between_a_second_and_a_month(
            token in ".{0,80}", exp in any::<f64>(),
        ) {
            for token in [token, jwt(&format!(r#"{{"exp":{exp}}}"#))] {
                let life = parse_lifetime(&token, NOW);
                prop_assert!(life >= Duration::from_secs(1));
                prop_assert!(life <= Duration::from_secs(30 * 86_400));
            }
        }
    }
}
