//! The facts known from the callbacks of a submission, and when they trigger a check. Pure.
//!
//! Invariants: a repeated callback changes nothing, and any number of callbacks triggers at most
//! one check in five seconds.

use jiff::{SignedDuration, Timestamp};

use crate::ledger::store::stored_time::StoredTime;

/// The minimum time between two checks that callbacks trigger.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// The same for callbacks without progress: they may arrive for every percent.
const VAGUE_CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(60);
/// The precision with which the time of the last callback is stored.
const REPEAT_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// The facts in one callback.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceivedCallback {
    /// 0 to 100, if the callback reported progress.
    pub progress: Option<f64>,
    /// The id of the render task at AI Studios.
    pub task_id: Option<String>,
    /// The reported cost in credits.
    pub credits: Option<f64>,
    /// Whether the callback reported the end of the render.
    pub ended: bool,
}

/// The facts known from all callbacks of a submission.
#[derive(Clone, Debug, Default, PartialEq, sqlx::FromRow)]
pub struct CallbackReport {
    /// The time of the first callback.
    #[sqlx(try_from = "StoredTime")]
    pub first_at: Timestamp,
    /// The time of the last callback, to the minute.
    #[sqlx(try_from = "StoredTime")]
    pub at: Timestamp,
    /// The time of the check that the callbacks triggered.
    #[sqlx(try_from = "StoredTime")]
    pub look_at: Option<Timestamp>,
    /// The highest reported progress, in whole percent.
    pub progress: Option<f64>,
    /// The id of the render task at AI Studios.
    pub task: Option<String>,
    /// Another such id that was reported later.
    pub other_task: Option<String>,
    /// The cost in credits that was reported first.
    pub credits: Option<f64>,
}

/// Returns the facts known after a callback, or `None` if it contains nothing new.
pub(in crate::ledger) fn merge_callback(
    before: Option<CallbackReport>,
    callback: &ReceivedCallback,
    is_uncertain: bool,
    now: Timestamp,
) -> Option<CallbackReport> {
    let is_first = before.is_none();
    let before =
        before.unwrap_or(CallbackReport { first_at: now, at: now, ..CallbackReport::default() });
    let mut report = before.clone();
    report.progress = match (before.progress, callback.progress.map(f64::floor)) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
    if let Some(task) = &callback.task_id {
        match &before.task {
            None => report.task = Some(task.clone()),
            Some(known) if known != task => {
                report.other_task = before.other_task.clone().or_else(|| Some(task.clone()));
            }
            Some(_) => {}
        }
    }
    report.credits = before.credits.or(callback.credits);
    let is_vague = callback.progress.is_none() && !callback.ended;
    if callback.ended || is_vague || (is_first && is_uncertain) {
        let pause = if is_vague { VAGUE_CHECK_INTERVAL } else { CHECK_INTERVAL };
        report.look_at = Some(match before.look_at {
            // A check that a callback without progress triggered must not delay the one for the
            // end.
            Some(look_at) if look_at > now => look_at.min(now + pause),
            Some(look_at) => now.max(look_at + pause),
            None => now,
        });
    }
    let is_new = is_first || report != before || now.duration_since(before.at) >= REPEAT_INTERVAL;
    // A clock that was set back must not make the last callback older than the first.
    report.at = now.max(before.first_at);
    is_new.then_some(report)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ledger::write::webhook::report::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn final_callback() -> ReceivedCallback {
        ReceivedCallback {
            progress: Some(100.0),
            credits: Some(2.0),
            ended: true,
            ..ReceivedCallback::default()
        }
    }

    fn callback_at(progress: f64) -> ReceivedCallback {
        ReceivedCallback { progress: Some(progress), ..ReceivedCallback::default() }
    }

    #[test]
    fn end_of_a_render_triggers_a_check_at_once_and_the_next_after_five_seconds() {
        let first = merge_callback(None, &final_callback(), false, at(1000)).unwrap();
        assert_eq!(first.look_at, Some(at(1000)));
        let second =
            merge_callback(Some(first.clone()), &final_callback(), false, at(1001)).unwrap();
        assert_eq!(second.look_at, Some(at(6000)));
        assert_eq!(
            merge_callback(Some(second.clone()), &final_callback(), false, at(1002)),
            None,
            "it is coming"
        );
        let third = merge_callback(Some(second), &final_callback(), false, at(30_000)).unwrap();
        assert_eq!(third.look_at, Some(at(30_000)));
    }

    #[test]
    fn progress_triggers_no_check_unless_the_request_is_uncertain() {
        assert_eq!(merge_callback(None, &callback_at(25.0), false, at(7)).unwrap().look_at, None);
        assert_eq!(
            merge_callback(None, &callback_at(25.0), true, at(7)).unwrap().look_at,
            Some(at(7))
        );
        let known = merge_callback(None, &callback_at(25.0), true, at(7)).unwrap();
        let next = merge_callback(Some(known), &callback_at(50.0), true, at(9)).unwrap();
        assert_eq!((next.look_at, next.progress), (Some(at(7)), Some(50.0)));
    }

    #[test]
    fn first_reported_credits_and_task_are_kept() {
        let task = |task: &str, credits| ReceivedCallback {
            task_id: Some(task.to_owned()),
            credits: Some(credits),
            ..final_callback()
        };
        let first = merge_callback(None, &task("t1", 2.0), false, at(0)).unwrap();
        let second = merge_callback(Some(first), &task("t2", 900.0), false, at(1)).unwrap();
        assert_eq!(second.credits, Some(2.0));
        assert_eq!(
            (second.task.as_deref(), second.other_task.as_deref()),
            (Some("t1"), Some("t2"))
        );
        assert_eq!(merge_callback(Some(second), &task("t3", 1.0), false, at(2)), None);
    }

    proptest! {
        /// A sender who knows the secret can at worst trigger one check every five seconds.
        #[test]
        fn any_number_of_callbacks_triggers_one_check_in_five_seconds(
            calls in prop::collection::vec((0..2000_i64, any::<bool>(), prop::option::of(0.0..100.0)), 1..200),
        ) {
            let (mut report, mut now): (Option<CallbackReport>, _) = (None, at(0));
            let mut looks = Vec::new();
            for (pause, ended, progress) in calls {
                now += SignedDuration::from_millis(pause);
                let wanted = report.as_ref().and_then(|report| report.look_at);
                looks.extend(wanted.filter(|look_at| *look_at <= now));
                let call = ReceivedCallback { progress, ended, ..ReceivedCallback::default() };
                report = merge_callback(report.clone(), &call, true, now).or(report);
            }
            looks.dedup();
            prop_assert!(looks.windows(2).all(|two| two[1].duration_since(two[0]) >= CHECK_INTERVAL), "{looks:?}");
            // The end of the render is checked in time, whatever arrived before.
            let last = merge_callback(report.clone(), &final_callback(), true, now).or(report).unwrap();
            prop_assert!(last.look_at.unwrap() <= now + CHECK_INTERVAL);
        }
    }
}
