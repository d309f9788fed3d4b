//! Telling people, and what watches over them, how a run ended: exactly one message per run on
//! each way that the batch file names.
//!
//! Everything is bounded in time, nothing is repeated (a message that may have come through is not
//! sent again), and nothing that goes wrong changes the run: it is a [`Notice`] that says so.
//! Invariant: no secret, and of an address at most the host, is in what is returned.

mod command;
mod email;
mod heartbeat;
mod message;
mod secret_ref;
mod slack;
mod webhook;

use std::time::Instant;

use tokio::task::JoinSet;

use crate::batch::{NotifyCondition, NotifySettings};
use crate::http::HttpPoster;
use crate::report::{NotificationRecord, RunRecord};

pub use heartbeat::HeartbeatPing;

/// One way to tell, with what it needs.
#[derive(Clone, Copy, Debug)]
enum NotifyChannel {
    Command,
    Webhook,
    Slack,
    Email,
    Heartbeat,
}

impl NotifyChannel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Email => "email",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// Returns the channels on which a run is told of.
    fn enabled_channels(notify: &NotifySettings, record: &RunRecord) -> Vec<Self> {
        let wanted = match notify.when {
            NotifyCondition::Always => true,
            NotifyCondition::OnFailure => message::should_alert(record),
            NotifyCondition::Never => false,
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

    async fn send(self, notify: &NotifySettings, record: &RunRecord) -> Result<(), String> {
        let courier = || {
            let made = HttpPoster::new(notify.timeout);
            made.map_err(|_| "this machine has no usable TLS".to_owned())
        };
        match self {
            Self::Command => command::run_command(&notify.command, record).await,
            Self::Webhook => webhook::send(notify, record, &courier()?).await,
            Self::Slack => slack::send(notify, record, &courier()?).await,
            Self::Email => email::send(notify, record).await,
            Self::Heartbeat => heartbeat::ping_end(notify, record, &courier()?).await,
        }
    }
}

/// Tells of a run on every way that is due, all at once, and returns what came of each. `leave`
/// ends the waiting.
pub async fn send_notifications(
    notify: &NotifySettings,
    record: &RunRecord,
    leave: impl Future<Output = ()>,
) -> Vec<NotificationRecord> {
    let due = NotifyChannel::enabled_channels(notify, record);
    let begun = Instant::now();
    let mut told: Vec<NotificationRecord> = due
        .iter()
        .map(|channel| notification_record(*channel, begun, Err("it was left at once".into())))
        .collect();
    let mut tasks = JoinSet::new();
    for (place, channel) in due.into_iter().enumerate() {
        let (notify, record) = (notify.clone(), record.clone());
        tasks.spawn(async move {
            let limited = tokio::time::timeout(notify.timeout, channel.send(&notify, &record));
            let outcome = limited.await;
            (place, channel, outcome.unwrap_or_else(|_| Err("it took too long".to_owned())))
        });
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Ok((place, channel, outcome)) = ended {
                told[place] = notification_record(channel, begun, outcome);
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = leave => {}
    }
    told
}

fn notification_record(
    channel: NotifyChannel,
    begun: Instant,
    outcome: Result<(), String>,
) -> NotificationRecord {
    let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let (sent, words) = match outcome {
        Ok(()) => (true, None),
        Err(words) => (false, Some(words)),
    };
    NotificationRecord { channel: channel.as_str(), sent, words, seconds }
}
