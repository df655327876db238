//! The text format in which Prometheus reads metrics, version 0.0.4. Written by hand: the libraries
//! that have it keep their histograms behind locks or their labels in maps, which would be on the
//! way of each request; what they would write is no more than this.

use crate::core::metrics::{By, By2, Counter, Histogram, Label};
use std::fmt::{Display, Write};

/// The content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// One metric, to which samples are added.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// The page.
    pub fn into_text(self) -> String {
        self.text
    }

    /// A metric that only goes up.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// A metric that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// How often a value fell between two bounds.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let text = &mut self.text;
        Family { text, name }
    }
}

impl Family<'_> {
    /// The one sample of a metric without labels.
    pub fn is(&mut self, value: impl Display) {
        self.of(&[], value);
    }

    /// The sample of these labels.
    pub fn of(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// A sample for each value of a label.
    pub fn by<L: Label>(&mut self, label: &str, counts: &By<L>) {
        for &value in L::ALL {
            self.of(&[(label, value.word())], counts.of(value).get());
        }
    }

    /// A sample for each pair of values of two labels.
    pub fn by_both<A: Label, B: Label>(&mut self, labels: [&str; 2], counts: &By2<A, B>) {
        for &a in A::ALL {
            for &b in B::ALL {
                let labels = [(labels[0], a.word()), (labels[1], b.word())];
                self.of(&labels, counts.of(a, b).get());
            }
        }
    }

    /// The one counter of a metric without labels.
    pub fn counted(&mut self, counter: &Counter) {
        self.is(counter.get());
    }

    /// The samples of a histogram, whose unit is so many to one of the metric's.
    pub fn spread<const N: usize>(
        &mut self,
        labels: &[(&str, &str)],
        histogram: &Histogram<N>,
        unit: f64,
    ) {
        let (buckets, count, sum) = histogram.read();
        let mut bucket = |bound: &str, up_to: u64| {
            let labels = [labels, &[("le", bound)]].concat();
            self.line("_bucket", &labels, up_to);
        };
        for (bound, up_to) in buckets {
            bucket(&(bound as f64 / unit).to_string(), up_to);
        }
        bucket("+Inf", count);
        self.line("_sum", labels, sum as f64 / unit);
        self.line("_count", labels, count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (n, (label, word)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"");
            for c in word.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_the_format_asks() {
        let mut page = Exposition::default();
        page.gauge("a", "What a is.").is(3);
        let odd = [("x", "back\\slash"), ("y", "a \"quote\"\nand a line")];
        page.counter("b_total", "What b is.").of(&odd, 0.5);
        let histogram = Histogram::new(&[1_000, 2_500]);
        for value in [500, 1_500, 9_000] {
            histogram.observe(value);
        }
        let mut family = page.histogram("c_seconds", "What c is.");
        family.spread(&[("z", "1")], &histogram, 1_000.0);
        let wanted = r#"# HELP a What a is.
# TYPE a gauge
a 3
# HELP b_total What b is.
# TYPE b_total counter
b_total{x="back\\slash",y="a \"quote\"\nand a line"} 0.5
# HELP c_seconds What c is.
# TYPE c_seconds histogram
c_seconds_bucket{z="1",le="1"} 1
c_seconds_bucket{z="1",le="2.5"} 2
c_seconds_bucket{z="1",le="+Inf"} 3
c_seconds_sum{z="1"} 11
c_seconds_count{z="1"} 3
"#;
        assert_eq!(page.into_text(), wanted);
    }
}
