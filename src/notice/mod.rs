//! Telling people, and what watches over them, how a run ended: exactly one message per run on
//! each way that the batch file names.
//!
//! Everything is bounded in time, nothing is repeated (a message that may have come through is not
//! sent again), and nothing that goes wrong changes the run: it is a [`Notice`] that says so.
//! Invariant: no secret, and of an address at most the host, is in what is returned.

mod command;
mod email;
mod heartbeat;
mod hidden;
mod slack;
mod webhook;
mod words;

use std::time::Instant;

use tokio::task::JoinSet;

use crate::batch::{Notify, When};
use crate::report::{Notice, RunRecord};
use crate::studio::Courier;

pub use heartbeat::Heartbeat;

/// One way to tell, with what it needs.
#[derive(Clone, Copy, Debug)]
enum Channel {
    Command,
    Webhook,
    Slack,
    Email,
    Heartbeat,
}

impl Channel {
    fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Email => "email",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// Returns the channels on which a run is told of.
    fn due(notify: &Notify, record: &RunRecord) -> Vec<Self> {
        let wanted = match notify.when {
            When::Always => true,
            When::OnFailure => words::needs_somebody(record),
            When::Never => false,
        };
        let given = [
            (Self::Command, !notify.command.is_empty() && wanted),
            (Self::Webhook, notify.webhook.is_some() && wanted),
            (Self::Slack, notify.slack.is_some() && wanted),
            (Self::Email, notify.email.is_some() && wanted),
            (Self::Heartbeat, notify.heartbeat_url.is_some()),
        ];
        given.into_iter().filter(|(_, is_due)| *is_due).map(|(channel, _)| channel).collect()
    }

    async fn tell(self, notify: &Notify, record: &RunRecord) -> Result<(), String> {
        let courier = || {
            let made = Courier::new(notify.timeout);
            made.map_err(|_| "this machine has no usable TLS".to_owned())
        };
        match self {
            Self::Command => command::run(&notify.command, record).await,
            Self::Webhook => webhook::send(notify, record, &courier()?).await,
            Self::Slack => slack::send(notify, record, &courier()?).await,
            Self::Email => email::send(notify, record).await,
            Self::Heartbeat => heartbeat::end(notify, record, &courier()?).await,
        }
    }
}

/// Tells of a run on every way that is due, all at once, and returns what came of each. `leave`
/// ends the waiting.
pub async fn tell(
    notify: &Notify,
    record: &RunRecord,
    leave: impl Future<Output = ()>,
) -> Vec<Notice> {
    let due = Channel::due(notify, record);
    let begun = Instant::now();
    let mut told: Vec<Notice> = due
        .iter()
        .map(|channel| notice(*channel, begun, Err("it was left at once".into())))
        .collect();
    let mut tasks = JoinSet::new();
    for (place, channel) in due.into_iter().enumerate() {
        let (notify, record) = (notify.clone(), record.clone());
        tasks.spawn(async move {
            let limited = tokio::time::timeout(notify.timeout, channel.tell(&notify, &record));
            let outcome = limited.await;
            (place, channel, outcome.unwrap_or_else(|_| Err("it took too long".to_owned())))
        });
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Ok((place, channel, outcome)) = ended {
                told[place] = notice(channel, begun, outcome);
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = leave => {}
    }
    told
}

fn notice(channel: Channel, begun: Instant, outcome: Result<(), String>) -> Notice {
    let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let (sent, words) = match outcome {
        Ok(()) => (true, None),
        Err(words) => (false, Some(words)),
    };
    Notice { channel: channel.word(), sent, words, seconds }
}
