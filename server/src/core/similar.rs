//! What somebody may have meant who typed an id or a name that nobody bears.

/// At most so many suggestions.
pub const SUGGESTIONS_MAX: usize = 3;

/// The words nearest to `wanted`, nearest first; none that has little in common with it.
pub fn nearest<'a>(wanted: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = words
        .map(|word| (strsim::jaro_winkler(&wanted, &word.to_lowercase()), word))
        .filter(|&(score, _)| score >= 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(SUGGESTIONS_MAX)
        .map(|(_, word)| word.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word_and_nonsense_finds_none() {
        let words = ["researcher", "reviewer", "writer", "k3v9x2ab"];
        assert_eq!(nearest("reseacher", words.into_iter())[0], "researcher");
        assert_eq!(nearest("Writer", words.into_iter()), ["writer"]);
        assert_eq!(nearest("k3v9x2ba", words.into_iter()), ["k3v9x2ab"]);
        assert!(nearest("zzzz", words.into_iter()).is_empty());
    }
}
