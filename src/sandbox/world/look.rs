//! What a render looks like at a given moment.
//!
//! Pure: the record, the time and the switches decide. Nothing is stored, so a studio that was
//! down for an hour has lost no progress.

use super::records::Render;
use crate::sandbox::switches::{Curve, FailureMode, Progress};

/// A render as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) struct Look {
    pub(in crate::sandbox) state: &'static str,
    /// 0 to 100, or what a switch makes of it.
    pub(in crate::sandbox) progress: f64,
    /// The file can be had.
    pub(in crate::sandbox) finished: bool,
    /// `progress` answers `success: false`.
    pub(in crate::sandbox) refused: bool,
    /// The project is no longer there.
    pub(in crate::sandbox) gone: bool,
}

impl Look {
    fn of(state: &'static str, progress: f64) -> Self {
        Self { state, progress, finished: false, refused: false, gone: false }
    }
}

/// Looks at `render` at the virtual moment `now`.
pub(in crate::sandbox) fn look(render: &Render, now: i64, switches: &Progress) -> Look {
    match render.failure {
        Some(failure) if now >= failure.at => {
            let frozen = grown(render, failure.at, switches);
            match failure.mode {
                FailureMode::Failed => Look::of("failed", frozen),
                FailureMode::Error => Look::of("error", frozen),
                FailureMode::Frozen => Look::of("exporting", frozen),
                FailureMode::BackToZero => Look::of("waiting", 0.0),
                FailureMode::SuccessFalse => Look { refused: true, ..Look::of("failed", frozen) },
                FailureMode::MinusOne => Look::of("exporting", -1.0),
                FailureMode::NoUrl => Look::of("exporting", 100.0),
                FailureMode::Gone => Look { gone: true, ..Look::of("exporting", frozen) },
            }
        }
        Some(_) | None if now < render.start => Look::of("waiting", 0.0),
        Some(_) | None if now < render.end => Look::of("exporting", grown(render, now, switches)),
        Some(_) | None => {
            let late = crate::sandbox::clock::millis(switches.url_lag_s);
            Look { finished: now >= render.end + late, ..Look::of("exported", 100.0) }
        }
    }
}

fn grown(render: &Render, now: i64, switches: &Progress) -> f64 {
    let length = (render.end - render.start).max(1) as f64;
    let part = ((now - render.start) as f64 / length).clamp(0.0, 1.0);
    let part = match switches.curve {
        Curve::Linear => part,
        Curve::Steps => (part * 5.0).floor() / 5.0,
        Curve::EaseOut => 1.0 - (1.0 - part) * (1.0 - part),
    };
    let percent = part * 100.0;
    if switches.overshoot && percent >= 98.0 {
        return 100.5;
    }
    let percent =
        if switches.regress && (50.0..60.0).contains(&percent) { percent - 20.0 } else { percent };
    // Two decimals, as the reference's "0.00-100" has it, and 100 only when it is over.
    ((percent * 100.0).round() / 100.0).min(99.99)
}

#[cfg(test)]
mod tests {
    use super::super::records::Fails;
    use super::*;
    use crate::sandbox::switches::ChargeAt;

    fn render(failure: Option<FailureMode>) -> Render {
        Render {
            project: "p".to_owned(),
            draft: None,
            task: "t".to_owned(),
            submitted: 0,
            start: 1_000,
            end: 101_000,
            failure: failure.map(|mode| Fails { mode, at: 38_500 }),
            price: 2.0,
            charge_at: ChargeAt::Complete,
            refund: true,
            resolution: "1080".to_owned(),
            webhook: None,
            content: 0,
            visible: 0,
        }
    }

    fn line(render: &Render, now: i64, switches: &Progress) -> String {
        let look = look(render, now, switches);
        let url = if look.finished { " with url" } else { "" };
        format!("{} {}{url}", look.state, look.progress)
    }

    #[test]
    fn a_render_waits_grows_and_ends() {
        let plain = Progress::default();
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
    fn each_way_to_fail_looks_its_own_way() {
        let plain = Progress::default();
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
        assert!(look(&render(Some(FailureMode::SuccessFalse)), 500_000, &plain).refused);
        assert!(look(&render(Some(FailureMode::Gone)), 500_000, &plain).gone);
    }

    #[test]
    fn switches_bend_the_curve() {
        let bent =
            Progress { regress: true, overshoot: true, url_lag_s: 5.0, ..Default::default() };
        assert_eq!(line(&render(None), 56_000, &bent), "exporting 35");
        assert_eq!(line(&render(None), 100_000, &bent), "exporting 100.5");
        assert_eq!(line(&render(None), 102_000, &bent), "exported 100");
        assert_eq!(line(&render(None), 106_000, &bent), "exported 100 with url");
        let steps = Progress { curve: Curve::Steps, ..Default::default() };
        assert_eq!(line(&render(None), 56_000, &steps), "exporting 40");
    }

    #[test]
    fn credits_are_taken_when_the_switch_says_and_given_back_on_failure() {
        let charged = |charge_at, refund, failure, now| {
            Render { charge_at, refund, ..render(failure) }.charged(now)
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
