//! Faults on demand: what goes wrong, where, and how often.
//!
//! A rule is `NAME`, `NAME=WHEN` or `NAME=WHERE:WHEN`, with `@PARAM` at the end for the few that
//! take one; rules are separated by commas or spaces. `WHEN` is `5%` (drawn), `3` (the first
//! three), `+3` (all but the first three) or `always`. `WHERE` is an endpoint or one of `any`,
//! `writes`, `paid`, `reads`. So `lost-answer=export:3, truncate=download:20%`.
//!
//! This module reads rules and, in `draw`, says which one strikes; it causes nothing.

mod draw;
mod known;

pub(super) use draw::{Drawn, Draws, Happened};
pub use known::Known;
pub(super) use known::{Break, Effect, Garble, Group, Page, Param, Raw, Work};

use std::fmt;

use super::endpoint::Endpoint;

/// When a rule applies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Always,
    /// A part of all requests, 0 to 1.
    Share(f64),
    First(u64),
    After(u64),
}

/// Where a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Group(Group),
    One(Endpoint),
}

impl Scope {
    fn holds(self, endpoint: Endpoint) -> bool {
        match self {
            Self::One(one) => one == endpoint,
            Self::Group(Group::Any) => endpoint != Endpoint::Download,
            Self::Group(Group::Writes) => endpoint.makes_a_project(),
            Self::Group(Group::Paid) => endpoint.can_cost(),
            Self::Group(Group::Reads) => {
                matches!(endpoint, Endpoint::List | Endpoint::Project | Endpoint::Progress)
            }
            Self::Group(Group::Token) => endpoint == Endpoint::Token,
            Self::Group(Group::Connections) => false,
        }
    }
}

/// What stood after `@`, or the fault's own default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Nothing,
    Number(u64),
    Word(&'static str),
}

#[derive(Clone, Debug)]
struct Rule {
    known: &'static Known,
    text: String,
    scope: Scope,
    amount: Amount,
    given: Given,
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("`{name}` is not a known fault{}", hint(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error(
        "`{text}` does not say when `{name}` happens: use `5%`, `3` for the first three, `+3` for \
         all but the first three, or `always`"
    )]
    When { name: &'static str, text: String },
    #[error(
        "`{place}` in the rule for `{name}` is not an endpoint: use any, writes, paid, reads or {}",
        Endpoint::ALL.map(Endpoint::word).join(", ")
    )]
    Place { name: &'static str, place: String },
    #[error("`{text}` after `@` is nothing that `{name}` can take: it takes {takes}")]
    Param { name: &'static str, text: String, takes: String },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(
        || "; the command's help lists them all".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}

impl Faults {
    /// Every fault there is, with a line about each.
    pub const KNOWN: &'static [Known] = known::KNOWN;

    /// Reads rules.
    ///
    /// # Errors
    /// The first rule that cannot be read, in words for the person who wrote it.
    pub fn parse(spec: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        faults.add(spec)?;
        Ok(faults)
    }

    /// Adds rules to these; earlier rules are asked first. Adds nothing when one cannot be read.
    ///
    /// # Errors
    /// As [`Faults::parse`].
    pub fn add(&mut self, spec: &str) -> Result<(), FaultError> {
        let words = spec.split([',', ' ', '\n', '\t']).filter(|word| !word.is_empty());
        let rules: Vec<Rule> = words.map(read_rule).collect::<Result<_, _>>()?;
        self.rules.extend(rules);
        Ok(())
    }

    /// Returns the number of renders after which credits are gone, if a rule says so.
    pub(super) fn renders_max(&self) -> Option<u64> {
        let gone = |rule: &&Rule| rule.known.effect == Effect::CreditsGone;
        self.rules.iter().find(gone).map(|rule| match rule.amount {
            Amount::First(renders) | Amount::After(renders) => renders,
            Amount::Always | Amount::Share(_) => 0,
        })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.rules.iter().map(|rule| rule.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}

fn read_rule(text: &str) -> Result<Rule, FaultError> {
    let (head, param) = match text.split_once('@') {
        Some((head, param)) => (head, Some(param)),
        None => (text, None),
    };
    let (name, when) = head.split_once('=').unwrap_or((head, "always"));
    let known = find_known(name)?;
    let (scope, amount) = read_when(known, when)?;
    Ok(Rule { known, text: text.to_owned(), scope, amount, given: read_param(known, param)? })
}

fn find_known(name: &str) -> Result<&'static Known, FaultError> {
    if let Some(known) = Faults::KNOWN.iter().find(|known| known.name == name) {
        return Ok(known);
    }
    let close = |known: &&Known| strsim::damerau_levenshtein(known.name, name);
    let nearest = Faults::KNOWN.iter().min_by_key(close).filter(|known| close(known) <= 3);
    Err(FaultError::Unknown { name: name.to_owned(), nearest: nearest.map(|known| known.name) })
}

fn read_when(known: &'static Known, when: &str) -> Result<(Scope, Amount), FaultError> {
    let own = Scope::Group(known.group);
    match when.split_once(':') {
        Some((place, amount)) => Ok((read_place(known, place)?, read_amount(known, amount)?)),
        // `refuse=export` alone: the word is a place, if it is one.
        None => match read_amount(known, when) {
            Ok(amount) => Ok((own, amount)),
            Err(error) => match read_place(known, when) {
                Ok(scope) => Ok((scope, Amount::Always)),
                Err(_) => Err(error),
            },
        },
    }
}

fn read_place(known: &'static Known, place: &str) -> Result<Scope, FaultError> {
    let group = match place {
        "any" => Some(Group::Any),
        "writes" => Some(Group::Writes),
        "paid" => Some(Group::Paid),
        "reads" => Some(Group::Reads),
        _ => None,
    };
    let one = || Endpoint::ALL.into_iter().find(|one| one.word() == place).map(Scope::One);
    let fixed = matches!(known.group, Group::Connections);
    match group.map(Scope::Group).or_else(one) {
        Some(scope) if !fixed => Ok(scope),
        Some(_) | None => Err(FaultError::Place { name: known.name, place: place.to_owned() }),
    }
}

fn read_amount(known: &'static Known, text: &str) -> Result<Amount, FaultError> {
    let error = || FaultError::When { name: known.name, text: text.to_owned() };
    if text == "always" {
        return Ok(Amount::Always);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().map_err(|_| error())?;
        let fits = (0.0..=100.0).contains(&percent);
        return if fits { Ok(Amount::Share(percent / 100.0)) } else { Err(error()) };
    }
    let digits = text.strip_prefix('+');
    // `u64` would read a second plus sign.
    let count = digits.unwrap_or(text);
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    let count = count.parse().map_err(|_| error())?;
    Ok(if digits.is_some() { Amount::After(count) } else { Amount::First(count) })
}

fn read_param(known: &'static Known, text: Option<&str>) -> Result<Given, FaultError> {
    let refused = |takes: String| FaultError::Param {
        name: known.name,
        text: text.unwrap_or_default().to_owned(),
        takes,
    };
    match (known.param, text) {
        (Param::None, None) => Ok(Given::Nothing),
        (Param::None, Some(_)) => Err(refused("nothing".to_owned())),
        (Param::Number(default, _), None) => Ok(Given::Number(default)),
        (Param::Number(_, unit), Some(text)) => {
            text.parse().map(Given::Number).map_err(|_| refused(format!("a whole number ({unit})")))
        }
        (Param::Word(words), None) => Ok(Given::Word(words[0])),
        (Param::Word(words), Some(text)) => words
            .iter()
            .find(|word| **word == text)
            .map(|word| Given::Word(word))
            .ok_or_else(|| refused(words.join(", "))),
    }
}

#[cfg(test)]
mod tests;
