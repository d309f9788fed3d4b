//! What an error of a PostgreSQL server means for the caller: one reaction for each kind.

use sqlx_postgres::PgDatabaseError;

/// The index that keeps two batches from changing one project at the same time.
const EXCLUSIVE_PROJECT_INDEX: &str = "submission_holds";

/// The kinds of errors that are not defects of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum ServerFault {
    /// The connection is lost, or the server cannot write for now.
    Unavailable,
    /// All connections of the server are in use.
    TooManyConnections,
    /// Another process changed the same rows: the same change succeeds when it is made again.
    Conflict,
    /// The server's disk is full.
    DiskFull,
    /// The role may not do that.
    NotPermitted,
}

/// Returns the kind of an error; `None` for a defect, and for errors of a file.
pub(in crate::ledger) fn server_fault(error: &sqlx::Error) -> Option<ServerFault> {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => Some(ServerFault::Unavailable),
        sqlx::Error::Database(error) => {
            let error = error.try_downcast_ref::<PgDatabaseError>()?;
            let constraint = error.constraint();
            fault_of_code(error.code(), constraint)
        }
        _ => None,
    }
}

/// A server that has become a replica reports 25006: only another connection leads to the primary.
fn fault_of_code(code: &str, constraint: Option<&str>) -> Option<ServerFault> {
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P03" => Some(ServerFault::Unavailable),
        "53300" => Some(ServerFault::TooManyConnections),
        "53100" => Some(ServerFault::DiskFull),
        "42501" => Some(ServerFault::NotPermitted),
        "40001" | "40P01" | "55P03" => Some(ServerFault::Conflict),
        "23505" if constraint == Some(EXCLUSIVE_PROJECT_INDEX) => Some(ServerFault::Conflict),
        _ if code.starts_with("08") => Some(ServerFault::Unavailable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_server_has_one_reaction() {
        use ServerFault::{Conflict, DiskFull, NotPermitted, TooManyConnections, Unavailable};
        for (code, fault) in [
            ("08006", Some(Unavailable)),
            ("57P01", Some(Unavailable)),
            ("25006", Some(Unavailable)),
            ("53300", Some(TooManyConnections)),
            ("53100", Some(DiskFull)),
            ("42501", Some(NotPermitted)),
            ("40001", Some(Conflict)),
            ("40P01", Some(Conflict)),
            ("42601", None),
            ("23505", None),
        ] {
            assert_eq!(fault_of_code(code, None), fault, "{code}");
        }
        assert_eq!(fault_of_code("23505", Some("submission_holds")), Some(Conflict));
        assert_eq!(fault_of_code("23505", Some("submission_live")), None);
    }
}
