//! The word that was probably meant.

/// The candidate closest to `word`, if it is close enough to be a misspelling: by edit distance, or because one of
/// them begins with the other.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = edit_distance(&word, candidate);
            let prefix = letters >= 3 && (candidate.starts_with(&word) || word.starts_with(candidate));
            let near = distance <= 1 + letters / 4 && distance < letters;
            (near || prefix).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Least number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (the optimal
/// string alignment distance).
pub fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_pairs() {
        for (a, b, distance) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("margin", "magrin", 1), ("ab", "ba", 1)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

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
