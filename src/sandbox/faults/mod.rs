//! Faults on demand: which, where, and how often.
//!
//! A rule is `NAME`, `NAME=WHEN` or `NAME=WHERE:WHEN`, with `@PARAM` at the end for the few that
//! take one; rules are separated by commas or spaces, so that `_` stands for a space in a parameter. `WHEN` is `5%` (sampled), `3` (the first
//! three), `+3` (all but the first three) or `always`. `WHERE` is an endpoint or one of `any`,
//! `writes`, `paid`, `reads`. So `lost-answer=export:3, truncate=download:20%`.
//!
//! This module parses rules; `sampler` decides which one applies. Neither causes anything.

mod fault_kinds;
mod sampler;

pub use fault_kinds::FaultKind;
pub(super) use fault_kinds::{
    BodyCorruption, ConnectionFault, EndpointGroup, FalseAnswer, FaultEffect, FaultParam,
    ListAlteration, MalformedHttp, RenderFate, ReplacementResponse, RequestWork,
};
pub(super) use sampler::{FaultRecord, FaultSampler, InjectedFault};

use std::fmt;

use super::endpoint::SandboxEndpoint;

/// When a rule applies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FaultTrigger {
    Always,
    /// A share of all requests, 0 to 1.
    Fraction(f64),
    First(u64),
    After(u64),
}

/// Where a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultScope {
    Group(EndpointGroup),
    Endpoint(SandboxEndpoint),
}

impl FaultScope {
    fn has_endpoint(self, endpoint: SandboxEndpoint) -> bool {
        match self {
            Self::Endpoint(one) => one == endpoint,
            Self::Group(EndpointGroup::Any) => endpoint != SandboxEndpoint::Download,
            Self::Group(EndpointGroup::Writes) => endpoint.is_project_write(),
            Self::Group(EndpointGroup::Paid) => endpoint.can_start_render(),
            Self::Group(EndpointGroup::Reads) => {
                matches!(
                    endpoint,
                    SandboxEndpoint::List | SandboxEndpoint::Project | SandboxEndpoint::Progress
                )
            }
            Self::Group(EndpointGroup::Token) => endpoint == SandboxEndpoint::Token,
            Self::Group(EndpointGroup::Downloads) => endpoint == SandboxEndpoint::Download,
            Self::Group(EndpointGroup::Only(one)) => one == endpoint,
            Self::Group(EndpointGroup::Connections) => false,
        }
    }
}

/// The text after `@`, or the fault's own default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FaultArgument {
    Nothing,
    Number(u64),
    Word(&'static str),
    /// A status that declines, and the words of the response if they are given.
    Decline {
        status: u16,
        words: Option<String>,
    },
}

#[derive(Clone, Debug)]
struct FaultRule {
    kind: &'static FaultKind,
    text: String,
    scope: FaultScope,
    trigger: FaultTrigger,
    argument: FaultArgument,
}

/// The active fault rules.
#[derive(Clone, Debug, Default)]
pub struct FaultRules {
    rules: Vec<FaultRule>,
}

/// Why a rule is rejected.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("`{name}` is not a known fault{}", hint(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error(
        "`{text}` is not a condition of `{name}`: use `5%`, `3` for the first three, `+3` for \
         all but the first three, or `always`"
    )]
    InvalidTrigger { name: &'static str, text: String },
    #[error(
        "`{place}` in the rule for `{name}` is not an endpoint: use any, writes, paid, reads or {}",
        SandboxEndpoint::ALL.map(SandboxEndpoint::as_str).join(", ")
    )]
    InvalidScope { name: &'static str, place: String },
    #[error("`{text}` after `@` does not fit `{name}`, which takes {takes}")]
    InvalidArgument { name: &'static str, text: String, takes: String },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(
        || "; see the list in the command's help".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}

impl FaultRules {
    /// All known faults, each with a one-line description.
    pub const KINDS: &'static [FaultKind] = fault_kinds::FAULT_KINDS;

    /// Parses rules.
    ///
    /// # Errors
    /// The first rule that cannot be parsed, as a message for its author.
    pub fn parse(spec: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        faults.add(spec)?;
        Ok(faults)
    }

    /// Adds rules to these; earlier rules have priority. Adds nothing when one cannot be parsed.
    ///
    /// # Errors
    /// As [`FaultRules::parse`].
    pub fn add(&mut self, spec: &str) -> Result<(), FaultError> {
        let words = spec.split([',', ' ', '\n', '\t']).filter(|word| !word.is_empty());
        let rules: Vec<FaultRule> = words.map(parse_rule).collect::<Result<_, _>>()?;
        self.rules.extend(rules);
        Ok(())
    }

    /// Returns the number of renders after which credits run out, if a rule says so.
    pub(super) fn renders_max(&self) -> Option<u64> {
        let gone = |rule: &&FaultRule| rule.kind.effect == FaultEffect::ExhaustCredits;
        self.rules.iter().find(gone).map(|rule| match rule.trigger {
            FaultTrigger::First(renders) | FaultTrigger::After(renders) => renders,
            FaultTrigger::Always | FaultTrigger::Fraction(_) => 0,
        })
    }
}

impl fmt::Display for FaultRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.rules.iter().map(|rule| rule.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}

fn parse_rule(text: &str) -> Result<FaultRule, FaultError> {
    let (head, param) = match text.split_once('@') {
        Some((head, param)) => (head, Some(param)),
        None => (text, None),
    };
    let (name, when) = head.split_once('=').unwrap_or((head, "always"));
    let known = find_kind(name)?;
    let (scope, amount) = parse_scope_and_trigger(known, when)?;
    Ok(FaultRule {
        kind: known,
        text: text.to_owned(),
        scope,
        trigger: amount,
        argument: parse_argument(known, param)?,
    })
}

fn find_kind(name: &str) -> Result<&'static FaultKind, FaultError> {
    if let Some(known) = FaultRules::KINDS.iter().find(|known| known.name == name) {
        return Ok(known);
    }
    let close = |known: &&FaultKind| strsim::damerau_levenshtein(known.name, name);
    let nearest = FaultRules::KINDS.iter().min_by_key(close).filter(|known| close(known) <= 3);
    Err(FaultError::Unknown { name: name.to_owned(), nearest: nearest.map(|known| known.name) })
}

fn parse_scope_and_trigger(
    known: &'static FaultKind,
    when: &str,
) -> Result<(FaultScope, FaultTrigger), FaultError> {
    let own = FaultScope::Group(known.default_group);
    match when.split_once(':') {
        Some((place, amount)) => Ok((parse_scope(known, place)?, parse_trigger(known, amount)?)),
        // `refuse=export` alone: the text is an endpoint, if there is one of that name.
        None => match parse_trigger(known, when) {
            Ok(amount) => Ok((own, amount)),
            Err(error) => match parse_scope(known, when) {
                Ok(scope) => Ok((scope, FaultTrigger::Always)),
                Err(_) => Err(error),
            },
        },
    }
}

fn parse_scope(known: &'static FaultKind, place: &str) -> Result<FaultScope, FaultError> {
    let group = match place {
        "any" => Some(EndpointGroup::Any),
        "writes" => Some(EndpointGroup::Writes),
        "paid" => Some(EndpointGroup::Paid),
        "reads" => Some(EndpointGroup::Reads),
        _ => None,
    };
    let one = || {
        SandboxEndpoint::ALL.into_iter().find(|one| one.as_str() == place).map(FaultScope::Endpoint)
    };
    let fixed = matches!(known.default_group, EndpointGroup::Connections);
    match group.map(FaultScope::Group).or_else(one) {
        Some(scope) if !fixed => Ok(scope),
        Some(_) | None => {
            Err(FaultError::InvalidScope { name: known.name, place: place.to_owned() })
        }
    }
}

fn parse_trigger(known: &'static FaultKind, text: &str) -> Result<FaultTrigger, FaultError> {
    let error = || FaultError::InvalidTrigger { name: known.name, text: text.to_owned() };
    if text == "always" {
        return Ok(FaultTrigger::Always);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().map_err(|_| error())?;
        let fits = (0.0..=100.0).contains(&percent);
        return if fits { Ok(FaultTrigger::Fraction(percent / 100.0)) } else { Err(error()) };
    }
    let digits = text.strip_prefix('+');
    // `u64` would accept a second plus sign.
    let count = digits.unwrap_or(text);
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    let count = count.parse().map_err(|_| error())?;
    Ok(if digits.is_some() { FaultTrigger::After(count) } else { FaultTrigger::First(count) })
}

fn parse_argument(
    known: &'static FaultKind,
    text: Option<&str>,
) -> Result<FaultArgument, FaultError> {
    let refused = |takes: String| FaultError::InvalidArgument {
        name: known.name,
        text: text.unwrap_or_default().to_owned(),
        takes,
    };
    match (known.param, text) {
        (FaultParam::None, None) => Ok(FaultArgument::Nothing),
        (FaultParam::None, Some(_)) => Err(refused("nothing".to_owned())),
        (FaultParam::Number(default, _), None) => Ok(FaultArgument::Number(default)),
        (FaultParam::Number(_, unit), Some(text)) => text
            .parse()
            .map(FaultArgument::Number)
            .map_err(|_| refused(format!("a whole number ({unit})"))),
        (FaultParam::Word(words), None) => Ok(FaultArgument::Word(words[0])),
        (FaultParam::Word(words), Some(text)) => words
            .iter()
            .find(|word| **word == text)
            .map(|word| FaultArgument::Word(word))
            .ok_or_else(|| refused(words.join(", "))),
        (FaultParam::Decline(statuses), text) => parse_decline(statuses, text.unwrap_or_default())
            .ok_or_else(|| {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                refused(format!("{}, each with `:WORDS` if needed", statuses.join(", ")))
            }),
    }
}

/// Parses `STATUS` or `STATUS:WORDS`; an underscore stands for a space, which would end the rule.
fn parse_decline(statuses: &[u16], text: &str) -> Option<FaultArgument> {
    let (status, words) = match text.split_once(':') {
        Some((status, words)) => (status, Some(words.replace('_', " "))),
        None => (text, None),
    };
    let status = if status.is_empty() { statuses[0] } else { status.parse().ok()? };
    let is_known = statuses.contains(&status) && words.as_deref() != Some("");
    is_known.then_some(FaultArgument::Decline { status, words })
}

#[cfg(test)]
mod tests;
