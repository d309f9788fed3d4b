//! The cells of a row by their headings, and the one that names its video.
//!
//! Pure. Empty cells are left out.

use crate::scaffold::is_title_heading;
use crate::text::truncate;

/// Characters of a video's title.
const TITLE_CHARS_MAX: usize = 80;

/// Returns the cells of a row with their headings; `cells` are those of the ledger, as JSON.
pub(crate) fn named_cells(headings: &[String], cells: &str) -> Vec<(String, String)> {
    let rows: Vec<Vec<String>> = serde_json::from_str(cells).unwrap_or_default();
    let named = rows.into_iter().flat_map(|cells| headings.iter().cloned().zip(cells));
    named.filter(|(_, cell)| !cell.is_empty()).collect()
}

/// Returns the first cell that reads like the name of a video: that of a product or a headline. The key
/// is no title.
pub(crate) fn title_among(cells: &[(String, String)], key: &str) -> Option<String> {
    let named = cells.iter().find(|(heading, _)| is_title_heading(heading));
    let title = named.map(|(_, cell)| cell).filter(|cell| *cell != key);
    title.map(|title| truncate(title, TITLE_CHARS_MAX))
}
