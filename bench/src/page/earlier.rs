//! Puts new answers into an earlier page, and keeps its other answers.

/// What each answer of a page begins with.
const HEADING: &str = "\n## ";

/// Replaces or adds answers, each with its title, and counts the goals again. `titles` has the order of
/// the answers.
pub(super) fn update(page: &str, answers: Vec<(&str, String)>, titles: &[&str]) -> String {
    let (head, rest) = page.split_once(HEADING).unwrap_or((page, ""));
    let mut parts: Vec<(&str, String)> = Vec::new();
    for part in rest.split(HEADING).filter(|part| !part.is_empty()) {
        let title = part.lines().next().unwrap_or_default();
        parts.push((title, format!("{HEADING}{part}")));
    }
    for (title, answer) in answers {
        match parts.iter_mut().find(|(known, _)| *known == title) {
            Some((_, part)) => *part = answer,
            None => parts.push((title, answer)),
        }
    }
    // The split took the line feed before each heading.
    for (_, part) in &mut parts {
        part.truncate(part.trim_end().len());
        *part += "\n";
    }
    let place = |title: &str| titles.iter().position(|known| *known == title);
    // Questions that are asked no more come last.
    parts.sort_by_key(|(title, _)| place(title).unwrap_or(usize::MAX));
    let body: String = parts.into_iter().map(|(_, part)| part).collect();
    let (reached, missed) = (cells(&body, "reached"), cells(&body, "**missed**"));
    let count = format!("{reached} of {} goals are reached.", reached + missed);
    let line = |line: &str| {
        let is_count = line.ends_with(" goals are reached.");
        if is_count { count.clone() } else { line.to_owned() }
    };
    let head: Vec<_> = head.lines().map(line).collect();
    format!("{}\n{body}", head.join("\n").trim_end())
}

/// The rows of tables whose last cell has this text.
fn cells(text: &str, cell: &str) -> usize {
    let last = |line: &str| {
        let cells = line.trim_end().strip_suffix('|')?;
        Some(cells.rsplit('|').next()?.trim() == cell)
    };
    text.lines().filter(|line| last(line) == Some(true)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_answers_replace_and_join_those_of_the_page() {
        let [first, second, third] = ["How near?", "How long?", "How many?"];
        let goal = |state| format!("| a | 1 | at most 1 | {state} |\n");
        let answer = |title, text: &str| format!("\n## {title}\n\n{text}");
        let head = "# Results\n\n3 of 4 goals are reached.\n\n| memory | 1 |\n".to_owned();
        let old = [
            head,
            answer(first, &goal("reached   ")),
            answer("Old?", "gone\n"),
            answer(third, &goal("**missed**")),
        ];
        let new = vec![
            (third, answer(third, &goal("reached"))),
            (second, answer(second, &goal("**missed**"))),
        ];
        let expected = [
            "# Results\n\n2 of 3 goals are reached.\n\n| memory | 1 |\n".to_owned(),
            answer(first, &goal("reached   ")),
            answer(second, &goal("**missed**")),
            answer(third, &goal("reached")),
            answer("Old?", "gone\n"),
        ];
        assert_eq!(update(&old.concat(), new, &[first, second, third]), expected.concat());
    }
}
