//! One statement text for two databases.
//!
//! A text is written once, in SQL that both databases accept, with `$1` for its parameters and a few
//! macros in braces for what cannot be written alike:
//!
//! | macro | SQLite | PostgreSQL |
//! |---|---|---|
//! | `{by job_due}` | names the index | nothing: its planner takes no hints |
//! | `{unindexed state}` | the column without its indexes | the column |
//! | `{list $1}` | the elements of a JSON list | those of an array |
//! | `{rows $1}` | the rows of a JSON list of lists, as `value` | the same |
//! | `{greatest}`, `{least}` | scalar `max`, `min` | `greatest`, `least` |
//! | `{position}` | `instr` | `strpos` |
//! | `{cross}` | keeps the order of a join | an inner join |
//! | `{or fail}` | keeps nothing for an undo | nothing |
//! | `{lock}` | nothing: there is one writer | locks the selected rows until the commit |
//!
//! Each expansion is made once for each text. Invariant: no statement of the ledger is made of
//! values; they are bound.

use std::sync::OnceLock;

use crate::ledger::store::bind_value::BindValue;

/// The two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum SqlDialect {
    /// `SQLite`.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// A statement: its text, and what either database is sent.
#[derive(Debug)]
pub(in crate::ledger) struct Statement {
    text: &'static str,
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Statement {
    /// Returns the statement with this text, which begins with a comment that names it.
    pub(in crate::ledger) const fn new(text: &'static str) -> Self {
        Self { text, sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    /// Returns what the database is sent.
    pub(in crate::ledger) fn expanded(&'static self, dialect: SqlDialect) -> &'static str {
        let expanded = match dialect {
            SqlDialect::Sqlite => &self.sqlite,
            SqlDialect::Postgres => &self.postgres,
        };
        expanded.get_or_init(|| expand(self.text, dialect))
    }
}

/// A statement and its values.
#[derive(Debug)]
pub(in crate::ledger) struct BoundStatement {
    pub(in crate::ledger) statement: &'static Statement,
    pub(in crate::ledger) binds: Vec<BindValue>,
}

impl BoundStatement {
    /// Returns the statement with the values of its parameters, from `$1` on.
    pub(in crate::ledger) fn new(statement: &'static Statement, binds: Vec<BindValue>) -> Self {
        Self { statement, binds }
    }
}

/// Joins statements to one text, in which each one's parameters follow those of the statements before
/// it. `SQLite` takes such a text.
pub(super) fn join_statements(joined: &[BoundStatement]) -> String {
    let mut text = String::new();
    let mut parameters = 0;
    for bound in joined {
        push_renumbered(&mut text, bound.statement.expanded(SqlDialect::Sqlite), parameters);
        text.push_str(";\n");
        parameters += bound.binds.len();
    }
    text
}

/// Appends `sql` with `added` added to the number of each parameter.
fn push_renumbered(text: &mut String, sql: &str, added: usize) {
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        text.push('$');
        // The path of a value in a JSON text has no number here.
        match number.parse::<usize>() {
            Ok(number) => text.push_str(&(number + added).to_string()),
            Err(_) => text.push_str(number),
        }
        text.push_str(rest);
    }
}

/// Replaces the macros of a text.
pub(in crate::ledger) fn expand(text: &str, dialect: SqlDialect) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from_macro)) = rest.split_once('{') {
        let (inner, after) = from_macro.split_once('}').unwrap_or((from_macro, ""));
        let (name, operand) = inner.split_once(' ').unwrap_or((inner, ""));
        expanded.push_str(before);
        expanded.push_str(&expand_macro(name, operand, dialect));
        rest = after;
    }
    expanded + rest
}

/// An unknown macro is left as it is, which no database accepts.
fn expand_macro(name: &str, operand: &str, dialect: SqlDialect) -> String {
    use SqlDialect::{Postgres, Sqlite};
    match (name, dialect) {
        ("by", Sqlite) => format!("indexed by {operand}"),
        ("by" | "or", Postgres) | ("lock", Sqlite) => String::new(),
        ("or", Sqlite) => format!("or {operand}"),
        ("cross", Sqlite) => "cross".to_owned(),
        ("cross", Postgres) => "inner".to_owned(),
        ("lock", Postgres) => "for no key update".to_owned(),
        ("unindexed", Sqlite) => format!("+{operand}"),
        ("unindexed", Postgres) => operand.to_owned(),
        ("list", Sqlite) => format!("select value from json_each({operand})"),
        ("list", Postgres) => format!("select unnest({operand}) as value"),
        ("rows", Sqlite) => format!("json_each({operand})"),
        ("rows", Postgres) => format!("json_array_elements(cast({operand} as json))"),
        ("greatest", Sqlite) => "max".to_owned(),
        ("least", Sqlite) => "min".to_owned(),
        ("position", Sqlite) => "instr".to_owned(),
        ("position", Postgres) => "strpos".to_owned(),
        ("greatest" | "least", Postgres) => name.to_owned(),
        (_, _) => format!("{{{name} {operand}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::bind_value::binds;

    #[test]
    fn a_text_is_expanded_for_either_database() {
        static DUE: Statement = Statement::new(
            "select j.id from job j {by job_due} where {unindexed j.state} = $1 and j.id not in \
             ({list $2}) and {least}(j.due_at, $3) > 0 and {position}(j.key, $4) = 1 {lock}",
        );
        assert_eq!(
            DUE.expanded(SqlDialect::Sqlite),
            "select j.id from job j indexed by job_due where +j.state = $1 and j.id not in \
             (select value from json_each($2)) and min(j.due_at, $3) > 0 and instr(j.key, $4) = 1 "
        );
        assert_eq!(
            DUE.expanded(SqlDialect::Postgres),
            "select j.id from job j  where j.state = $1 and j.id not in \
             (select unnest($2) as value) and least(j.due_at, $3) > 0 and strpos(j.key, $4) = 1 \
             for no key update"
        );
        assert_eq!(expand("{unknown $1}", SqlDialect::Postgres), "{unknown $1}");
    }

    #[test]
    fn parameters_of_joined_statements_follow_each_other() {
        static FIRST: Statement = Statement::new("update job set key = $2 where id = $1");
        static SECOND: Statement =
            Statement::new("update run set note = note ->> '$.a' where id = $1 and id < $12");
        let joined = [
            BoundStatement::new(&FIRST, binds![1_i64, "k"]),
            BoundStatement::new(&SECOND, binds![2_i64]),
        ];
        assert_eq!(
            join_statements(&joined),
            "update job set key = $2 where id = $1;\n\
             update run set note = note ->> '$.a' where id = $3 and id < $14;\n"
        );
    }
}
