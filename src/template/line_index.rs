//! The lines and columns of a text, found without counting from its start.
//!
//! A template from an editor is one line of a megabyte, and every tag in it is located.

use crate::template::problem::LineColumn;

/// The number of characters between two marks.
const MARK_INTERVAL: usize = 256;

/// Where the lines of a text begin, and where every 256th character is.
#[derive(Clone, Debug)]
pub(crate) struct LineIndex {
    /// The first byte of each line, and the number of characters before it.
    lines: Vec<TextMark>,
    marks: Vec<TextMark>,
}

/// A byte and the number of characters before it.
#[derive(Clone, Copy, Debug)]
struct TextMark {
    byte: usize,
    character: usize,
}

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let start = TextMark { byte: 0, character: 0 };
        let mut index = Self { lines: vec![start], marks: vec![] };
        for (character, (byte, text)) in text.char_indices().enumerate() {
            if character % MARK_INTERVAL == 0 {
                index.marks.push(TextMark { byte, character });
            }
            if text == '\n' {
                index.lines.push(TextMark { byte: byte + 1, character: character + 1 });
            }
        }
        if index.marks.is_empty() {
            index.marks.push(start);
        }
        index
    }

    /// Returns the byte of a position in `text`, the text of this index.
    pub(crate) fn byte_offset(&self, text: &str, at: LineColumn) -> usize {
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(line) = self.lines.get(number(at.line)) else { return text.len() };
        let character = line.character.saturating_add(number(at.column));
        let Some(mark) = self.marks.get(character / MARK_INTERVAL) else { return text.len() };
        let within = text[mark.byte..].char_indices().nth(character % MARK_INTERVAL);
        within.map_or(text.len(), |(byte, _)| mark.byte + byte)
    }

    /// Returns the position of a byte of `text`, the text of this index.
    pub(crate) fn position(&self, text: &str, offset: usize) -> LineColumn {
        let offset = text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|line| line.byte <= offset) - 1;
        let mark = self.marks[self.marks.partition_point(|mark| mark.byte <= offset) - 1];
        let character = mark.character + text[mark.byte..offset].chars().count();
        LineColumn::new(line + 1, character - self.lines[line].character + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::line_index::*;

    proptest! {
        #[test]
        fn index_agrees_with_counting(text in "([a-zé대\n\r]{0,40}|[a-z ]{0,600}\n?){0,4}") {
            let index = LineIndex::new(&text);
            for offset in 0..=text.len() {
                let at = index.position(&text, offset);
                prop_assert_eq!(at, LineColumn::from_offset(&text, offset));
                prop_assert_eq!(index.byte_offset(&text, at), at.byte_offset(&text));
            }
        }
    }
}
