//! What a status means: whether its row is to be rendered, or left out.
//!
//! A status that is not known is a question. Invariant: an unknown one leaves its row out unless the
//! user decides otherwise, because a skipped row is listed and costs nothing.

use super::column_role::ColumnRole;
use super::sheet_columns::ColumnProfile;
use crate::sheet::{SkipDecision, SkipRule, normalize_mark, opposite_of_no};

/// The rows that a column leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SkipGuess {
    /// The cells that leave a row out; empty: the words of a checkbox.
    pub(super) values: Vec<String>,
    /// Whether a checkbox decides, so that `values` is not needed.
    pub(super) is_checkbox: bool,
    /// The cells about which the user should be asked.
    pub(super) unclear: Vec<String>,
}

/// Statuses of rows that are not to be rendered.
const LEFT_OUT: &[&str] = &[
    "on hold",
    "hold",
    "paused",
    "draft",
    "wip",
    "in progress",
    "in review",
    "review",
    "todo",
    "to do",
    "open",
    "pending",
    "waiting",
    "blocked",
    "cancelled",
    "canceled",
    "rejected",
    "archived",
    "deprecated",
    "discontinued",
    "not ready",
    "not approved",
    "done",
    "live",
    "published",
    "rendered",
    "skip",
    "no",
    "stop",
    "inactive",
    "entwurf",
    "offen",
    "in arbeit",
    "in prüfung",
    "zurückgestellt",
    "abgelehnt",
    "gesperrt",
    "storniert",
    "fertig",
    "erledigt",
    "veröffentlicht",
    "warten",
    "pausiert",
    "nein",
    "brouillon",
    "en attente",
    "en cours",
    "refusé",
    "annulé",
    "publié",
    "borrador",
    "pendiente",
    "rechazado",
    "bozza",
    "in attesa",
    "rascunho",
    "보류",
    "초안",
    "대기",
    "완료",
    "취소",
    "保留",
    "下書き",
    "完了",
    "草稿",
    "暂停",
    "已完成",
];
/// Statuses of rows that are to be rendered.
const RENDERED: &[&str] = &[
    "approved",
    "ready",
    "ready to render",
    "go",
    "ok",
    "okay",
    "yes",
    "final",
    "active",
    "new",
    "true",
    "x",
    "✓",
    "freigegeben",
    "bereit",
    "aktiv",
    "neu",
    "ja",
    "validé",
    "prêt",
    "approuvé",
    "oui",
    "aprobado",
    "listo",
    "approvato",
    "pronto",
    "aprovado",
    "승인",
    "승인됨",
    "확정",
    "承認",
    "承認済み",
    "确认",
    "已批准",
];

/// Returns what a status column leaves out; `None` if it leaves out nothing.
pub(super) fn guess_skip(column: &ColumnProfile) -> Option<SkipGuess> {
    let mut guess = SkipGuess::default();
    let checkbox = SkipRule::new(0, &[]);
    let is_box = |cell: &String| checkbox.decide(cell) != SkipDecision::Unclear;
    if column.has_role(ColumnRole::Omission) && column.values.keys().all(is_box) {
        let skips = |cell: &String| checkbox.decide(cell) == SkipDecision::Skip;
        guess.is_checkbox = true;
        return column.values.keys().any(skips).then_some(guess);
    }
    for cell in column.values.keys() {
        match status_of_cell(cell) {
            CellStatus::LeftOut => guess.values.push(cell.clone()),
            CellStatus::Rendered => {}
            CellStatus::Unknown => guess.unclear.push(cell.clone()),
        }
    }
    (!guess.values.is_empty() || !guess.unclear.is_empty()).then_some(guess)
}

enum CellStatus {
    LeftOut,
    Rendered,
    Unknown,
}

fn status_of_cell(cell: &str) -> CellStatus {
    let text = normalize_mark(cell).replace(['_', '-'], " ");
    let is_no = opposite_of_no(cell).is_some();
    match text.trim() {
        text if LEFT_OUT.contains(&text) || is_no => CellStatus::LeftOut,
        text if RENDERED.contains(&text) => CellStatus::Rendered,
        _ => CellStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet_columns::SheetColumns;
    use super::*;
    use crate::sheet::SheetRow;

    fn skip_of(heading: &str, cells: &[&str]) -> Option<SkipGuess> {
        let row = |(number, cell): (usize, &&str)| SheetRow {
            number: number as u64 + 1,
            cells: vec![(*cell).to_owned()],
        };
        let rows: Vec<SheetRow> =
            std::iter::once(&heading).chain(cells).enumerate().map(row).collect();
        guess_skip(&SheetColumns::new(&rows, 0).columns[0])
    }

    #[test]
    fn statuses_leave_rows_out_admit_them_or_are_unclear() {
        let values = |values: &[&str], unclear: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
            Some(SkipGuess { values: owned(values), is_checkbox: false, unclear: owned(unclear) })
        };
        let checkbox = SkipGuess { is_checkbox: true, ..SkipGuess::default() };
        for (heading, cells, want) in [
            ("Status", &["Ready", "On hold", "Ready"][..], values(&["On hold"], &[])),
            ("Status", &["freigegeben", "Entwurf", ""], values(&["Entwurf"], &[])),
            ("Status", &["Ready", "Ready"], None),
            ("Status", &["Ready", "Legal"], values(&[], &["Legal"])),
            ("Status", &["Ready", "On\u{a0}hold"], values(&["On\u{a0}hold"], &[])),
            ("Approved", &["yes", "no"], values(&["no"], &[])),
            ("Approved", &["TRUE", "FALSE"], values(&["FALSE"], &[])),
            ("Skip", &["x", "", "no"], Some(checkbox.clone())),
            ("Skip", &["", "no"], None),
            ("Hold", &["TRUE", "FALSE"], Some(checkbox)),
        ] {
            assert_eq!(skip_of(heading, cells), want, "{heading} {cells:?}");
        }
    }
}
