//! The access token of an account: requested on demand, renewed before it expires.
//!
//! A token is valid for 24 h (docs/internals/vendor-api.md, "Access token"). It is renewed at 80 % of
//! its lifetime, by wall time or by awake time, whichever comes first, so that neither a clock
//! change nor a suspended machine leaves an expired token in use. Its signature is not verified;
//! only its expiry is read.
//!
//! Another command of the same account may request a token, and AI Studios may end ours with that. So
//! a young token that worked and is refused is renewed at growing intervals: in between, the other
//! command works, and both finish.
//!
//! Invariants: concurrent callers that need a token cause one request; no failure here starts a loop.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{Method, header::HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::call_error::{CallError, TransientCause};
use super::classify::{self, Classification, ClassifiedExchange};
use super::envelope::{self, ParsedEnvelope};
use super::exchange::{ApiCall, ApiTransport, V3Endpoint};
use super::settings::{Credentials, is_valid_header_value};
use super::submit_outcome::{AccountRefusalKind, RefusalKind, UnknownReason};
use crate::http::{NotSentKind, NotSentReason};

/// The lifetime of a token that does not contain one.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The wait after a failed renewal while the old token is still valid.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(60);

/// A token that is refused when it is younger than this was ended by another one.
const ENDED_EARLY: Duration = Duration::from_secs(60);
/// The shortest and the longest interval between renewals of tokens that are ended early.
const CONTENDED_RENEWAL_MIN: Duration = Duration::from_secs(1);
const CONTENDED_RENEWAL_MAX: Duration = Duration::from_secs(30);
/// Fresh tokens refused in a row after which the credentials are to blame.
const FRESH_REFUSALS_MAX: u64 = 5;
/// The same before any token has worked.
const FIRST_REFUSALS_MAX: u64 = 3;

/// An access token, ready to be sent. Its generation grows with each new one.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) header: HeaderValue,
    generation: u64,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken({})", self.generation)
    }
}

/// The token of one account.
pub(super) struct TokenCache {
    credentials: Credentials,
    /// The number of completed token requests. A caller that waited for the lock while one
    /// completed uses its result.
    completed_requests: AtomicU64,
    /// The newest generation that an endpoint accepted; 0: none.
    accepted_generation: AtomicU64,
    /// Fresh tokens refused in a row.
    fresh_refusals: AtomicU64,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    current: Option<(AccessToken, TokenLifetime)>,
    /// The result of the last token request, unless its token was refused since.
    last_result: Option<Result<AccessToken, CallError>>,
    /// No renewal before this awake time.
    renewal_paused_until: Duration,
    /// No renewal of a token that was ended early before this awake time, and the interval to the
    /// next.
    contended_until: Duration,
    contended_interval: Duration,
}

/// When a token was obtained, on both clocks, and for how long it is valid.
#[derive(Clone, Copy, Debug)]
struct TokenLifetime {
    obtained_at: Timestamp,
    awake_when_obtained: Duration,
    duration: Duration,
}

impl TokenLifetime {
    /// Returns the age of the token, by the clock that shows more.
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

impl AccessToken {
    /// Returns the pause before another token is requested: different for each command.
    pub(super) fn retry_pause(&self) -> Duration {
        let random = blake3::hash(self.header.as_bytes()).as_bytes()[1];
        Duration::from_millis(50 + u64::from(random))
    }
}

impl TokenState {
    /// Admits the renewal of `refused`, at growing intervals if it was ended early.
    fn limit_renewals(
        &mut self,
        is_early: bool,
        refused: &AccessToken,
        awake: Duration,
    ) -> Result<(), CallError> {
        if !is_early {
            self.contended_interval = Duration::ZERO;
            return Ok(());
        }
        if awake < self.contended_until {
            return Err(CallError::Transient {
                cause: TransientCause::Unusable(UnknownReason::UnclassifiedStatus),
                message: "the access token was refused: another command of this account may have \
                          requested one; it is renewed soon"
                    .to_owned(),
                retry_after: None,
            });
        }
        let doubled = self.contended_interval * 2;
        self.contended_interval = doubled.clamp(CONTENDED_RENEWAL_MIN, CONTENDED_RENEWAL_MAX);
        // Two commands in step would end each other's tokens all the time; tokens are random.
        let part = f64::from(blake3::hash(refused.header.as_bytes()).as_bytes()[0]) / 255.0;
        self.contended_until = awake + self.contended_interval.mul_f64(0.5 + part);
        Ok(())
    }
}

impl TokenCache {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            completed_requests: AtomicU64::new(0),
            accepted_generation: AtomicU64::new(0),
            fresh_refusals: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Returns a token that should be valid.
    ///
    /// # Errors
    /// There is no valid token, and none could be obtained.
    pub(super) async fn current(&self, transport: &ApiTransport) -> Result<AccessToken, CallError> {
        let completed_before = self.completed_requests.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let (now, awake) = (transport.clock.now(), transport.clock.awake_time());
        let valid = state.current.clone().filter(|(_, lifetime)| !lifetime.is_expired(now, awake));
        if let Some((token, lifetime)) = &valid
            && (!lifetime.is_renewal_due(now, awake) || awake < state.renewal_paused_until)
        {
            return Ok(token.clone());
        }
        match (self.renew(&mut state, completed_before, transport).await, valid) {
            (Ok(token), _) => Ok(token),
            (Err(error), None) => Err(error),
            (Err(error), Some((token, _))) => {
                state.renewal_paused_until = transport.clock.awake_time() + RENEWAL_RETRY_DELAY;
                tracing::warn!("the access token could not be renewed yet: {error}");
                Ok(token)
            }
        }
    }

    /// Returns the whole lifetime of the current token.
    pub(super) async fn current_lifetime(&self) -> Option<Duration> {
        self.state.lock().await.current.as_ref().map(|(_, lifetime)| lifetime.duration)
    }

    /// Notes that an endpoint accepted `token`.
    pub(super) fn note_accepted(&self, token: &AccessToken) {
        self.accepted_generation.fetch_max(token.generation, Ordering::SeqCst);
        self.fresh_refusals.store(0, Ordering::SeqCst);
    }

    /// Returns whether an endpoint accepted `token` before.
    pub(super) fn was_accepted(&self, token: &AccessToken) -> bool {
        self.accepted_generation.load(Ordering::SeqCst) >= token.generation
    }

    /// Notes that a fresh token was refused. Returns whether the credentials are to blame, and not
    /// another command that requested a token in between.
    pub(super) fn note_fresh_refusal(&self, token: &AccessToken) -> bool {
        let has_worked = self.accepted_generation.load(Ordering::SeqCst) > 0;
        let in_row = self.fresh_refusals.fetch_add(1, Ordering::SeqCst) + 1;
        let most = if has_worked { FRESH_REFUSALS_MAX } else { FIRST_REFUSALS_MAX };
        !self.was_accepted(token) && in_row >= most
    }

    /// Returns a token to use after `refused` was refused: a newer one, if there is one already.
    ///
    /// # Errors
    /// No other token could be obtained, or none may be requested yet.
    pub(super) async fn replace_refused(
        &self,
        refused: &AccessToken,
        transport: &ApiTransport,
    ) -> Result<AccessToken, CallError> {
        let completed_before = self.completed_requests.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        match &state.current {
            Some((token, _)) if token.generation > refused.generation => return Ok(token.clone()),
            Some((_, lifetime)) => {
                let (now, awake) = (transport.clock.now(), transport.clock.awake_time());
                let is_early =
                    self.was_accepted(refused) && lifetime.elapsed(now, awake) < ENDED_EARLY;
                state.limit_renewals(is_early, refused, awake)?;
                (state.current, state.last_result) = (None, None);
            }
            None => {}
        }
        self.renew(&mut state, completed_before, transport).await
    }

    /// Requests a token, unless a request completed since `completed_before`: then its result is
    /// returned.
    async fn renew(
        &self,
        state: &mut TokenState,
        completed_before: u64,
        transport: &ApiTransport,
    ) -> Result<AccessToken, CallError> {
        let completed = self.completed_requests.load(Ordering::SeqCst);
        if let Some(result) = &state.last_result
            && completed > completed_before
        {
            return result.clone();
        }
        let result = self.request_token(transport, completed + 1).await;
        let result = result.map(|(token, lifetime)| {
            state.current = Some((token.clone(), lifetime));
            state.renewal_paused_until = Duration::ZERO;
            token
        });
        state.last_result = Some(result.clone());
        self.completed_requests.store(completed + 1, Ordering::SeqCst);
        result
    }

    async fn request_token(
        &self,
        transport: &ApiTransport,
        generation: u64,
    ) -> Result<(AccessToken, TokenLifetime), CallError> {
        let body = json!({
            "appId": self.credentials.app_id(),
            "userKey": self.credentials.user_key(),
        });
        let call = ApiCall {
            body: Some(body.to_string().into()),
            ..ApiCall::free(Method::POST, V3Endpoint::Token)
        };
        let exchange = ClassifiedExchange::new(transport.exchange(&call, None).await);
        let text = into_token_result(exchange.and_then(parse_token), transport)?;
        transport.redactor.add_token(&text);
        let now = transport.clock.now();
        let lifetime = TokenLifetime {
            obtained_at: now,
            awake_when_obtained: transport.clock.awake_time(),
            duration: parse_lifetime(&text, now),
        };
        let mut header =
            HeaderValue::from_str(&text).expect("`parse_token` returns only printable ASCII");
        header.set_sensitive(true);
        Ok((AccessToken { header, generation }, lifetime))
    }
}

/// Parses the token in the response. One that cannot be sent in a header is rejected.
fn parse_token(said: ParsedEnvelope) -> Result<String, UnknownReason> {
    let data = said.data();
    envelope::first_text(data, &["token", "accessToken", "access_token"])
        .or_else(|| data.as_str())
        .filter(|text| !text.is_empty() && is_valid_header_value(text))
        .map(str::to_owned)
        .ok_or(UnknownReason::Incomplete)
}

/// Converts the exchange, where failures mean something else at this endpoint: the mistake is nearly
/// always in the credentials.
fn into_token_result(
    mut exchange: ClassifiedExchange<String>,
    transport: &ApiTransport,
) -> Result<String, CallError> {
    match &exchange.classification {
        Classification::Refused(RefusalKind::NotFound, text)
            if exchange.exchange.status() == Some(404) && text.text.is_empty() =>
        {
            let message = format!("`{}` has no token endpoint: check `base_url`", transport.host());
            let reason = NotSentReason { kind: NotSentKind::NoToken, message };
            exchange.classification = Classification::NotSent(reason);
        }
        Classification::TokenRefused(text)
        | Classification::Refused(_, text)
        | Classification::Unknown(UnknownReason::UnclearMessage, text) => {
            let kind = AccountRefusalKind::CredentialsRefused;
            let message = classify::account_message(kind, text, transport);
            return Err(CallError::Account { kind, message });
        }
        Classification::Succeeded(_)
        | Classification::NotSent(_)
        | Classification::Account(..)
        | Classification::RateLimited
        | Classification::Moved
        | Classification::Unknown(..) => {}
    }
    exchange.into_result(transport)
}

/// Returns the lifetime of `token`. Issue and expiry are both by the vendor's clock, so that their
/// difference is right even if our own clock is wrong.
fn parse_lifetime(token: &str, now: Timestamp) -> Duration {
    let claims: Option<Map<String, Value>> =
        jsonwebtoken::dangerous::insecure_decode_claims(token).ok();
    let claims = Value::Object(claims.unwrap_or_default());
    let Some(expiry) = envelope::first_number(&claims, &["exp"]) else { return ASSUMED_LIFETIME };
    let issue = envelope::first_number(&claims, &["iat"]).unwrap_or(now.as_second() as f64);
    let seconds = expiry - issue;
    // A token that had expired when it was issued shows a wrong clock, not its lifetime.
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
    fn the_lifetime_of_a_token_is_its_own_or_a_day() {
        let seconds = Duration::from_secs;
        for (token, lifetime) in [
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
            assert_eq!(parse_lifetime(&token, NOW), lifetime, "{token}");
        }
    }

    #[test]
    fn a_token_is_renewed_by_the_clock_that_shows_more() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let lifetime =
            TokenLifetime { obtained_at: NOW, awake_when_obtained: hours(1), duration: hours(24) };
        for (wall, awake, is_due, is_expired) in [
            (0, 1, false, false),
            (19, 20, false, false),
            (20, 1, true, false),    // suspended
            (-500, 21, true, false), // the clock was set back
            (0, 25, true, true),
            (24, 1, true, true),
            (24 * 365, 1, true, true), // the clock was set forward
        ] {
            let now = NOW + i64::from(wall).hours();
            assert_eq!(lifetime.is_renewal_due(now, hours(awake)), is_due, "{wall} {awake}");
            assert_eq!(lifetime.is_expired(now, hours(awake)), is_expired, "{wall} {awake}");
        }
    }

    /// Returns a transport to a port where nothing listens, and a token that is `age` old.
    fn unreachable_api(age: Duration) -> (ApiTransport, TokenCache) {
        let credentials = Credentials::new("app-canary", "key-canary").unwrap();
        let base_url = "http://127.0.0.1:1".parse().unwrap();
        let settings = ClientSettings::new(base_url, credentials.clone());
        let transport = ApiTransport::new(&settings, Clock::real()).unwrap();
        let token = AccessToken { header: HeaderValue::from_static("old"), generation: 7 };
        let since = transport.clock.now() - jiff::SignedDuration::try_from(age).unwrap();
        let lifetime = TokenLifetime {
            obtained_at: since,
            awake_when_obtained: Duration::ZERO,
            duration: ASSUMED_LIFETIME,
        };
        let state = TokenState { current: Some((token, lifetime)), ..TokenState::default() };
        let tokens = TokenCache {
            credentials,
            completed_requests: AtomicU64::new(7),
            accepted_generation: AtomicU64::new(0),
            fresh_refusals: AtomicU64::new(0),
            state: Mutex::new(state),
        };
        (transport, tokens)
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_renewed_is_used_until_it_expires() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let (transport, tokens) = unreachable_api(hours(1));
        assert_eq!(tokens.current(&transport).await.unwrap().generation, 7);
        assert_eq!(tokens.completed_requests.load(Ordering::SeqCst), 7, "it is not due yet");

        let (transport, tokens) = unreachable_api(hours(23));
        for _ in 0..3 {
            assert_eq!(tokens.current(&transport).await.unwrap().generation, 7);
            assert_eq!(
                tokens.completed_requests.load(Ordering::SeqCst),
                8,
                "one try, and then a pause"
            );
        }
        let refused = tokens.current(&transport).await.unwrap();
        let error = tokens.replace_refused(&refused, &transport).await.unwrap_err();
        assert!(matches!(error, CallError::Transient { .. }), "{error:?}");
        assert!(tokens.current(&transport).await.is_err(), "a refused token is not used again");

        let (transport, tokens) = unreachable_api(hours(25));
        assert!(matches!(tokens.current(&transport).await, Err(CallError::Transient { .. })));
    }

    /// Two commands of one account would end each other's tokens all the time.
    #[test]
    fn tokens_that_are_ended_early_are_renewed_ever_more_rarely() {
        let mut state = TokenState::default();
        let mut admitted = |second: u64, is_early: bool| {
            let header = HeaderValue::from_str(&second.to_string()).unwrap();
            let refused = AccessToken { header, generation: 1 };
            state.limit_renewals(is_early, &refused, Duration::from_secs(second)).is_ok()
        };
        let early = (0..600).filter(|second| admitted(*second, true)).count();
        assert!((10..60).contains(&early), "{early} in ten minutes");
        assert!((600..700).all(|second| admitted(second, false)), "they had worked for long");
    }

    proptest! {
        #[test]
        fn any_token_has_a_lifetime_between_a_second_and_a_month(
            token in ".{0,80}", exp in any::<f64>(),
        ) {
            for token in [token, jwt(&format!(r#"{{"exp":{exp}}}"#))] {
                let lifetime = parse_lifetime(&token, NOW);
                prop_assert!(lifetime >= Duration::from_secs(1));
                prop_assert!(lifetime <= Duration::from_secs(30 * 86_400));
            }
        }
    }
}
