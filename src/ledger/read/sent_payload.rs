//! The payload that was sent for a submission.

use crate::ledger::error::LedgerError;
use crate::ledger::model::stored_payload::StoredPayload;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{Ledger, SubmissionId};

static SENT_PAYLOAD: Statement = Statement::new(
    "-- ledger::sent_payload
    select v.payload, d.payload as dictionary
    from submission s
    join version v on v.job_id = s.job_id and v.version = s.version
    left join payload_dictionary d on d.id = v.dictionary_id
    where s.id = $1",
);

impl Ledger {
    /// Returns the payload of the version that was sent for a submission.
    pub async fn sent_payload(
        &self,
        submission: SubmissionId,
    ) -> Result<Option<StoredPayload>, LedgerError> {
        let found = self.readers.fetch_optional(&SENT_PAYLOAD, binds![submission.0]);
        Ok(found.await?)
    }
}
