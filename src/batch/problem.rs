//! Problems of a batch file, with their positions.
//!
//! Holds the problems and formats them as plain text for logs and pipes; the command line formats
//! them for terminals from the same fields. It knows no rules for batch files.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Characters shown of the line with the problem.
const LINE_CHARACTERS_MAX: usize = 96;

/// All problems of one batch file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFileProblems {
    /// The batch file, as it was given.
    pub file: PathBuf,
    /// Its text with secrets redacted; as many bytes as the file.
    pub source: String,
    /// At least one.
    pub problems: Vec<BatchFileProblem>,
}

/// One problem of a batch file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFileProblem {
    /// The problem, such as `` `key` is an empty list ``.
    pub message: String,
    /// The fix, if there is an obvious one.
    pub help: Option<String>,
    /// Its bytes in the source; `None` for a missing setting.
    pub span: Option<Range<usize>>,
}

/// A position in a text, as in an editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl BatchFileProblems {
    /// Returns the position where `problem` begins; `None` for a missing setting.
    pub fn position(&self, problem: &BatchFileProblem) -> Option<FilePosition> {
        let start = self.floor_to_char(problem.span.as_ref()?.start);
        let before = &self.source[..start];
        let line = before.matches('\n').count() + 1;
        let column = before[self.line_start(start)..].chars().count() + 1;
        Some(FilePosition { line, column })
    }

    fn line_start(&self, at: usize) -> usize {
        self.source[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Rounds down to a character boundary: an inexact span must not make the report panic.
    fn floor_to_char(&self, at: usize) -> usize {
        self.source.floor_char_boundary(at)
    }

    /// Writes the line with the problem, and carets under the span.
    fn write_underlined(&self, f: &mut fmt::Formatter<'_>, span: &Range<usize>) -> fmt::Result {
        let start = self.floor_to_char(span.start);
        let line_start = self.line_start(start);
        let line = self.source[line_start..].lines().next().unwrap_or_default();
        let column = self.source[line_start..start].chars().count();
        let end = self
            .floor_to_char(span.end.clamp(start, line_start + line.len().max(start - line_start)));
        let width = self.source[start..end].chars().count().max(1);
        // A long line is shown from shortly before the span.
        let skipped =
            if column + width > LINE_CHARACTERS_MAX { column.saturating_sub(8) } else { 0 };
        let shown: String = line.chars().skip(skipped).take(LINE_CHARACTERS_MAX).collect();
        // Tabs stay tabs, so that the carets are aligned with the text on any terminal.
        let indent: String = line
            .chars()
            .skip(skipped)
            .take(column - skipped)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let carets = "^".repeat(
            width.min(LINE_CHARACTERS_MAX - (column - skipped).min(LINE_CHARACTERS_MAX - 1)),
        );
        writeln!(f, "  {}", shown.trim_end())?;
        writeln!(f, "  {indent}{carets}")
    }
}

impl fmt::Display for BatchFileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write!(f, "{}", self.file.display())?;
            if let Some(FilePosition { line, column }) = self.position(problem) {
                write!(f, ":{line}:{column}")?;
            }
            writeln!(f, ": {}", problem.message)?;
            if let Some(span) = &problem.span {
                self.write_underlined(f, span)?;
            }
            if let Some(help) = &problem.help {
                writeln!(f, "  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for BatchFileProblems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_problem(source: &str, span: Range<usize>) -> String {
        let problem = BatchFileProblem { message: "no".to_owned(), help: None, span: Some(span) };
        let (file, source) = (PathBuf::from("x.toml"), source.to_owned());
        BatchFileProblems { file, source, problems: vec![problem] }.to_string()
    }

    #[test]
    fn carets_are_under_the_span_of_the_problem() {
        let cases = [
            ("a = 1\nbé = 2\n", 12..13, "x.toml:2:6: no\n  bé = 2\n       ^\n"),
            ("\ta = 1\r\nb", 5..6, "x.toml:1:6: no\n  \ta = 1\n  \t    ^\n"),
            ("a = '''\nlong\n'''", 4..16, "x.toml:1:5: no\n  a = '''\n      ^^^\n"),
            ("a =", 3..3, "x.toml:1:4: no\n  a =\n     ^\n"),
            ("", 0..0, "x.toml:1:1: no\n  \n  ^\n"),
            ("a", 7..90, "x.toml:1:2: no\n  a\n   ^\n"),
        ];
        for (source, span, want) in cases {
            assert_eq!(render_problem(source, span), want, "{source:?}");
        }
    }

    #[test]
    fn long_line_is_cut_around_the_problem() {
        let source = format!("{}WRONG{}", "a".repeat(300), "b".repeat(300));
        let rendered = render_problem(&source, 300..305);
        assert!(rendered.contains("aaWRONGbb"), "{rendered}");
        assert!(rendered.contains("        ^^^^^\n"), "{rendered}");
        assert!(rendered.lines().all(|line| line.len() < 110), "{rendered}");
    }
}
