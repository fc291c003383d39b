//! The word that was probably meant.

/// The candidate closest to `word`, if it is close enough to be a misspelling: by edit distance, or because one of
/// them begins with the other.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::osa_distance(&word, candidate);
            let prefix = letters >= 3 && (candidate.starts_with(&word) || word.starts_with(candidate));
            let near = distance <= 1 + letters / 4 && distance < letters;
            (near || prefix).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_nonsense_does_not() {
        let words = ["margin", "inverse_margin", "l2_norm", "param_norm", "distance_from_init"];
        assert_eq!(did_you_mean("magrin", words), Some("margin"));
        assert_eq!(did_you_mean("Margin", words), Some("margin"));
        assert_eq!(did_you_mean("l2norm", words), Some("l2_norm"));
        assert_eq!(did_you_mean("distance", words), Some("distance_from_init"));
        assert_eq!(did_you_mean("zebra_stripes", words), None);
        assert_eq!(did_you_mean("x", words), None);
    }
}
