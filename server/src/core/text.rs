//! Finding a text in another, whatever the case of its letters.

/// Whether `lower`, which is in lower case, stands somewhere in `text` once that is.
pub fn says(text: &str, lower: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(lower);
    }
    // Asked of a million texts for one question: nothing is copied.
    let Some((&first, rest)) = lower.as_bytes().split_first() else {
        return true;
    };
    let text = text.as_bytes();
    let starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), text);
    let mut rests = starts.map(|at| &text[at + 1..]);
    rests.any(|own| {
        own.get(..rest.len())
            .is_some_and(|own| own.eq_ignore_ascii_case(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_copy_in_lower_case_contains(
            text in "[aAbBİıKßé1 ]{0,12}",
            wanted in "[aAbBİıKßé1 ]{0,3}",
        ) {
            let wanted = wanted.to_lowercase();
            prop_assert_eq!(says(&text, &wanted), text.to_lowercase().contains(&wanted));
        }
    }
}
