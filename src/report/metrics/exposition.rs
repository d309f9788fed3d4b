//! The text format of Prometheus.
//!
//! Pure. Invariant: a label value can contain any text; a metric without samples has no lines.

use std::fmt::Write as _;

/// The text while it is written, one metric after the other.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    name: &'static str,
    /// The lines about the metric, until its first sample.
    heading: String,
}

impl Exposition {
    pub(super) fn add_gauge(&mut self, name: &'static str, help: &str) {
        self.begin_metric(name, help, "gauge");
    }

    pub(super) fn add_counter(&mut self, name: &'static str, help: &str) {
        self.begin_metric(name, help, "counter");
    }

    pub(super) fn add_histogram(&mut self, name: &'static str, help: &str) {
        self.begin_metric(name, help, "histogram");
    }

    fn begin_metric(&mut self, name: &'static str, help: &str, kind: &str) {
        self.name = name;
        self.heading = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a value of the last metric.
    pub(super) fn add_sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.add_suffixed("", labels, value);
    }

    /// Adds a value of the last metric under its name with a suffix.
    pub(super) fn add_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&std::mem::take(&mut self.heading));
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (number, (label, value)) in labels.iter().enumerate() {
            let open = if number == 0 { '{' } else { ',' };
            // Writing to a text cannot fail.
            let _ = write!(self.text, "{open}{label}=\"{}\"", escape_label(value));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn escape_label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_and_a_metric_without_samples_has_no_lines() {
        let mut text = Exposition::default();
        text.add_gauge("a", "Nothing.");
        text.add_counter("b_total", "Some.");
        text.add_sample(&[("host", "a\"b\\c\nd"), ("kind", "봄")], 1.5);
        text.add_sample(&[], 1_764_000_000_000.0);
        text.add_histogram("c", "More.");
        text.add_suffixed("_bucket", &[("le", "+Inf")], 0.0);
        insta::assert_snapshot!(text.into_text(), @r#"
        # HELP b_total Some.
        # TYPE b_total counter
        b_total{host="a\"b\\c\nd",kind="봄"} 1.5
        b_total 1764000000000
        # HELP c More.
        # TYPE c histogram
        c_bucket{le="+Inf"} 0
        "#);
    }
}
