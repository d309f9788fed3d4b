//! Where a sheet comes from: a file, standard input, or a published sheet.
//!
//! Reads what is written and fetches nothing. A link may let whoever has it read the sheet, so no
//! message shows more of it than its host.

use std::fmt;

use toml::de::DeValue;
use url::{Host, Url};

use super::reader::SettingProblem;
use super::value;

/// Where a sheet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SheetSource {
    /// A file, by its path as it is written.
    File(String),
    /// Standard input, written as `-`.
    Stdin,
    /// A published sheet: https, or http on this machine.
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

/// Reads the setting.
pub(super) fn parse_sheet_source(value: &DeValue<'_>) -> Result<SheetSource, SettingProblem> {
    let text = value::parse_text(value)?;
    if text.trim() == "-" {
        return Ok(SheetSource::Stdin);
    }
    if !text.contains("://") {
        return Ok(SheetSource::File(text));
    }
    let example = "write it like \"https://docs.google.com/…/pub?output=csv\"";
    let url = Url::parse(text.trim()).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| SettingProblem::new("is no address").with_help(example))?;
    if !url.username().is_empty() || url.password().is_some() {
        let complaint =
            SettingProblem::new("has a password in its address, and batch files are shared");
        return Err(complaint
            .with_help("publish the sheet under a link that needs none")
            .as_confidential());
    }
    match url.scheme() {
        "https" => Ok(SheetSource::Link(url)),
        "http" if is_loopback(&url) => Ok(SheetSource::Link(url)),
        _ => Err(SettingProblem::new("must be an https address").with_help(example)),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
