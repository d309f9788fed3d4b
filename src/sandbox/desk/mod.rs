//! The studio's front desk: every endpoint as a plain function from a request to an answer.
//!
//! No sockets, no waiting, no faults: those belong to the server around it. A desk is opened for
//! one request while the world is held still, so whatever it does happens at one virtual moment.
//!
//! Invariant: an answer that says something was done is returned only after it was committed.

mod answer;
mod body;
mod catalogue;
mod check;
mod download;
mod edit;
mod exports;
mod generated;
mod projects;
mod tokens;

pub(super) use answer::{Answer, Problem};
pub(super) use projects::state_of;

use axum::body::Bytes;

use super::endpoint::Endpoint;
use super::films::Links;
use super::switches::{Refusal, Switches};
use super::world::{Entry, Render, World};

/// A request that has found its endpoint.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    /// The id in the path, or nothing.
    pub(super) key: String,
    /// What stands after the `?`.
    pub(super) query: String,
    /// The `Authorization` header as it came.
    pub(super) token: Option<String>,
    pub(super) body: Bytes,
    /// `Range` and `If-Range`, of downloads alone.
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
}

/// The desk, open for one request.
pub(super) struct Desk<'a> {
    pub(super) world: &'a mut World,
    pub(super) switches: &'a Switches,
    pub(super) links: &'a Links,
    /// Virtual epoch milliseconds.
    pub(super) now: i64,
    /// How many virtual seconds pass in a real one.
    pub(super) scale: f64,
    pub(super) renders_max: Option<u64>,
    /// Renders that this request has started.
    pub(super) started: Vec<Render>,
}

type Outcome = Result<Answer, Problem>;

impl Desk<'_> {
    /// Answers one request.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let outcome = self.admit(call).and_then(|()| self.dispatch(call));
        outcome.unwrap_or_else(|problem| problem.answer(&self.switches.errors))
    }

    fn dispatch(&mut self, call: &Call) -> Outcome {
        match call.endpoint {
            Endpoint::Token => self.give_token(call),
            Endpoint::Auth => Ok(self.confirm(call)),
            Endpoint::Create => self.create(call),
            Endpoint::List => Ok(self.list()),
            Endpoint::Project => self.read(call),
            Endpoint::Edit => self.edit(call),
            Endpoint::Delete => self.delete(call),
            Endpoint::Export => self.export(call),
            Endpoint::Progress => self.progress(call),
            Endpoint::SimpleVideo | Endpoint::SimpleCustom => self.simple(call),
            Endpoint::Template => self.make_from_template(call),
            Endpoint::ScriptsToVideo => self.generate(call, "scripts"),
            Endpoint::TopicToVideo => self.generate(call, "topic"),
            Endpoint::UrlToVideo => self.generate(call, "url"),
            Endpoint::AutomationProgress => self.generation(call),
            Endpoint::Model => self.model_page(),
            Endpoint::Models => Ok(self.models()),
            Endpoint::Workspaces => Ok(self.workspaces()),
            Endpoint::TemplatesBusiness => Ok(self.templates_business()),
            Endpoint::TemplatesAutomation => Ok(self.templates_automation()),
            Endpoint::Download => self.download(call),
        }
    }

    /// Lets in who carries a good token, and everybody to where none is needed.
    fn admit(&self, call: &Call) -> Result<(), Problem> {
        let asks_itself = matches!(call.endpoint, Endpoint::Token | Endpoint::Download)
            || (call.endpoint == Endpoint::Auth && self.switches.auth.confirm_says_false);
        if asks_itself || self.is_good(call.token.as_deref()) {
            return Ok(());
        }
        let problem = Problem::invalid_token();
        Err(match self.switches.auth.bad_token {
            Refusal::Http401 => problem,
            Refusal::SuccessFalse => problem.under_200(),
        })
    }

    fn is_good(&self, header: Option<&str>) -> bool {
        let Some(header) = header else { return false };
        let token = match header.strip_prefix("Bearer ") {
            Some(token) if self.switches.auth.accept_bearer => token,
            Some(_) | None => header,
        };
        !self.switches.auth.revoked
            && self.world.token_ends(token).is_some_and(|ends| self.now < ends)
    }

    /// Makes it so, and remembers which renders that started.
    fn commit(&mut self, entries: Vec<Entry>) -> Result<(), Problem> {
        let mut started = Vec::new();
        for entry in &entries {
            if let Entry::Render(render) = entry {
                started.push(render.as_ref().clone());
            }
        }
        self.world.commit(entries)?;
        self.started.extend(started);
        Ok(())
    }
}
