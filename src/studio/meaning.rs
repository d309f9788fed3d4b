//! What an answer means: the one place where it is decided.
//!
//! A pure function from what the wire gave to what it says about the request. Everything hangs on
//! one question, *could the service have taken this request?*, and it is answered with "perhaps"
//! unless the answer itself rules it out. It does no I/O, reads no clock, keeps nothing.
//!
//! Invariants: only a whole 2xx that says `success: true` ever succeeds with a paid call; nothing
//! that the service may have taken is ever called not sent, refused, or to be repeated.

use std::time::Duration;

use super::{
    answer::{AccountKind, Doubt, Reason, RefusalKind},
    envelope::{Claim, IdFound, Said},
    project::ProjectId,
    retry_after,
    vendor_words::{Subject, Words},
};

#[cfg(test)]
mod tests;

/// What the wire gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Not a byte of the request left.
    NotSent(Reason),
    /// The request left, at least in part, and no answer began.
    Lost(Lost),
    /// An answer began.
    Replied(Reply),
}

/// How an answer failed to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The total time passed.
    TimedOut,
    /// The connection broke, or what came was not HTTP.
    Broken,
}

/// An answer, as far as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Vec<String>,
    pub(super) date: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) ending: Ending,
}

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Where it should.
    Whole,
    /// The connection broke.
    Cut,
    /// The total time passed.
    TimedOut,
    /// At our own limit.
    TooLarge,
}

/// What an answer means for the request it answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning<T> {
    /// It did what was asked.
    Succeeded(T),
    /// It never left.
    NotSent(Reason),
    /// It was turned down for what it asks.
    Refused(RefusalKind, Words),
    /// It was turned down for the token it carried.
    Token(Words),
    /// It was turned down for who asks.
    Account(AccountKind, Words),
    /// It was turned down for coming too soon.
    SlowDown,
    /// It was sent to the wrong host.
    Moved,
    /// It may have been taken.
    Unknown(Doubt, Words),
}

impl Reply {
    /// Returns how long the server asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after::read(self.retry_after.iter().map(String::as_str), self.date.as_deref())
    }

    fn is_html(&self) -> bool {
        let typed = self.content_type.as_deref().unwrap_or("").to_ascii_lowercase();
        let start = self.body.trim_ascii_start();
        let tagged = start.get(..5).is_some_and(|start| {
            start.eq_ignore_ascii_case(b"<!doc") || start.eq_ignore_ascii_case(b"<html")
        });
        typed.contains("text/html") || tagged
    }

    fn words(&self) -> Words {
        if let Some(said) = Said::parse(&self.body) {
            return Words::of_json(said.root());
        }
        if self.is_html() || self.ending != Ending::Whole {
            return Words::default();
        }
        Words::of_text(&String::from_utf8_lossy(&self.body))
    }

    /// Says whether the words `"success": true` stand in the body, even if it is cut or garbled.
    fn claims_success(&self) -> bool {
        const CLAIM: &[u8] = b"\"success\":true";
        let dense: Vec<u8> = self
            .body
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace() && **byte != 0)
            .map(u8::to_ascii_lowercase)
            .collect();
        dense.windows(CLAIM.len()).any(|window| window == CLAIM)
    }
}

/// Says what `outcome` means for the request.
pub(super) fn of(outcome: &Outcome) -> Meaning<Said> {
    match outcome {
        Outcome::NotSent(reason) => Meaning::NotSent(reason.clone()),
        Outcome::Lost(Lost::TimedOut) => unknown(Doubt::TimedOut),
        Outcome::Lost(Lost::Broken) => unknown(Doubt::ConnectionLost),
        Outcome::Replied(reply) => by_status(reply),
    }
}

fn by_status(reply: &Reply) -> Meaning<Said> {
    match reply.status {
        200..=299 => success_status(reply),
        // Checked before any work is done, so the status alone decides, unless the body objects.
        401 => turned_away(reply, Gate::Token),
        402 => turned_away(reply, Gate::Payment),
        403 => turned_away(reply, Gate::Permission),
        429 => turned_away(reply, Gate::Rate),
        400 | 404 | 405 | 411 | 413..=415 | 422 | 431 => rejected(reply),
        301..=303 => unknown(Doubt::Redirected),
        307 | 308 => Meaning::Moved,
        500..=599 => Meaning::Unknown(Doubt::ServerError, reply.words()),
        // 408, 409 and 425 by name, since gateways misuse them; the rest because nobody documents
        // them.
        0..=199
        | 300
        | 304..=306
        | 309..=399
        | 406..=410
        | 412
        | 416..=421
        | 423..=428
        | 430
        | 432..=499
        | 600..=u16::MAX => Meaning::Unknown(Doubt::OddStatus, reply.words()),
    }
}

/// What a request is held up to before it is looked at.
enum Gate {
    Token,
    Payment,
    Permission,
    Rate,
}

fn turned_away(reply: &Reply, gate: Gate) -> Meaning<Said> {
    if reply.claims_success() {
        return unknown(Doubt::Contradiction);
    }
    let words = reply.words();
    let (credits, token) = (words.concern_credits(), words.concern_token());
    match gate {
        Gate::Token => Meaning::Token(words),
        Gate::Payment => Meaning::Account(AccountKind::NoCredits, words),
        Gate::Permission | Gate::Rate if credits => Meaning::Account(AccountKind::NoCredits, words),
        Gate::Permission if words.may_follow_acceptance() => {
            Meaning::Unknown(Doubt::OwnTrouble, words)
        }
        // Some gateways say 403 of a token that has run out.
        Gate::Permission if token => Meaning::Token(words),
        Gate::Permission => Meaning::Account(AccountKind::Forbidden, words),
        Gate::Rate => Meaning::SlowDown,
    }
}

/// A 4xx that turns a request down on inspection, which only a complete answer proves.
fn rejected(reply: &Reply) -> Meaning<Said> {
    if reply.claims_success() {
        return unknown(Doubt::Contradiction);
    }
    if let Some(doubt) = unfinished(reply.ending) {
        return unknown(doubt);
    }
    let words = reply.words();
    // "Already being exported": it may have been this request that was taken, or the one before.
    if words.may_follow_acceptance() {
        return Meaning::Unknown(Doubt::OwnTrouble, words);
    }
    if words.concern_credits() {
        return Meaning::Account(AccountKind::NoCredits, words);
    }
    if words.concern_token() {
        return Meaning::Token(words);
    }
    let kind = match (reply.status, words.subject()) {
        (_, Subject::Rate) => return Meaning::SlowDown,
        (404, _) | (_, Subject::NotFound) => RefusalKind::NotFound,
        (413 | 414 | 431, _) => RefusalKind::TooLarge,
        (
            _,
            Subject::OwnTrouble
            | Subject::Token
            | Subject::Credits
            | Subject::Plan
            | Subject::Validation
            | Subject::Unclear,
        ) => RefusalKind::Validation,
    };
    Meaning::Refused(kind, words)
}

fn success_status(reply: &Reply) -> Meaning<Said> {
    if let Some(doubt) = unfinished(reply.ending) {
        return unknown(doubt);
    }
    let Some(said) = Said::parse(&reply.body) else {
        return unknown(if reply.is_html() { Doubt::Html } else { Doubt::NotJson });
    };
    match said.success {
        Claim::Yes | Claim::Silent => Meaning::Succeeded(said),
        Claim::No => reported_failure(&said),
    }
}

/// `success: false` under a 2xx: only its words can say that nothing was taken.
fn reported_failure(said: &Said) -> Meaning<Said> {
    let words = Words::of_json(said.root());
    match said.project_id() {
        IdFound::No => {}
        IdFound::Yes(_) | IdFound::Implausible => {
            return Meaning::Unknown(Doubt::Contradiction, words);
        }
    }
    match words.subject() {
        Subject::OwnTrouble => Meaning::Unknown(Doubt::OwnTrouble, words),
        Subject::Token => Meaning::Token(words),
        Subject::Credits => Meaning::Account(AccountKind::NoCredits, words),
        Subject::Rate => Meaning::SlowDown,
        Subject::Plan => Meaning::Account(AccountKind::Forbidden, words),
        Subject::NotFound => Meaning::Refused(RefusalKind::NotFound, words),
        Subject::Validation => Meaning::Refused(RefusalKind::Validation, words),
        Subject::Unclear => Meaning::Unknown(Doubt::Unclear, words),
    }
}

fn unfinished(ending: Ending) -> Option<Doubt> {
    match ending {
        Ending::Whole => None,
        Ending::Cut => Some(Doubt::Cut),
        Ending::TimedOut => Some(Doubt::TimedOut),
        Ending::TooLarge => Some(Doubt::TooLarge),
    }
}

fn unknown<T>(doubt: Doubt) -> Meaning<T> {
    Meaning::Unknown(doubt, Words::default())
}

impl<T> Meaning<T> {
    /// Reads on in a success; what cannot be read makes it unknown.
    pub(super) fn read<U>(self, read: impl FnOnce(T) -> Result<U, Doubt>) -> Meaning<U> {
        match self {
            Self::Succeeded(said) => match read(said) {
                Ok(value) => Meaning::Succeeded(value),
                Err(doubt) => unknown(doubt),
            },
            Self::NotSent(reason) => Meaning::NotSent(reason),
            Self::Refused(kind, words) => Meaning::Refused(kind, words),
            Self::Token(words) => Meaning::Token(words),
            Self::Account(kind, words) => Meaning::Account(kind, words),
            Self::SlowDown => Meaning::SlowDown,
            Self::Moved => Meaning::Moved,
            Self::Unknown(doubt, words) => Meaning::Unknown(doubt, words),
        }
    }
}

/// Reads the answer to a create: it must say `success: true` and name the new project.
pub(super) fn created(said: Said) -> Result<ProjectId, Doubt> {
    match (said.success, said.project_id()) {
        (Claim::Yes, IdFound::Yes(id)) => Ok(id),
        (Claim::Yes | Claim::No | Claim::Silent, _) => Err(Doubt::Incomplete),
    }
}

/// Reads the answer to an export: it must say `success: true`. The id may be missing, since it
/// adds nothing to the one that was asked for, but an error or nonsense in its place may not.
pub(super) fn exported(said: Said) -> Result<Option<ProjectId>, Doubt> {
    match (said.success, said.project_id()) {
        (Claim::Yes, IdFound::Yes(id)) => Ok(Some(id)),
        (Claim::Yes, IdFound::No) if !said.reports_error() && said.data().is_object() => Ok(None),
        (Claim::Yes | Claim::No | Claim::Silent, _) => Err(Doubt::Incomplete),
    }
}
