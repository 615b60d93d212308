//! Recognises prompts: texts after which a server waits for input.
//!
//! A prompt proves no protocol. It makes a port `telnet-likely`, which neither proves nor excludes
//! telnet, so these rules prefer false positives to false negatives. Other protocols are recognised
//! before these rules apply.

use std::sync::LazyLock;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GBK, IBM866, ISO_8859_2, KOI8_R, SHIFT_JIS, UTF_8,
    WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
};

use super::screen::Screen;
use crate::outcome::Rule;

/// English words for what a login prompt asks for, in lower case and matched in any case.
const LOGIN_WORDS: [&str; 30] = [
    "login",
    "login as",
    "login name",
    "login id",
    "logon",
    "logon name",
    "log in",
    "username",
    "user name",
    "user-name",
    "user",
    "user id",
    "user-id",
    "userid",
    "account",
    "account name",
    "account id",
    "password",
    "passwd",
    "pass word",
    "passcode",
    "pass code",
    "passphrase",
    "pass phrase",
    "verification code",
    "access code",
    "security code",
    "pin code",
    "operator id",
    "host name",
];

/// The same in other languages, in lower case. Prompts also start with a capital letter or are in
/// upper case.
#[rustfmt::skip]
const FOREIGN_WORDS: [&str; 61] = [
    // German, Dutch, Swedish, Danish, Norwegian
    "benutzername", "benutzer", "anmeldename", "anmeldung", "kennung", "kennwort", "passwort",
    "gebruikersnaam", "gebruiker", "wachtwoord", "användarnamn", "användare", "lösenord",
    "brugernavn", "adgangskode", "brukernavn", "passord",
    // Spanish, Portuguese, French, Italian
    "usuario", "contraseña", "clave", "usuário", "senha", "identifiant", "utilisateur",
    "mot de passe", "utente",
    // Polish, Czech, Hungarian, Turkish, Greek
    "użytkownik", "użytkownika", "hasło", "uživatel", "heslo", "felhasználónév", "jelszó",
    "kullanıcı adı", "kullanıcı", "şifre", "όνομα χρήστη", "κωδικός",
    // Russian and Ukrainian
    "имя пользователя", "пользователь", "логин", "пароль", "користувач",
    // Chinese, Japanese, Korean
    "用户名", "用户", "登录", "密码", "口令", "帐号", "账号", "使用者名稱", "帳號", "密碼",
    "ユーザー名", "ユーザ名", "ユーザ", "ログイン", "パスワード", "사용자", "로그인", "비밀번호",
];

/// Character sets of terminals that telnet servers support.
static CHARACTER_SETS: [&Encoding; 15] = [
    UTF_8,
    WINDOWS_1252,
    GBK,
    BIG5,
    SHIFT_JIS,
    EUC_JP,
    EUC_KR,
    WINDOWS_1251,
    KOI8_R,
    IBM866,
    WINDOWS_1250,
    ISO_8859_2,
    WINDOWS_1253,
    WINDOWS_1254,
    encoding_rs::ISO_8859_7,
];

/// Phrases that ask for a key press, in lower case.
const KEY_WORDS: [&str; 10] = [
    "press any key",
    "press enter",
    "press return",
    "press <",
    "press [",
    "hit any",
    "hit enter",
    "hit return",
    "strike any",
    "type any key",
];

/// Phrases that ask for a choice, in lower case.
const MENU_WORDS: [&str; 7] = [
    "--more--",
    "to continue",
    "your choice",
    "your selection",
    "enter selection",
    "enter choice",
    "select an option",
];

/// Words of a line that asks for input, if the line also ends like a question.
const ASKING_WORDS: [&str; 13] = [
    "enter",
    "input",
    "keyin",
    "key in",
    "select",
    "choose",
    "choice",
    "option",
    "selection",
    "command",
    "type",
    "press",
    "menu",
];

/// Words of texts around a login, in lower case. Of 4,655 banners of other protocols in the Recog
/// project, 8 contain one of them.
const LOGIN_TOPICS: [&str; 17] = [
    "login",
    "logon",
    "log in",
    "password",
    "username",
    "user name",
    "account",
    "session",
    "sessions",
    "console",
    "shell",
    "menu",
    "administrator",
    "administration",
    "connection refused",
    "connection closed",
    "connections are allowed",
];

/// The start of greetings of devices, also with other protocols.
const WELCOME: &str = "welcome to";

/// Limit of the length of a shell prompt without its final sign, in bytes.
const SHELL_PROMPT_MAX: usize = 64;

/// Returns the rule that recognises a prompt, telnet or a login in the text; `None` if none does.
pub(super) fn rule(screen: &Screen) -> Option<Rule> {
    if asks_for_login(screen) {
        Some(Rule::LoginPrompt)
    } else if is_shell_prompt(screen) {
        Some(Rule::ShellPrompt)
    } else if is_menu(screen) {
        Some(Rule::Menu)
    } else if mentions_telnet(screen.text()) {
        Some(Rule::NamesTelnet)
    } else if mentions_login(screen) || has_word(screen.text(), WELCOME.as_bytes()) {
        Some(Rule::NamesLogin)
    } else {
        None
    }
}

/// Returns whether the text ends with a prompt for a user name, a password or the like.
pub(super) fn asks_for_login(screen: &Screen) -> bool {
    let line = last_part(screen);
    let (asked, is_question) = without_question_mark(without_mask(line));
    let asked = without_hint(asked);
    let is_asked = |word: &[u8]| ends_with_word(asked, word);
    let mut english = LOGIN_WORDS.iter().map(|word| word.as_bytes());
    if is_question {
        english.any(is_asked) || foreign_words().any(|word| asked.ends_with(word))
    } else {
        // Without a question mark, the word must be the whole line.
        english.any(|word| asked.eq_ignore_ascii_case(word))
            || foreign_words().any(|word| asked == word)
    }
}

/// Returns whether the text ends with a prompt for a key press.
pub(super) fn asks_for_key(screen: &Screen) -> bool {
    has_any(last_part(screen), &KEY_WORDS)
}

/// Returns whether the text ends with a prompt for a choice or a key press: by its phrases, or because
/// its last line asks for input.
fn is_menu(screen: &Screen) -> bool {
    let line = last_part(screen);
    if has_any(line, &KEY_WORDS) || has_any(line, &MENU_WORDS) {
        return true;
    }
    let (asked, is_question) = without_question_mark(without_mask(line));
    let has_choices = line.ends_with(b")") && !screen.is_last_line_ended();
    (is_question || has_choices) && ASKING_WORDS.iter().any(|word| has_word(asked, word.as_bytes()))
}

/// Returns whether the text ends with the prompt of a shell or a command line: `/ #`, `user@host:~$`,
/// `Router>`, `<HUAWEI>`, `[admin@host] >`, `C:\>`.
fn is_shell_prompt(screen: &Screen) -> bool {
    let line = last_part(screen).trim_ascii();
    if !screen.is_last_line_ended() && is_in_angles(line) {
        return true;
    }
    let Some((&sign @ (b'#' | b'$' | b'>' | b'%'), location)) = line.split_last() else {
        return false;
    };
    let location = location.trim_ascii_end();
    let is_arrow = sign == b'>' && matches!(location, b"-" | b"=");
    let is_amount = sign != b'#'
        && location.last().is_some_and(u8::is_ascii_digit)
        && !location.iter().any(u8::is_ascii_alphabetic);
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b" _.@:~/\\()[]+-".contains(byte);
    let words = location.split(|&byte| byte == b' ').count();
    let ends_with_hyphen = location.last() == Some(&b'-');
    is_arrow
        || location.len() <= SHELL_PROMPT_MAX
            && words <= 2
            && !ends_with_hyphen
            && !is_amount
            && location.iter().all(is_allowed)
}

/// Returns whether a line is one name in angle brackets, as in the prompts of Huawei and H3C.
fn is_in_angles(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    name.is_some_and(|name| !name.is_empty() && name.iter().all(is_letter))
}

/// Returns whether a text mentions telnet or its daemon.
fn mentions_telnet(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = find(&text[from..], b"telnet") {
        let at = from + at;
        if at == 0 || !text[at - 1].is_ascii_alphabetic() {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Returns whether a text mentions a login, a session or a console.
pub(super) fn mentions_login(screen: &Screen) -> bool {
    let mentions = |text: &[u8]| LOGIN_TOPICS.iter().any(|topic| has_word(text, topic.as_bytes()));
    mentions(screen.text()) || mentions(screen.last_line())
}

/// Returns the last line, from the last carriage return before text; empty if it is markup, because a
/// page may contain any words.
fn last_part(screen: &Screen) -> &[u8] {
    let line = screen.last_line().trim_ascii_end();
    let at = line.iter().rposition(|&byte| byte == b'\r').map_or(0, |at| at + 1);
    let line = line[at..].trim_ascii_start();
    if is_markup(line) { b"" } else { line }
}

/// Returns whether a line contains a closing or self-closing tag, like a page.
fn is_markup(line: &[u8]) -> bool {
    let follows = |start: &[u8]| {
        let end = find(line, start).and_then(|at| line.get(at + start.len()));
        end.is_some_and(u8::is_ascii_alphabetic)
    };
    follows(b"</") || follows(b"<") && find(line, b"/>").is_some()
}

/// Returns the line without the placeholder for the input at its end.
fn without_mask(line: &[u8]) -> &[u8] {
    let mut line = line.trim_ascii_end();
    while let [rest @ .., b'*' | b'_' | b'.' | b'\x08'] = line {
        line = rest.trim_ascii_end();
    }
    line
}

/// Returns the line without the signs that end a question, and whether there were any.
fn without_question_mark(line: &[u8]) -> (&[u8], bool) {
    // Full-width colons in UTF-8, GBK and EUC-JP, Shift-JIS, Big5, EUC-KR.
    const WIDE_COLONS: [&[u8]; 5] =
        [b"\xef\xbc\x9a", b"\xa3\xba", b"\x81\x46", b"\xa1\x47", b"\xa1\xa7"];
    let mut rest = line;
    loop {
        let trimmed = rest.trim_ascii_end();
        let shorter = match trimmed {
            [shorter @ .., b':' | b'>' | b'=' | b'?'] => Some(shorter),
            _ => WIDE_COLONS.iter().find_map(|colon| trimmed.strip_suffix(*colon)),
        };
        match shorter {
            Some(shorter) => rest = shorter,
            None => return (trimmed, trimmed.len() < line.trim_ascii_end().len()),
        }
    }
}

/// Returns the text without a hint in brackets at its end: `Username(1-32 chars)`, `login [root]`.
fn without_hint(text: &[u8]) -> &[u8] {
    let opening = match text.last() {
        Some(b')') => b'(',
        Some(b']') => b'[',
        _ => return text,
    };
    match text.iter().rposition(|&byte| byte == opening) {
        Some(at) if at > 0 => text[..at].trim_ascii_end(),
        _ => text,
    }
}

/// Returns whether the text ends with the word, ignoring ASCII case.
fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    let end = text.len().checked_sub(word.len()).map(|at| &text[at..]);
    end.is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// Returns whether the text contains the word as a whole word, ignoring ASCII case.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let is_boundary = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphabetic());
    let mut from = 0;
    while let Some(at) = find(&text[from..], word) {
        let at = from + at;
        if is_boundary(at.checked_sub(1).and_then(|before| text.get(before)))
            && is_boundary(text.get(at + word.len()))
        {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Returns whether the text contains one of the phrases, ignoring ASCII case.
fn has_any(text: &[u8], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| find(text, phrase.as_bytes()).is_some())
}

/// Returns the position of the words in the text, ignoring ASCII case.
fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window.eq_ignore_ascii_case(words))
}

/// Iterates over the foreign words in every character set that can encode them.
fn foreign_words() -> impl Iterator<Item = &'static [u8]> {
    static WORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let in_all_sets = |word: String| {
            CHARACTER_SETS.iter().filter_map(move |set| encode(set, &word)).collect::<Vec<_>>()
        };
        let mut encoded: Vec<Vec<u8>> =
            FOREIGN_WORDS.iter().flat_map(|word| cases(word)).flat_map(in_all_sets).collect();
        encoded.sort_unstable();
        encoded.dedup();
        encoded
    });
    WORDS.iter().map(Vec::as_slice)
}

/// Returns the word in lower case, capitalised, and in upper case.
fn cases(word: &str) -> [String; 3] {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let capitalised = first.chain(letters).collect();
    [word.to_owned(), capitalised, word.to_uppercase()]
}

/// Encodes the word; `None` if the character set lacks one of its letters.
fn encode(set: &'static Encoding, word: &str) -> Option<Vec<u8>> {
    let (bytes, _, has_other_letters) = set.encode(word);
    (!has_other_letters).then(|| bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(bytes: &[u8]) -> Option<Rule> {
        let mut screen = Screen::default();
        for &byte in bytes {
            screen.push(byte);
        }
        rule(&screen)
    }

    #[track_caller]
    fn assert_rule<const N: usize>(expected: Option<Rule>, texts: [&[u8]; N]) {
        for text in texts {
            assert_eq!(rule_of(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn login_prompt_is_recognised_at_the_end_of_the_text() {
        assert_rule(
            Some(Rule::LoginPrompt),
            [
                b"host login: ",
                b"LOGIN:",
                b"\x1b[24;1HUsername: \x1b[?25h\x1b[24;11H",
                b"Login:\r\n",
                b"a\n\n  User ID: \0",
                b"Username>",
                b"UserName",
                b"TA-005 : CLI\n\rLogin : ",
                b"\r\nUsername(1-32 chars):",
                b"login [root]: ",
                b"Account Name: ",
                b"Please input the verification code:",
                b"ENTER PASSWORD: *",
                b"Please keyin your password:",
                b"Password? ",
                b"Welcome\r\nhostname LOGIN=",
            ],
        );
        let long = [&b"\x1b[1;1Hnotice".repeat(500)[..], b"login: "].concat();
        assert_eq!(rule_of(&long), Some(Rule::LoginPrompt));
        for text in [&b"login: ok"[..], b"login:\r\nwelcome", b"", b"ogin:", b"you login"] {
            assert_ne!(rule_of(text), Some(Rule::LoginPrompt), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn login_prompt_is_recognised_in_other_languages_and_character_sets() {
        for prompt in [
            "用户名:",
            "用户名：",
            "密码: ",
            "ユーザー名:",
            "사용자:",
            "Benutzername: ",
            "Usuario:",
            "Usuário: ",
            "CONTRASEÑA:",
            "Identifiant :",
            "Имя пользователя:",
            "ПАРОЛЬ: ",
            "Użytkownik: ",
            "Όνομα χρήστη: ",
        ] {
            let encoded: Vec<_> =
                CHARACTER_SETS.iter().filter_map(|set| encode(set, prompt)).collect();
            assert!(!encoded.is_empty());
            for bytes in encoded {
                let shown = bytes.escape_ascii();
                assert_eq!(rule_of(&bytes), Some(Rule::LoginPrompt), "{prompt} as {shown}");
            }
        }
    }

    #[test]
    fn shell_prompt_is_a_location_and_a_sign() {
        assert_rule(
            Some(Rule::ShellPrompt),
            [
                b"BusyBox v1.30.1 built-in shell (ash)\r\n/ # ",
                b"Router>",
                b"switch(config-if)#",
                b"$ ",
                b"user@host:~$ ",
                b"[root@host etc]# ",
                b"[admin@MikroTik] > ",
                b"C:\\WINDOWS\\system32>",
                b"<HUAWEI>",
                b"/> ",
                b"-> ",
                b"=>",
                b"%",
            ],
        );
        assert_rule(
            None,
            [
                b"<note>a</note>",
                b"<stream:features/>\r\n",
                b"100%",
                b"you owe us 5$",
                b"a text that goes on for a while and ends in #",
                b"-->",
            ],
        );
    }

    #[test]
    fn menu_asks_for_a_choice_or_a_key() {
        assert_rule(
            Some(Rule::Menu),
            [
                b"\n\nPress RETURN to get started.\r\n\n\n",
                b"Press any key to continue",
                b"1. Status\r\n2. Setup\r\nEnter your choice: ",
                b"1) a\r\n2) b\r\n\r\nSelection? ",
                b"--More--",
                b"Enter Application Name:",
            ],
        );
        assert_rule(None, [b"what is entered: nothing", b"no choices: left"]);
    }

    #[test]
    fn key_prompt_must_be_at_the_end_of_the_text() {
        let asks = |bytes: &[u8]| {
            let mut screen = Screen::default();
            for &byte in bytes {
                screen.push(byte);
            }
            asks_for_key(&screen)
        };
        assert!(asks(b"\n\nPress RETURN to get started.\r\n\n\n"));
        assert!(asks(b"Press any key to continue"));
        assert!(!asks(b"Press any key to continue\r\nlogin: "));
        assert!(!asks(b"1. Reboot\r\nEnter your choice: "));
    }

    #[test]
    fn text_that_mentions_telnet_is_recognised() {
        assert_rule(
            Some(Rule::NamesTelnet),
            [
                b"Sorry, the maximum number of telnet sessions is in use.\r\n",
                b"refused in.telnetd from 192.0.2.7 logged\n",
                b"Telnet server disabled\r\n",
            ],
        );
        assert_rule(None, [b"Use Stelnet\r\n", b"hello\r\n"]);
    }

    #[test]
    fn text_that_mentions_a_login_is_recognised() {
        assert_rule(
            Some(Rule::NamesLogin),
            [
                b"Password required, but none set\r\n",
                b"Sorry, the maximum number of sessions is in use.\r\n",
                b"% Username:  timeout expired!",
                b"Welcome to the device\r\n",
            ],
        );
        assert_rule(None, [b"a sessional text\r\n", b"temperature 21.5\r\n"]);
    }
}
