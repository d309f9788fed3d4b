//! A verdict as a form sends it, and recording it.

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::console::state::ConsoleState;
use crate::ledger::{NewVerdict, StoredBatch, VerdictKind, VerdictOutcome, VerdictSource};
use crate::session::review::verdicts::{REASON_CHARS_MAX, clean_text};

/// A video as the reviewer saw it, and the decision on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::console) struct JudgedVideo {
    pub(in crate::console) key: String,
    pub(in crate::console) kind: VerdictKind,
    version: i64,
    digest: String,
    reason: Option<String>,
}

impl JudgedVideo {
    pub(in crate::console) fn parse(form: &FormFields) -> Result<Self, PageError> {
        let missing = |name: &str| PageError::Invalid(format!("the form has no `{name}`"));
        let kind = form.get("verdict").and_then(VerdictKind::parse);
        let kind = kind.ok_or_else(|| missing("verdict"))?;
        let version = form.get("version").and_then(|version| version.parse().ok());
        let reason = form.get("reason").and_then(|text| clean_text(text, REASON_CHARS_MAX));
        let reason = reason.filter(|_| kind.has_to_be_explained());
        if kind.has_to_be_explained() && reason.is_none() {
            return Err(PageError::Invalid("say what is wrong with the video".to_owned()));
        }
        Ok(Self {
            key: form.get_raw("key").ok_or_else(|| missing("key"))?.to_owned(),
            kind,
            version: version.ok_or_else(|| missing("version"))?,
            digest: form.get("digest").ok_or_else(|| missing("digest"))?.to_owned(),
            reason,
        })
    }
}

/// Records a verdict, unless the video has changed since the reviewer saw it.
pub(in crate::console) async fn record(
    state: &ConsoleState,
    batch: &StoredBatch,
    video: &JudgedVideo,
    source: VerdictSource,
) -> Result<(), PageError> {
    let verdict = NewVerdict {
        key: video.key.clone(),
        version: video.version,
        video_hash: video.digest.clone(),
        kind: video.kind,
        reason: video.reason.clone(),
    };
    let recorded = state.ledger.record_verdicts(batch.id, vec![verdict], source, state.now());
    match recorded.await? {
        VerdictOutcome::Recorded => Ok(()),
        VerdictOutcome::Changed { .. } => Err(PageError::Changed(format!(
            "the video of `{}` has changed since you saw it: open it again",
            video.key
        ))),
        VerdictOutcome::Protected { reviewer } => Err(PageError::Changed(format!(
            "{reviewer} has decided about `{}`, and only they or the team can change that",
            video.key
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_without_its_video_or_its_reason_is_refused() {
        let video = "key=a%2Fko&version=2&digest=d";
        for (form, is_complete) in [
            (format!("{video}&verdict=approved"), true),
            (format!("{video}&verdict=withdrawn&reason=x"), true),
            (format!("{video}&verdict=rejected&reason=too+loud"), true),
            (format!("{video}&verdict=rejected"), false),
            (format!("{video}&verdict=changes&reason=+%0A"), false),
            (format!("{video}&verdict=good"), false),
            (video.to_owned(), false),
            ("verdict=approved&key=a&version=x&digest=d".to_owned(), false),
            ("verdict=approved&version=2&digest=d".to_owned(), false),
        ] {
            let parsed = JudgedVideo::parse(&FormFields::parse(form.as_bytes()));
            assert_eq!(parsed.is_ok(), is_complete, "{form}: {parsed:?}");
            assert!(parsed.is_err() || parsed.is_ok_and(|video| video.key == "a/ko"), "{form}");
        }
    }
}
