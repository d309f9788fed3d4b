//! Text with styles: the only way to print colour.
//!
//! The printer removes every escape sequence from plain text, so colour cannot be written into a
//! string. Invariant: the parts of a styled text contain no escape sequence of their own.

use crate::cli::output::printer::text_width;
use crate::text::strip_control;

/// What comes before a command in a line of its own.
const COMMAND_LINE_START: &str = "\n    ";

/// What a part of a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageStyle {
    Plain,
    /// Finished: green.
    Good,
    /// Failed: red.
    Bad,
    /// Needs attention: yellow.
    Warning,
    /// Counts and names: bold.
    Bold,
    /// A command to type: cyan.
    Command,
}

/// A text whose parts have styles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StyledText {
    parts: Vec<(MessageStyle, String)>,
}

impl StyledText {
    /// Appends a part.
    pub(crate) fn with(mut self, style: MessageStyle, text: impl Into<String>) -> Self {
        self.parts.push((style, text.into()));
        self
    }

    /// Appends a part without a style.
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.with(MessageStyle::Plain, text)
    }

    /// Returns the text with the command at its end in a line of its own, if it is wider than `columns`:
    /// a terminal would break the command.
    pub(crate) fn fit(mut self, columns: usize) -> Self {
        let is_wide = text_width(&self.render(false)) > columns;
        if let [.., (_, before), (MessageStyle::Command, command)] = &mut self.parts[..]
            && is_wide
        {
            before.truncate(before.trim_end().len());
            command.insert_str(0, COMMAND_LINE_START);
        }
        self
    }

    /// Returns the text, with the terminal's codes if `is_colored`.
    pub(crate) fn render(&self, is_colored: bool) -> String {
        let part = |(style, text): &(MessageStyle, String)| {
            let text = text.split('\n').map(strip_control).collect::<Vec<_>>().join("\n");
            match style.code() {
                Some(code) if is_colored => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
                Some(_) | None => text,
            }
        };
        self.parts.iter().map(part).collect()
    }
}

impl MessageStyle {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warning => Some("33"),
            Self::Bold => Some("1"),
            Self::Command => Some("36"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::output::styled_text::*;

    #[test]
    fn only_the_styles_themselves_become_escape_sequences() {
        let text = StyledText::default().with(MessageStyle::Bad, "a\u{1b}]0;b").plain("\u{202e}c");
        assert_eq!(text.render(false), "a ]0;bc");
        assert_eq!(text.render(true), "\u{1b}[31ma ]0;b\u{1b}[0mc");
    }

    #[test]
    fn a_command_that_does_not_fit_gets_its_own_line() {
        let text = || {
            let command = "callsheet status spring";
            StyledText::default().plain("Details:  ").with(MessageStyle::Command, command)
        };
        assert_eq!(text().fit(33).render(false), "Details:  callsheet status spring");
        assert_eq!(text().fit(32).render(false), "Details:\n    callsheet status spring");
    }
}
