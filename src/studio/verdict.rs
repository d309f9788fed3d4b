//! A meaning together with the exchange it was read from, turned into what callers get.
//!
//! Two ways out: an [`Answer`] for calls that may cost money, where doubt is kept, and a `Result`
//! for free ones, where doubt is just another failure. Redaction happens on the way.

use super::{
    answer::{AccountKind, AccountTrouble, Answer, Doubt, Refusal, RefusalKind},
    meaning::{Meaning, Reply},
    trouble::Trouble,
    vendor_words::Words,
    wire::{Exchange, Wire},
};

/// What an exchange means.
pub(super) struct Verdict<T> {
    pub(super) meaning: Meaning<T>,
    pub(super) exchange: Exchange,
}

impl<T> Verdict<T> {
    /// Reads on in a success; what cannot be read is a doubt.
    pub(super) fn read<U>(self, read: impl FnOnce(T) -> Result<U, Doubt>) -> Verdict<U> {
        Verdict { meaning: self.meaning.read(read), exchange: self.exchange }
    }

    /// Returns the answer to a call that may cost money.
    pub(super) fn into_answer(self, wire: &Wire) -> Answer<T> {
        let exchange = &self.exchange;
        match self.meaning {
            Meaning::Succeeded(value) => Answer::Accepted(value),
            Meaning::NotSent(reason) => Answer::NotSent(reason),
            Meaning::Refused(kind, words) => Answer::Refused(refusal(kind, words, exchange, wire)),
            Meaning::Token(words) => {
                Answer::Account(account(AccountKind::CredentialsRefused, words, exchange, wire))
            }
            Meaning::Account(kind, words) => Answer::Account(account(kind, words, exchange, wire)),
            Meaning::SlowDown => Answer::SlowDown {
                retry_after: exchange.reply().and_then(Reply::retry_after),
                heard: exchange.heard(wire),
            },
            Meaning::Moved => Answer::Moved { to: moved_to(exchange, wire) },
            Meaning::Unknown(doubt, _words_are_in_the_body) => {
                Answer::Unknown(exchange.evidence(doubt, wire))
            }
        }
    }

    /// Returns the result of a free call.
    pub(super) fn into_result(self, wire: &Wire) -> Result<T, Trouble> {
        match self.into_answer(wire) {
            Answer::Accepted(value) => Ok(value),
            Answer::NotSent(reason) => Err(Trouble::Unreachable(reason)),
            Answer::Refused(refusal) => Err(Trouble::Refused(refusal)),
            Answer::Account(trouble) => Err(Trouble::Account(trouble)),
            Answer::SlowDown { retry_after, heard } => {
                Err(Trouble::SlowDown { retry_after, heard })
            }
            Answer::Moved { to } => Err(Trouble::Moved { to }),
            Answer::Unknown(evidence) => Err(Trouble::Broken(evidence)),
        }
    }

    /// Returns the result of a free call about one project, which may not be there.
    pub(super) fn into_result_about_one(self, wire: &Wire) -> Result<T, Trouble> {
        let gone = self.exchange.status() == Some(410);
        self.into_result(wire).map_err(|trouble| match trouble {
            Trouble::Refused(refusal) if refusal.kind == RefusalKind::NotFound => Trouble::NotFound,
            Trouble::Broken(_) if gone => Trouble::NotFound,
            Trouble::Unreachable(_)
            | Trouble::SlowDown { .. }
            | Trouble::Account(_)
            | Trouble::NotFound
            | Trouble::Refused(_)
            | Trouble::Moved { .. }
            | Trouble::Broken(_) => trouble,
        })
    }
}

fn refusal(kind: RefusalKind, words: Words, exchange: &Exchange, wire: &Wire) -> Refusal {
    let heard = exchange.heard(wire);
    let shown = wire.shown(&words.text);
    Refusal {
        kind,
        words: if shown.is_empty() {
            format!("HTTP {} without words", heard.status)
        } else {
            shown
        },
        code: words.code.map(|code| wire.shown(&code)),
        heard,
    }
}

pub(super) fn account(
    kind: AccountKind,
    words: Words,
    exchange: &Exchange,
    wire: &Wire,
) -> AccountTrouble {
    AccountTrouble { kind, words: wire.shown(&words.text), heard: exchange.heard(wire) }
}

fn moved_to(exchange: &Exchange, wire: &Wire) -> Option<String> {
    exchange.reply()?.location.as_deref().map(|to| wire.shown_url(to))
}
