//! What is wrong with a batch file, and where.
//!
//! Holds the problems and draws them as plain text for logs and pipes; a terminal may draw them
//! prettier from the same fields. It decides nothing about batch files.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Characters of the offending line that are shown.
const LINE_CHARACTERS_MAX: usize = 96;

/// Everything that is wrong with one batch file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFileProblems {
    /// The batch file, as it was given.
    pub file: PathBuf,
    /// Its text, with secrets blotted out; as long in bytes as the file.
    pub source: String,
    /// At least one.
    pub problems: Vec<BatchFileProblem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFileProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The bytes of the source that it is about; none for what is not there.
    pub span: Option<Range<usize>>,
}

/// A place in a text as an editor shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl BatchFileProblems {
    /// Returns where `problem` begins, unless it is about something that is not there.
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

    /// A span is given by whoever makes the problem; a wrong one must not stop the report.
    fn floor_to_char(&self, at: usize) -> usize {
        self.source.floor_char_boundary(at)
    }

    /// Writes the offending line and a row of carets under the offending part.
    fn write_underlined(&self, f: &mut fmt::Formatter<'_>, span: &Range<usize>) -> fmt::Result {
        let start = self.floor_to_char(span.start);
        let line_start = self.line_start(start);
        let line = self.source[line_start..].lines().next().unwrap_or_default();
        let column = self.source[line_start..start].chars().count();
        let end = self
            .floor_to_char(span.end.clamp(start, line_start + line.len().max(start - line_start)));
        let width = self.source[start..end].chars().count().max(1);
        // A long line is shown from a little before the place that matters.
        let skipped =
            if column + width > LINE_CHARACTERS_MAX { column.saturating_sub(8) } else { 0 };
        let shown: String = line.chars().skip(skipped).take(LINE_CHARACTERS_MAX).collect();
        // Tabs stay tabs, so that the carets stand where the terminal puts the text.
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
    fn carets_stand_under_the_part_that_is_wrong() {
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
    fn a_long_line_is_shown_around_its_fault() {
        let source = format!("{}WRONG{}", "a".repeat(300), "b".repeat(300));
        let drawn = render_problem(&source, 300..305);
        assert!(drawn.contains("aaWRONGbb") && drawn.contains("        ^^^^^\n"), "{drawn}");
        assert!(drawn.lines().all(|line| line.len() < 110), "{drawn}");
    }
}
