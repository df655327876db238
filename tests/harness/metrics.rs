//! Reads `GET /metrics` as strictly as the format is told: what a lenient reader would let pass
//! fails here.

use crate::Relay;
use std::collections::{BTreeMap, BTreeSet};

/// The labels of a sample, by name.
pub type Labels = BTreeMap<String, String>;

/// One page of metrics.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Name to type.
    pub families: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    /// Asks a relay.
    ///
    /// # Panics
    /// When what it says is not in the format.
    pub fn of(relay: &Relay) -> Scrape {
        let reply = relay.get("/metrics");
        assert_eq!(reply.status, 200, "{}", reply.text);
        Scrape::read(&reply.text)
    }

    /// Reads a page.
    ///
    /// # Panics
    /// When it is not in the format.
    pub fn read(page: &str) -> Scrape {
        assert!(page.ends_with('\n'), "the last line has no end");
        let mut scrape = Scrape::default();
        let (mut told, mut current) = (BTreeSet::new(), String::new());
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            let Some(help) = line.strip_prefix("# HELP ") else {
                scrape.sample(line, &current);
                continue;
            };
            let (name, text) = help.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !text.is_empty(), "{line}");
            assert!(told.insert(name.to_owned()), "told twice: {line}");
            let next = lines.next().unwrap_or_default();
            let kind = next.strip_prefix(&format!("# TYPE {name} "));
            let kind = kind.unwrap_or_else(|| panic!("no type: {next}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{next}");
            assert_eq!(
                name.ends_with("_total"),
                kind == "counter",
                "a counter, and nothing else, ends in _total: {next}"
            );
            scrape.families.insert(name.to_owned(), kind.to_owned());
            current = name.to_owned();
        }
        scrape.check_histograms();
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let suffix = name.strip_prefix(family);
        let suffix = suffix.unwrap_or_else(|| panic!("not one of {family}: {line}"));
        match self.families.get(family).map(String::as_str) {
            Some("histogram") => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            _ => assert_eq!(suffix, "", "{line}"),
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => read_labels(rest),
            None => (Labels::new(), rest),
        };
        let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let before = self.samples.insert((name.to_owned(), labels), value);
        assert_eq!(before, None, "twice: {line}");
    }

    /// The buckets go up, the last is +Inf, and that is the count.
    fn check_histograms(&self) {
        for (name, _) in self
            .families
            .iter()
            .filter(|(_, kind)| *kind == "histogram")
        {
            let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), value) in self.named(&format!("{name}_bucket")) {
                let mut labels = labels.clone();
                let bound = labels.remove("le").expect("a bound");
                let bound = match bound.as_str() {
                    "+Inf" => f64::INFINITY,
                    bound => bound.parse().expect("a number"),
                };
                series.entry(labels).or_default().push((bound, *value));
            }
            assert!(!series.is_empty(), "{name} has no buckets");
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(
                    buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1),
                    "{name}"
                );
                let (bound, all) = buckets[buckets.len() - 1];
                assert!(bound.is_infinite(), "{name} has no bucket +Inf");
                for (suffix, wanted) in [("_count", Some(all)), ("_sum", None)] {
                    let sample = (format!("{name}{suffix}"), labels.clone());
                    let value = self
                        .samples
                        .get(&sample)
                        .unwrap_or_else(|| panic!("{sample:?}"));
                    assert!(wanted.is_none_or(|wanted| wanted == *value), "{sample:?}");
                }
            }
        }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = (&(String, Labels), &f64)> {
        self.samples.iter().filter(move |((own, _), _)| own == name)
    }

    /// The sum of the samples that a selector means, as `name` or `name{label="value"}`.
    ///
    /// # Panics
    /// When there is none.
    pub fn value(&self, selector: &str) -> f64 {
        let value = self.find(selector);
        value.unwrap_or_else(|| panic!("{selector} is not in the metrics"))
    }

    /// The same; `None` when there is none.
    pub fn find(&self, selector: &str) -> Option<f64> {
        let (name, wanted) = match selector.split_once('{') {
            Some((name, rest)) => (name, read_labels(rest).0),
            None => (selector, Labels::new()),
        };
        let meant = self.named(name).filter(|((_, labels), _)| {
            let mut wanted = wanted.iter();
            wanted.all(|(label, value)| labels.get(label) == Some(value))
        });
        let values: Vec<f64> = meant.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// What a label of this metric is, wherever there is one.
    pub fn labels(&self, name: &str, label: &str) -> BTreeSet<String> {
        let values = self
            .named(name)
            .filter_map(|((_, labels), _)| labels.get(label));
        values.cloned().collect()
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    first
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The labels up to their closing bracket, and what comes after it.
fn read_labels(mut text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next().expect("the end of a label") {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next().expect("what is escaped").1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(
            labels.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
        text = &rest[end + 1..];
        match text.split_at(1) {
            (",", rest) => text = rest,
            ("}", rest) => return (labels, rest),
            _ => panic!("what follows a label: {text}"),
        }
    }
}
