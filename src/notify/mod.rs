//! Notifications about the end of a run: exactly one message per run on each channel that the batch
//! file configures.
//!
//! Each is bounded in time, none is repeated (a message that may have arrived is not sent again), and
//! no failure changes the run: it is recorded as a [`NotificationRecord`]. Invariant: a record
//! contains no secret, and of a URL at most the host.

mod command;
mod email;
mod heartbeat;
mod message;
mod proxy;
mod secret_ref;
mod slack;
mod unencrypted_address;
mod webhook;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::batch::{NotifyCondition, NotifySettings};
use crate::clock::Clock;
use crate::http::HttpPoster;
use crate::report::{NotificationRecord, RunRecord};

pub use heartbeat::HeartbeatPing;

/// A notification channel.
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

    /// Returns the channels that notify about this run.
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

    async fn send(
        self,
        notify: &NotifySettings,
        record: &RunRecord,
        clock: &Clock,
    ) -> Result<(), String> {
        let poster = || {
            let poster = HttpPoster::new(notify.timeout, (&notify.proxy).into());
            poster.map_err(|error| error.to_string())
        };
        match self {
            Self::Command => command::run_command(notify, record).await,
            Self::Webhook => webhook::send(notify, record, &poster()?, clock).await,
            Self::Slack => slack::send(notify, record, &poster()?).await,
            Self::Email => email::send(notify, record).await,
            Self::Heartbeat => heartbeat::ping_end(notify, record, &poster()?).await,
        }
    }
}

/// Notifies all channels about a run, concurrently, and returns the result of each. `cancelled` ends
/// the wait.
pub async fn send_notifications(
    notify: &NotifySettings,
    record: &RunRecord,
    clock: &Clock,
    cancelled: impl Future<Output = ()>,
) -> Vec<NotificationRecord> {
    let due = NotifyChannel::enabled_channels(notify, record);
    for (setting, host) in notify.plaintext_targets().await {
        tracing::warn!("`{setting}` reaches `{host}` without encryption: use https");
    }
    let started = clock.awake_time();
    let mut records: Vec<NotificationRecord> = due
        .iter()
        .map(|channel| notification_record(*channel, Duration::ZERO, Err("cancelled".into())))
        .collect();
    let mut tasks = JoinSet::new();
    for (index, channel) in due.into_iter().enumerate() {
        let (notify, record, clock) = (notify.clone(), record.clone(), clock.clone());
        tasks.spawn(async move {
            let sending = channel.send(&notify, &record, &clock);
            let outcome = tokio::time::timeout(notify.timeout, sending).await;
            (index, channel, outcome.unwrap_or_else(|_| Err("it took too long".to_owned())))
        });
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Ok((index, channel, outcome)) = ended {
                let elapsed = clock.awake_time().saturating_sub(started);
                records[index] = notification_record(channel, elapsed, outcome);
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = cancelled => {}
    }
    records
}

fn notification_record(
    channel: NotifyChannel,
    elapsed: Duration,
    outcome: Result<(), String>,
) -> NotificationRecord {
    let seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    let (sent, words) = match outcome {
        Ok(()) => (true, None),
        Err(words) => (false, Some(words)),
    };
    NotificationRecord { channel: channel.as_str(), sent, words, seconds }
}
