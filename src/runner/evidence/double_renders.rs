//! The look at the project list when a run ends: a request that a proxy or the service itself carried
//! out twice is rendered and charged twice. It cannot be prevented, but it is reported.

use std::sync::atomic::Ordering;

use crate::aistudios::StudioApi;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::project_index::ProjectIndex;

/// Reports finished projects of this ledger whose tag another rendered project carries.
pub(in crate::runner) async fn report_double_renders<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    // A run that rendered nothing has nothing to report.
    if !run.progress.has_rendered.load(Ordering::Relaxed) || !run.can_follow() {
        return Ok(());
    }
    let Some(Ok(list)) = run.call_api(run.studio.list_projects()).await else { return Ok(()) };
    let index = ProjectIndex::from_list(list);
    for finished in run.ledger.finished_projects(run.batch).await? {
        let rendered = index.with_tag(&finished.tag).into_iter().filter(|one| one.is_exported());
        let ids: Vec<&str> = rendered.map(|listed| listed.id.as_str()).collect();
        if ids.len() > 1 {
            let (tag, ids) = (&finished.tag, ids.join(", "));
            let message = format!(
                "several rendered projects carry the tag [cs:{tag}] ({ids}): a user copied one, or \
                 AI Studios or a proxy processed one request twice; check that it was charged once"
            );
            run.observer.notify(RunEvent::Alarm { message });
        }
    }
    Ok(())
}
