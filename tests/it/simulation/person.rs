//! The operator between two runs, who knows the truth because he looked at AI Studios' website: he
//! settles what is uncertain, takes jobs out, and wants them again.
//!
//! He never says what is not so, and says nothing of a request that may still be acted upon: what
//! follows from a wrong word is on his own bill, and no run can mend it.

use std::path::Path;

use callsheet::ledger::{BatchId, Chosen, Due, Durability, Lease, Ledger, News, Owner, State};
use jiff::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use super::world::{Truth, World};

/// Who decides, and when.
pub(super) struct Person<'w> {
    pub(super) world: &'w mut World,
    pub(super) now: Timestamp,
}

impl Person<'_> {
    /// Settles some uncertain jobs and takes some out that were not sent.
    pub(super) fn decides(&mut self, ledger: &Path, dice: &mut StdRng) {
        self.world.is_visited(self.now);
        at(ledger, self.now, async |ledger, batch, lease| {
            for row in ledger.rows(batch, -1, 1000).await.unwrap() {
                let key = row.key.unwrap();
                if row.state == Some(State::Ready) && dice.random_bool(0.1) {
                    self.world.note(self.now, &format!("a person takes {key} out"));
                    ledger.cancel(lease, batch, vec![key], self.now).await.unwrap();
                } else if row.state == Some(State::Uncertain) && dice.random_bool(0.7) {
                    let due = ledger.uncertain(batch, &key).await.unwrap().unwrap();
                    let Some(news) = self.verdict(&due) else { continue };
                    self.world.note(self.now, &format!("a person settles {key}: {news:?}"));
                    let told = ledger.record(lease, due.job, due.submission, news, self.now).await;
                    if let Err(error) = told {
                        self.world.wrong(self.now, format!("no word is taken for {key}: {error}"));
                    }
                }
            }
        });
    }

    /// Wants everything again that he took out.
    pub(super) fn wants_all(&mut self, ledger: &Path) {
        at(ledger, self.now, async |ledger, batch, lease| {
            let cause = Some("cancelled".to_owned());
            let chosen = Chosen { cause, ..Chosen::default() };
            ledger.try_again(lease, batch, chosen, self.now).await.unwrap();
        });
    }

    fn verdict(&mut self, due: &Due) -> Option<News> {
        if !self.world.setup.kind.is_tagged() {
            // On the website, one row's video looks like another's.
            return None;
        }
        let (due_at, words) = (self.now, "seen on the website".to_owned());
        match self.world.truth(due.tag.as_str()) {
            Truth::MayStillCome => None,
            Truth::NeverCame => Some(News::ProvenNotMade { due_at, words }),
            Truth::Rendered { project, id } => {
                self.world.heard(self.now, project);
                let project_id = due.project_id.clone().unwrap_or_else(|| id.clone());
                let render_id = (project_id != id).then_some(id);
                Some(News::Accepted { project_id, render_id, due_at, words })
            }
        }
    }
}

/// Opens the ledger as a person's command does: under a lease of its own.
fn at(path: &Path, now: Timestamp, decide: impl AsyncFnOnce(&Ledger, BatchId, Lease)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(path, Durability::ProcessDeath).await.unwrap();
        let Ok(batch) = ledger.batch("night").await else { return };
        let owner = Owner { host: "sim".to_owned(), pid: 2 };
        let (lease, _) = ledger.begin_run(batch.id, owner, now).await.unwrap();
        decide(&ledger, batch.id, lease).await;
        ledger.end_run(lease, "ended", now).await.unwrap();
        ledger.close().await;
    });
    drop(runtime);
    super::night::wait_until_closed(path);
}
