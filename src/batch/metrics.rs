//! `[metrics]`: where the metrics of the ledger are written for Prometheus.

use std::path::{Path, PathBuf};

use super::paths::resolve_path;
use super::reader::{SettingProblem, SettingsReader};
use super::value;

const SECTION: &str = "metrics";

/// Metrics for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// `textfile`: a file for the textfile collector of `node_exporter`.
    pub textfile: Option<PathBuf>,
}

impl MetricsSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>, file: &Path) -> Self {
        let textfile = reader.get(SECTION, "textfile", |value| {
            let path = resolve_path(file, &value::parse_path(value)?);
            // The collector reads no other file, and does not report that.
            match path.extension().is_some_and(|extension| extension == "prom") {
                true => Ok(path),
                false => Err(SettingProblem::new("must end in `.prom`")
                    .with_help("node_exporter reads only such files of its textfile folder")),
            }
        });
        Self { textfile }
    }
}
