//! The source of a sheet: a file, standard input, or a published sheet.
//!
//! Parses the setting; it reads no sheet. Invariant: no message shows more of a link than its host,
//! because the link may give access to the sheet.

use std::fmt;

use toml::de::DeValue;
use url::Url;

use super::reader::SettingProblem;
use super::studio_section::is_loopback;
use super::value;

/// The source of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SheetSource {
    /// The path of a file, as written in the batch file.
    File(String),
    /// Standard input, written as `-`.
    Stdin,
    /// The URL of a published sheet: https, or http on this machine.
    Link(Url),
}

impl fmt::Display for SheetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Stdin => f.write_str("standard input"),
            Self::Link(url) => {
                write!(f, "{}://{}/…", url.scheme(), url.host_str().unwrap_or_default())
            }
        }
    }
}

/// Parses the setting `sheet`.
pub(super) fn parse_sheet_source(value: &DeValue<'_>) -> Result<SheetSource, SettingProblem> {
    let text = value::parse_text(value)?;
    if text.trim() == "-" {
        return Ok(SheetSource::Stdin);
    }
    if !text.contains("://") {
        return value::parse_path(value).map(SheetSource::File);
    }
    let example = "write it like \"https://docs.google.com/…/pub?output=csv\"";
    let url = Url::parse(text.trim()).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| SettingProblem::new("is not a valid URL").with_help(example))?;
    if !url.username().is_empty() || url.password().is_some() {
        let problem = SettingProblem::new("contains a password, and batch files are shared");
        return Err(problem
            .with_help("publish the sheet under a link without a password")
            .into_confidential());
    }
    match url.scheme() {
        "https" => Ok(SheetSource::Link(url)),
        "http" if is_loopback(&url) => Ok(SheetSource::Link(url)),
        _ => Err(SettingProblem::new("must be an https URL").with_help(example)),
    }
}
