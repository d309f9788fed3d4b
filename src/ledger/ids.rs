//! The ledger's row ids. Each kind of row has its own type, so that one id cannot be passed for
//! another.

macro_rules! row_id {
    ($(#[$doc:meta])* $visibility:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $visibility struct $name(pub(in crate::ledger) i64);

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }
    };
}

row_id!(
    /// The id of a batch in this ledger.
    pub BatchId
);
row_id!(
    /// The id of a job in this ledger.
    pub JobId
);
row_id!(
    /// The id of a submission in this ledger.
    pub SubmissionId
);
row_id!(
    /// The id of a run, which is also its fencing token: it only grows.
    pub(in crate::ledger) RunId
);
