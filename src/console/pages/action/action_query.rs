//! An action as an address holds it: the kind in the path, its filter in the query. Pure.

use crate::console::assets::ConsoleLinks;
use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::ledger::{JobState, OperatorAction, RequestedAction, TargetFilter};

/// Parses the action of an address.
///
/// # Errors
/// The address names no action that a page confirms, or a filter that is none.
pub(super) fn parse_action(name: &str, query: &FormFields) -> Result<RequestedAction, PageError> {
    let unknown = || PageError::NotFound("there is no such action".to_owned());
    let kind = OperatorAction::parse(name).ok_or_else(unknown)?;
    match kind {
        OperatorAction::Retry => Ok(RequestedAction::Retry(parse_filter(query)?)),
        OperatorAction::Cancel => Ok(RequestedAction::Cancel(parse_filter(query)?)),
        OperatorAction::DownloadAgain => Ok(RequestedAction::DownloadAgain(parse_filter(query)?)),
        OperatorAction::Pause => Ok(RequestedAction::Pause),
        OperatorAction::Unpause => Ok(RequestedAction::Unpause),
        OperatorAction::Stop => Ok(RequestedAction::Stop),
        OperatorAction::Resolve => Err(unknown()),
    }
}

fn parse_filter(query: &FormFields) -> Result<TargetFilter, PageError> {
    let state = match query.get("state") {
        Some(text) => Some(
            JobState::parse(text)
                .ok_or_else(|| PageError::Invalid(format!("`{text}` is no state")))?,
        ),
        None => None,
    };
    let keys = query.iter().filter(|(name, _)| name == "key").map(|(_, key)| key.clone());
    Ok(TargetFilter {
        keys: keys.collect(),
        cause: query.get("cause").map(str::to_owned),
        state,
        selection: None,
    })
}

/// Returns the address of the page that shows an action.
pub(in crate::console) fn action_address(
    links: &ConsoleLinks,
    batch: &str,
    action: &RequestedAction,
) -> String {
    let filter = match action {
        RequestedAction::Retry(filter)
        | RequestedAction::Cancel(filter)
        | RequestedAction::DownloadAgain(filter) => filter.clone(),
        RequestedAction::Resolve(resolution) => return links.resolve(batch, &resolution.key),
        RequestedAction::Pause | RequestedAction::Unpause | RequestedAction::Stop => {
            TargetFilter::default()
        }
    };
    let state = filter.state.map_or("", JobState::as_str);
    let mut query = FormFields::default().with("state", state);
    query = query.with("cause", filter.cause.as_deref().unwrap_or_default());
    for key in &filter.keys {
        query = query.and("key", key);
    }
    format!("{}{}", links.action(batch, action.kind().as_str()), query.to_query())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::assets::ConsoleAssets;
    use crate::console::settings::BasePath;

    #[test]
    fn an_action_survives_its_address() {
        let links = ConsoleAssets::new(&BasePath::default()).links();
        let filter = TargetFilter {
            keys: vec!["a&b".to_owned(), "ä".to_owned()],
            cause: Some("render-failed".to_owned()),
            state: Some(JobState::Failed),
            selection: None,
        };
        for action in [
            RequestedAction::Retry(filter.clone()),
            RequestedAction::Cancel(TargetFilter::default()),
            RequestedAction::DownloadAgain(filter),
            RequestedAction::Pause,
            RequestedAction::Stop,
        ] {
            let address = action_address(&links, "spring", &action);
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            let name = path.rsplit('/').next().unwrap();
            let parsed = parse_action(name, &FormFields::parse(query.as_bytes())).unwrap();
            assert_eq!(parsed, action, "{address}");
        }
        for name in ["resolve", "start", "nothing", ""] {
            assert!(parse_action(name, &FormFields::default()).is_err(), "{name}");
        }
        let wrong = FormFields::parse(b"state=planned");
        assert!(parse_action("retry", &wrong).is_err());
    }
}
