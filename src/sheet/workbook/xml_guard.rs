//! Limits of the XML in a workbook, checked on its bytes before a parser holds them in memory.
//!
//! A parser holds one tag, one text or one comment at a time; the readers of cells hold one text of a
//! cell, which may consist of many. Both are limited. Invariant: whatever is read through an
//! [`XmlGuard`] contains neither above the limits.

use std::fmt;
use std::io::{self, Read};

/// The longest text of a cell, tag or comment.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Shared strings, or cells, of one part.
const ITEMS_MAX: u64 = 10_000_000;
/// Cell styles. Spreadsheets themselves stop at 65,490.
const STYLES_MAX: u64 = 262_144;
/// Elements of parts that contain neither cells nor texts.
const ELEMENTS_MAX: u64 = 2_000_000;
/// The part of a tag that is kept to know its name.
const NAME_BYTES: usize = 40;

/// A limit that a workbook exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkbookLimit {
    /// All parts together.
    Unpacked,
    Parts,
    /// One part.
    Part,
    /// A text, at the end of so many rows.
    Text {
        rows: u64,
    },
    Cells,
    Styles,
    Elements,
    /// Formulas without a value.
    Formulas,
    /// Blanks in one element of an ODS text.
    Blanks,
}

impl fmt::Display for WorkbookLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpacked => f.write_str("the workbook unpacks to more than 512 MB"),
            Self::Parts => f.write_str("the workbook has more than 10,000 parts"),
            Self::Part => f.write_str("a part of the workbook unpacks to more than 256 MB"),
            Self::Text { rows: 0 } => f.write_str("a text in the workbook is longer than 1 MB"),
            Self::Text { rows } => {
                write!(f, "a text in the workbook is longer than 1 MB, in or after row {rows}")
            }
            Self::Cells => f.write_str("the worksheet has more than 10,000,000 cells"),
            Self::Styles => f.write_str("the workbook has more than 262,144 cell styles"),
            Self::Elements => {
                f.write_str("a part of the workbook has more than 2,000,000 elements")
            }
            Self::Formulas => {
                f.write_str("more than 1,000,000 formulas in the worksheet have no stored value")
            }
            Self::Blanks => {
                f.write_str("a text in the workbook has more than 10,000 blanks at once")
            }
        }
    }
}

impl std::error::Error for WorkbookLimit {}

impl WorkbookLimit {
    /// Returns the limit that ended a read.
    pub(super) fn from_error(err: &io::Error) -> Option<Self> {
        err.get_ref()?.downcast_ref::<Self>().copied()
    }
}

/// A reader that fails at a limit.
#[derive(Debug)]
pub(super) struct XmlGuard<R> {
    inner: R,
    bytes_left: u64,
    scan: XmlScan,
}

impl<R: Read> XmlGuard<R> {
    pub(super) fn new(inner: R, bytes_max: u64) -> Self {
        Self { inner, bytes_left: bytes_max, scan: XmlScan::default() }
    }
}

impl<R: Read> Read for XmlGuard<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let left = self.bytes_left.checked_sub(read as u64);
        self.bytes_left = left.ok_or_else(|| io::Error::other(WorkbookLimit::Part))?;
        self.scan.scan(&into[..read]).map_err(io::Error::other)?;
        Ok(read)
    }
}

/// The kind of a part, by its first element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PartKind {
    #[default]
    Unknown,
    SharedStrings,
    Worksheet,
    OdsContent,
    Styles,
    Other,
}

/// The token that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum XmlToken {
    #[default]
    Text,
    Tag,
    /// Within the quotes of an attribute.
    Attribute {
        quote: u8,
    },
    Comment,
    CData,
    Instruction,
    /// `<!DOCTYPE`, with the number of open angle brackets.
    Declaration {
        depth: usize,
    },
}

/// The position in the XML.
#[derive(Debug, Default)]
struct XmlScan {
    part: PartKind,
    token: XmlToken,
    /// The bytes of the token so far, and the first and the last of them.
    length: usize,
    first: Vec<u8>,
    last: [u8; 2],
    /// The bytes of text since the beginning of the cell or of the shared string.
    item_text: usize,
    items: u64,
    rows: u64,
    styles: u64,
    elements: u64,
}

impl XmlScan {
    fn scan(&mut self, bytes: &[u8]) -> Result<(), WorkbookLimit> {
        for byte in bytes {
            self.step(*byte)?;
            self.last = [self.last[1], *byte];
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), WorkbookLimit> {
        self.length += 1;
        if self.length > TEXT_BYTES_MAX {
            return Err(WorkbookLimit::Text { rows: self.rows });
        }
        if self.token != XmlToken::Text && self.first.len() < NAME_BYTES {
            self.first.push(byte);
        }
        let is_end = byte == b'>';
        match self.token {
            XmlToken::Text if byte == b'<' => self.begin(XmlToken::Tag),
            XmlToken::Text => self.count_text()?,
            XmlToken::Tag => self.step_tag(byte)?,
            XmlToken::Attribute { quote } if byte == quote => self.token = XmlToken::Tag,
            XmlToken::Attribute { .. } => {}
            XmlToken::Comment if is_end && self.last == *b"--" => self.begin(XmlToken::Text),
            XmlToken::CData if is_end && self.last == *b"]]" => self.begin(XmlToken::Text),
            XmlToken::CData => self.count_text()?,
            XmlToken::Instruction if is_end && self.last[1] == b'?' => self.begin(XmlToken::Text),
            XmlToken::Declaration { depth: 1 } if is_end => self.begin(XmlToken::Text),
            XmlToken::Declaration { depth } => {
                let depth = depth + usize::from(byte == b'<') - usize::from(is_end);
                self.token = XmlToken::Declaration { depth };
            }
            XmlToken::Comment | XmlToken::Instruction => {}
        }
        Ok(())
    }

    fn step_tag(&mut self, byte: u8) -> Result<(), WorkbookLimit> {
        match byte {
            b'>' => {
                self.end_tag()?;
                self.begin(XmlToken::Text);
            }
            b'"' | b'\'' => self.token = XmlToken::Attribute { quote: byte },
            b'?' if self.length == 1 => self.token = XmlToken::Instruction,
            _ if self.first == *b"!--" => self.token = XmlToken::Comment,
            _ if self.first == *b"![CDATA[" => self.token = XmlToken::CData,
            _ if self.first == *b"!D" => self.token = XmlToken::Declaration { depth: 1 },
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, token: XmlToken) {
        self.token = token;
        self.length = 0;
        self.first.clear();
    }

    fn count_text(&mut self) -> Result<(), WorkbookLimit> {
        self.item_text += 1;
        let has_items = matches!(
            self.part,
            PartKind::SharedStrings | PartKind::Worksheet | PartKind::OdsContent
        );
        if has_items && self.item_text > TEXT_BYTES_MAX {
            return Err(WorkbookLimit::Text { rows: self.rows });
        }
        Ok(())
    }

    /// Counts a start tag by its name.
    fn end_tag(&mut self) -> Result<(), WorkbookLimit> {
        if self.first.first() == Some(&b'/') {
            return Ok(());
        }
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
        let end = self.first.iter().position(is_end).unwrap_or(self.first.len());
        let name = &self.first[..end];
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
        if self.part == PartKind::Unknown {
            self.part = match local {
                b"sst" => PartKind::SharedStrings,
                b"worksheet" => PartKind::Worksheet,
                b"document-content" => PartKind::OdsContent,
                b"styleSheet" => PartKind::Styles,
                _ => PartKind::Other,
            };
        }
        let (is_row, is_item) = match self.part {
            PartKind::SharedStrings => (false, local == b"si"),
            PartKind::Worksheet => (local == b"row", local == b"c"),
            PartKind::OdsContent => (
                local == b"table-row",
                matches!(local, b"table-cell" | b"covered-table-cell" | b"annotation"),
            ),
            PartKind::Styles | PartKind::Other | PartKind::Unknown => (false, false),
        };
        if is_row || is_item {
            self.item_text = 0;
        }
        self.rows += u64::from(is_row);
        self.items += u64::from(is_item);
        self.elements += u64::from(matches!(self.part, PartKind::Styles | PartKind::Other));
        self.styles += u64::from(self.part == PartKind::Styles && local == b"xf");
        if self.items > ITEMS_MAX {
            return Err(WorkbookLimit::Cells);
        }
        if self.styles > STYLES_MAX {
            return Err(WorkbookLimit::Styles);
        }
        if self.elements > ELEMENTS_MAX {
            return Err(WorkbookLimit::Elements);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(xml: &str) -> Option<WorkbookLimit> {
        let guarded = io::copy(&mut XmlGuard::new(xml.as_bytes(), 64 << 20), &mut io::sink());
        guarded.err().map(|err| WorkbookLimit::from_error(&err).unwrap())
    }

    #[test]
    fn long_texts_are_found_in_every_form() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let half = "x".repeat(TEXT_BYTES_MAX / 2 + 1);
        let text = |rows| Some(WorkbookLimit::Text { rows });
        for (xml, want) in [
            (format!("<a><b>{half}</b><b>{half}</b></a>"), None),
            (format!("<a>{long}</a>"), text(0)),
            (format!("<a b='{long}'/>"), text(0)),
            (format!("<a b='{}'/>", "><".repeat(TEXT_BYTES_MAX)), text(0)),
            (format!("<a><!-- {} --></a>", "<b>".repeat(TEXT_BYTES_MAX)), text(0)),
            (format!("<a><![CDATA[{}]]></a>", "<b>".repeat(TEXT_BYTES_MAX)), text(0)),
            (format!("<!DOCTYPE a [{}]><a/>", "<!ENTITY b 'c'>".repeat(TEXT_BYTES_MAX)), text(0)),
            (format!("<?a {}?><a/>", "<b>".repeat(TEXT_BYTES_MAX)), text(0)),
            (format!("<sst><si><t>{half}</t></si><si><t>{half}</t></si></sst>"), None),
            (format!("<sst><si><r><t>{half}</t></r><r><t>{half}</t></r></si></sst>"), text(0)),
            (format!("<x:worksheet><x:row><x:c>{half}<v>{half}</v></x:c></x:row>"), text(1)),
            ("<!-- > --><a b=\"'>\"/>".to_owned() + &"<b/>".repeat(TEXT_BYTES_MAX), None),
        ] {
            assert_eq!(limit(&xml), want, "{}", &xml[..40]);
        }
    }

    #[test]
    fn sizes_and_counts_are_limited() {
        let rows = "<c/>".repeat(9 << 20);
        assert_eq!(limit(&rows), Some(WorkbookLimit::Elements));
        let cells = format!("<worksheet>{}", "<c/>".repeat(10_000_001));
        assert_eq!(limit(&cells), Some(WorkbookLimit::Cells));
        let styles = format!("<styleSheet>{}", "<xf/>".repeat(262_145));
        assert_eq!(limit(&styles), Some(WorkbookLimit::Styles));
        let mut guard = XmlGuard::new("<a>1234</a>".as_bytes(), 10);
        let err = io::copy(&mut guard, &mut io::sink()).unwrap_err();
        assert_eq!(WorkbookLimit::from_error(&err), Some(WorkbookLimit::Part));
    }
}
