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
    answer::{AccountKind, Doubt, Reason, ReasonKind, RefusalKind},
    envelope::{self, Said},
    meaning::{self, Meaning},
    settings::{Credentials, is_header_safe},
    trouble::Trouble,
    verdict::{self, Verdict},
    wire::{Call, Endpoint, Lane, Sink, Wire},
};

/// What a token that does not tell is taken to live.
const LIFE_ASSUMED: Duration = Duration::from_secs(24 * 3600);
/// After a renewal that failed while the old token still holds, the next try is this far off.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// An access token, ready to be sent. Its number grows with each new one.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    number: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

/// Keeps the token of one account.
pub(super) struct Tokens {
    credentials: Credentials,
    /// Requests for a token that have come to an end, so that one which ends while others wait
    /// for their turn is theirs as well.
    ended: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<(Token, Life)>,
    /// How the last request for a token went, unless its token was refused since.
    last: Option<Result<Token, Trouble>>,
    /// No renewal before this reading of awake time.
    paused_until: Duration,
}

/// When a token was had, on both clocks, and for how long it is good.
#[derive(Clone, Copy, Debug)]
struct Life {
    since: Timestamp,
    since_awake: Duration,
    length: Duration,
}

impl Life {
    /// Returns how much of the life is over, by the clock that has gone further.
    fn spent(&self, now: Timestamp, awake: Duration) -> Duration {
        let wall = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        wall.max(awake.saturating_sub(self.since_awake))
    }

    fn is_over(&self, now: Timestamp, awake: Duration) -> bool {
        self.spent(now, awake) >= self.length
    }

    fn is_due(&self, now: Timestamp, awake: Duration) -> bool {
        self.spent(now, awake) >= self.length.mul_f64(0.8)
    }
}

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, ended: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Returns a token that should be good.
    ///
    /// # Errors
    /// None is held that could still be good, and none was to be had.
    pub(super) async fn current(&self, wire: &Wire) -> Result<Token, Trouble> {
        let asked = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let (now, awake) = (wire.clock.now(), wire.clock.awake());
        let held = state.held.clone().filter(|(_, life)| !life.is_over(now, awake));
        if let Some((token, life)) = &held
            && (!life.is_due(now, awake) || awake < state.paused_until)
        {
            return Ok(token.clone());
        }
        match (self.renew(&mut state, asked, wire).await, held) {
            (Ok(token), _) => Ok(token),
            (Err(trouble), None) => Err(trouble),
            (Err(trouble), Some((token, _))) => {
                state.paused_until = wire.clock.awake() + RENEWAL_PAUSE;
                tracing::warn!("the access token could not be renewed yet: {trouble}");
                Ok(token)
            }
        }
    }

    /// Returns how long the token that is held lives from its beginning.
    pub(super) async fn life(&self) -> Option<Duration> {
        self.state.lock().await.held.as_ref().map(|(_, life)| life.length)
    }

    /// Returns a token to use after `refused` was refused. If a newer one is held already, that.
    ///
    /// # Errors
    /// No other token was to be had.
    pub(super) async fn after_refusal_of(
        &self,
        refused: &Token,
        wire: &Wire,
    ) -> Result<Token, Trouble> {
        let asked = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        match &state.held {
            Some((token, _)) if token.number > refused.number => return Ok(token.clone()),
            Some(_) => (state.held, state.last) = (None, None),
            None => {}
        }
        self.renew(&mut state, asked, wire).await
    }

    /// Asks for a token, unless a request ended since `asked`; then its news is ours.
    async fn renew(&self, state: &mut State, asked: u64, wire: &Wire) -> Result<Token, Trouble> {
        let ended = self.ended.load(Ordering::SeqCst);
        if let Some(outcome) = &state.last
            && ended > asked
        {
            return outcome.clone();
        }
        let outcome = self.fetch(wire, ended + 1).await;
        let outcome = outcome.map(|(token, life)| {
            state.held = Some((token.clone(), life));
            state.paused_until = Duration::ZERO;
            token
        });
        state.last = Some(outcome.clone());
        self.ended.store(ended + 1, Ordering::SeqCst);
        outcome
    }

    async fn fetch(&self, wire: &Wire, number: u64) -> Result<(Token, Life), Trouble> {
        let body = json!({
            "appId": self.credentials.app_id(),
            "userKey": self.credentials.user_key(),
        });
        let call = Call {
            lane: Lane::Free,
            method: Method::POST,
            endpoint: Endpoint::Token,
            body: Some(body.to_string().into()),
            sink: Sink::Secret,
        };
        let exchange = wire.exchange(&call, None).await;
        let meaning = meaning::of(&exchange.outcome).read(token_text);
        let text = judge(Verdict { meaning, exchange }, wire)?;
        wire.redactor.learn(&text);
        let (since, since_awake) = (wire.clock.now(), wire.clock.awake());
        let life = Life { since, since_awake, length: life_of(&text, since) };
        let mut header =
            HeaderValue::from_str(&text).expect("`token_text` passes only printable ASCII");
        header.set_sensitive(true);
        Ok((Token { header, number }, life))
    }
}

/// Reads the answer's token. One that cannot stand in a header as it is, is none.
fn token_text(said: Said) -> Result<String, Doubt> {
    let data = said.data();
    envelope::text(data, &["token", "accessToken", "access_token"])
        .or_else(|| data.as_str())
        .filter(|text| !text.is_empty() && is_header_safe(text))
        .map(str::to_owned)
        .ok_or(Doubt::Incomplete)
}

/// Reads a failure as this end point means it: what is wrong here is nearly always the credentials.
fn judge(verdict: Verdict<String>, wire: &Wire) -> Result<String, Trouble> {
    let Verdict { meaning, exchange } = verdict;
    let meaning = match meaning {
        Meaning::Refused(RefusalKind::NotFound, words)
            if exchange.status() == Some(404) && words.text.is_empty() =>
        {
            let words = format!("`{}` has no token end point: check `base_url`", wire.host());
            Meaning::NotSent(Reason { kind: ReasonKind::NoToken, words })
        }
        Meaning::Token(words)
        | Meaning::Refused(_, words)
        | Meaning::Unknown(Doubt::Unclear, words) => {
            let kind = AccountKind::CredentialsRefused;
            return Err(Trouble::Account(verdict::account(kind, words, &exchange, wire)));
        }
        Meaning::Succeeded(_)
        | Meaning::NotSent(_)
        | Meaning::Account(..)
        | Meaning::SlowDown
        | Meaning::Moved
        | Meaning::Unknown(..) => meaning,
    };
    Verdict { meaning, exchange }.into_result(wire)
}

/// Returns how long `token` lives. Issue and expiry are both the vendor's readings, so that their
/// difference holds whatever our own clock says.
fn life_of(token: &str, now: Timestamp) -> Duration {
    let claims: Option<Map<String, Value>> =
        jsonwebtoken::dangerous::insecure_decode_claims(token).ok();
    let claims = Value::Object(claims.unwrap_or_default());
    let Some(expiry) = envelope::number(&claims, &["exp"]) else { return LIFE_ASSUMED };
    let issue = envelope::number(&claims, &["iat"]).unwrap_or(now.as_second() as f64);
    let seconds = expiry - issue;
    // A token that was dead when it was handed out says that a clock is wrong, not when it ends.
    if seconds < 1.0 {
        return LIFE_ASSUMED;
    }
    Duration::try_from_secs_f64(seconds.min(30.0 * 86_400.0)).unwrap_or(LIFE_ASSUMED)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;
    use crate::{clock::Clock, studio::settings::Settings};

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
            (jwt(r#"{"iat":1760086400,"exp":1760000000}"#), LIFE_ASSUMED),
            (jwt(r#"{"exp":-5}"#), LIFE_ASSUMED),
            (jwt("{}"), LIFE_ASSUMED),
            (jwt("[]"), LIFE_ASSUMED),
            ("opaque".into(), LIFE_ASSUMED),
            ("a.b.c".into(), LIFE_ASSUMED),
            ("..".into(), LIFE_ASSUMED),
        ] {
            assert_eq!(life_of(&token, NOW), life, "{token}");
        }
    }

    #[test]
    fn a_token_is_renewed_by_the_clock_that_goes_further() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let life = Life { since: NOW, since_awake: hours(1), length: hours(24) };
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
            assert_eq!(life.is_due(now, hours(awake)), due, "{wall} {awake}");
            assert_eq!(life.is_over(now, hours(awake)), over, "{wall} {awake}");
        }
    }

    /// A client's insides, with a token that is `age` old, and nobody at the other end.
    fn alone(age: Duration) -> (Wire, Tokens) {
        let credentials = Credentials::new("app-canary", "key-canary").unwrap();
        let base_url = "http://127.0.0.1:1".parse().unwrap();
        let settings = Settings::new(base_url, credentials.clone());
        let wire = Wire::new(&settings, Clock::real()).unwrap();
        let token = Token { header: HeaderValue::from_static("old"), number: 7 };
        let since = wire.clock.now() - jiff::SignedDuration::try_from(age).unwrap();
        let life = Life { since, since_awake: Duration::ZERO, length: LIFE_ASSUMED };
        let state = State { held: Some((token, life)), ..State::default() };
        let tokens = Tokens { credentials, ended: AtomicU64::new(7), state: Mutex::new(state) };
        (wire, tokens)
    }

    #[tokio::test]
    async fn an_old_token_goes_on_until_its_end_when_no_new_one_is_to_be_had() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let (wire, tokens) = alone(hours(1));
        assert_eq!(tokens.current(&wire).await.unwrap().number, 7);
        assert_eq!(tokens.ended.load(Ordering::SeqCst), 7, "it is not due yet");

        let (wire, tokens) = alone(hours(23));
        for _ in 0..3 {
            assert_eq!(tokens.current(&wire).await.unwrap().number, 7);
            assert_eq!(tokens.ended.load(Ordering::SeqCst), 8, "one try, and then a pause");
        }
        let refused = tokens.current(&wire).await.unwrap();
        let trouble = tokens.after_refusal_of(&refused, &wire).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Unreachable(_)), "{trouble:?}");
        assert!(tokens.current(&wire).await.is_err(), "a refused token is not used again");

        let (wire, tokens) = alone(hours(25));
        assert!(matches!(tokens.current(&wire).await, Err(Trouble::Unreachable(_))));
    }

    proptest! {
        #[test]
        fn any_text_lives_between_a_second_and_a_month(
            token in ".{0,80}", exp in any::<f64>(),
        ) {
            for token in [token, jwt(&format!(r#"{{"exp":{exp}}}"#))] {
                let life = life_of(&token, NOW);
                prop_assert!(life >= Duration::from_secs(1));
                prop_assert!(life <= Duration::from_secs(30 * 86_400));
            }
        }
    }
}
