//! The status of a render at a given time.
//!
//! Pure: the record, the time and the switches decide. Nothing is stored, so a sandbox that was down for
//! an hour has lost no progress.

use super::records::RenderRecord;
use crate::sandbox::vendor_behavior::{FailureMode, ProgressCurve, ProgressSwitches};

/// A render as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) struct RenderSnapshot {
    pub(in crate::sandbox) state: &'static str,
    /// 0 to 100, or what a switch makes of it.
    pub(in crate::sandbox) progress: f64,
    /// The file is available.
    pub(in crate::sandbox) is_finished: bool,
    /// `progress` responds with `success: false`.
    pub(in crate::sandbox) is_progress_refused: bool,
    /// The project no longer exists.
    pub(in crate::sandbox) is_project_gone: bool,
}

impl RenderSnapshot {
    fn new(state: &'static str, progress: f64) -> Self {
        Self {
            state,
            progress,
            is_finished: false,
            is_progress_refused: false,
            is_project_gone: false,
        }
    }
}

/// Returns the status of `render` at the virtual time `now`.
pub(in crate::sandbox) fn render_status(
    render: &RenderRecord,
    now: i64,
    switches: &ProgressSwitches,
) -> RenderSnapshot {
    match render.failure {
        Some(failure) if now >= failure.at => {
            let frozen = progress_percent(render, failure.at, switches);
            match failure.mode {
                FailureMode::Failed => RenderSnapshot::new("failed", frozen),
                FailureMode::Error => RenderSnapshot::new("error", frozen),
                FailureMode::Frozen => RenderSnapshot::new("exporting", frozen),
                FailureMode::BackToZero => RenderSnapshot::new("waiting", 0.0),
                FailureMode::SuccessFalse => RenderSnapshot {
                    is_progress_refused: true,
                    ..RenderSnapshot::new("failed", frozen)
                },
                FailureMode::MinusOne => RenderSnapshot::new("exporting", -1.0),
                FailureMode::NoUrl => RenderSnapshot::new("exporting", 100.0),
                FailureMode::Gone => RenderSnapshot {
                    is_project_gone: true,
                    ..RenderSnapshot::new("exporting", frozen)
                },
            }
        }
        Some(_) | None if now < render.start => RenderSnapshot::new("waiting", 0.0),
        Some(_) | None if now < render.end => {
            RenderSnapshot::new("exporting", progress_percent(render, now, switches))
        }
        Some(_) | None => {
            let late = crate::sandbox::clock::seconds_to_ms(switches.url_lag_s);
            RenderSnapshot {
                is_finished: now >= render.end + late,
                ..RenderSnapshot::new("exported", 100.0)
            }
        }
    }
}

fn progress_percent(render: &RenderRecord, now: i64, switches: &ProgressSwitches) -> f64 {
    let length = (render.end - render.start).max(1) as f64;
    let part = ((now - render.start) as f64 / length).clamp(0.0, 1.0);
    let part = match switches.curve {
        ProgressCurve::Linear => part,
        ProgressCurve::Steps => (part * 5.0).floor() / 5.0,
        ProgressCurve::EaseOut => 1.0 - (1.0 - part) * (1.0 - part),
    };
    let percent = part * 100.0;
    if switches.overshoot && percent >= 98.0 {
        return 100.5;
    }
    let percent =
        if switches.regress && (50.0..60.0).contains(&percent) { percent - 20.0 } else { percent };
    // Two decimals, as in the reference's "0.00-100", and 100 only when it is finished.
    ((percent * 100.0).round() / 100.0).min(99.99)
}

#[cfg(test)]
mod tests {
    use super::super::records::PlannedFailure;
    use super::*;
    use crate::sandbox::vendor_behavior::ChargeAt;

    fn render(failure: Option<FailureMode>) -> RenderRecord {
        RenderRecord {
            project: "p".to_owned(),
            draft: None,
            task: "t".to_owned(),
            submitted: 0,
            start: 1_000,
            end: 101_000,
            failure: failure.map(|mode| PlannedFailure { mode, at: 38_500 }),
            price: 2.0,
            charge_at: ChargeAt::Complete,
            refund: true,
            resolution: "1080".to_owned(),
            webhook: None,
            content: 0,
            visible: 0,
        }
    }

    fn line(render: &RenderRecord, now: i64, switches: &ProgressSwitches) -> String {
        let status = render_status(render, now, switches);
        let url = if status.is_finished { " with url" } else { "" };
        format!("{} {}{url}", status.state, status.progress)
    }

    #[test]
    fn a_render_waits_grows_and_ends() {
        let plain = ProgressSwitches::default();
        let story = [0, 999, 1_000, 38_500, 100_999, 101_000];
        let lines: Vec<_> = story.iter().map(|now| line(&render(None), *now, &plain)).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        waiting 0
        waiting 0
        exporting 0
        exporting 37.5
        exporting 99.99
        exported 100 with url
        ");
    }

    #[test]
    fn each_kind_of_failed_render_looks_different() {
        let plain = ProgressSwitches::default();
        let table = [
            (FailureMode::Failed, "failed 37.5"),
            (FailureMode::Error, "error 37.5"),
            (FailureMode::Frozen, "exporting 37.5"),
            (FailureMode::BackToZero, "waiting 0"),
            (FailureMode::MinusOne, "exporting -1"),
            (FailureMode::NoUrl, "exporting 100"),
        ];
        for (mode, expected) in table {
            assert_eq!(line(&render(Some(mode)), 500_000, &plain), expected);
            assert_eq!(line(&render(Some(mode)), 21_000, &plain), "exporting 20");
        }
        assert!(
            render_status(&render(Some(FailureMode::SuccessFalse)), 500_000, &plain)
                .is_progress_refused
        );
        assert!(render_status(&render(Some(FailureMode::Gone)), 500_000, &plain).is_project_gone);
    }

    #[test]
    fn switches_change_the_progress_curve() {
        let bent = ProgressSwitches {
            regress: true,
            overshoot: true,
            url_lag_s: 5.0,
            ..Default::default()
        };
        assert_eq!(line(&render(None), 56_000, &bent), "exporting 35");
        assert_eq!(line(&render(None), 100_000, &bent), "exporting 100.5");
        assert_eq!(line(&render(None), 102_000, &bent), "exported 100");
        assert_eq!(line(&render(None), 106_000, &bent), "exported 100 with url");
        let steps = ProgressSwitches { curve: ProgressCurve::Steps, ..Default::default() };
        assert_eq!(line(&render(None), 56_000, &steps), "exporting 40");
    }

    #[test]
    fn credits_are_charged_at_the_configured_time_and_refunded_on_failure() {
        let charged = |charge_at, refund, failure, now| {
            RenderRecord { charge_at, refund, ..render(failure) }.credits_charged(now)
        };
        let failed = Some(FailureMode::Failed);
        assert_eq!(charged(ChargeAt::Complete, true, None, 100_000), 0.0);
        assert_eq!(charged(ChargeAt::Complete, true, None, 101_000), 2.0);
        assert_eq!(charged(ChargeAt::Submit, true, None, 0), 2.0);
        assert_eq!(charged(ChargeAt::Submit, true, failed, 101_000), 0.0);
        assert_eq!(charged(ChargeAt::Submit, false, failed, 101_000), 2.0);
        assert_eq!(charged(ChargeAt::Complete, true, failed, 101_000), 0.0);
    }
}
