//! Recognises the prompts of a screen: the texts behind which a server waits for somebody to type.
//!
//! A prompt proves no protocol. It makes a port `telnet-likely`, which is no proof that telnet is
//! absent, so a rule here may rather recognise too much than too little; what another protocol
//! says is named before these rules are asked.

use std::sync::LazyLock;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GBK, IBM866, ISO_8859_2, KOI8_R, SHIFT_JIS, UTF_8,
    WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
};

use super::screen::Screen;
use crate::outcome::Rule;

/// What people are asked for when they log in, in English: small letters, matched in any case.
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

/// The same in other languages, in small letters. Prompts also begin with a capital or have
/// nothing but capitals.
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

/// Character sets of terminals that telnet servers were written for.
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

/// Phrases that ask for a key, in small letters.
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

/// Phrases that ask for a choice, in small letters.
const MENU_WORDS: [&str; 7] = [
    "--more--",
    "to continue",
    "your choice",
    "your selection",
    "enter selection",
    "enter choice",
    "select an option",
];

/// Words with which a line asks for something to be typed, when it ends as a question does.
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

/// What only a text speaks of that belongs to a login or leads to one, in small letters. Of the
/// banners of other protocols in the Recog project 8 of 4,655 have one of them.
const LOGIN_SIGNS: [&str; 17] = [
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

/// What greetings of devices begin with, also those of other protocols.
const WELCOME: &str = "welcome to";

/// Bytes of a shell's prompt at most, without what it ends in.
const SHELL_PROMPT_MAX: usize = 64;

/// The rule by which the text ends in a prompt or names telnet; `None`: by none.
pub(super) fn rule(screen: &Screen) -> Option<Rule> {
    if asks_for_login(screen) {
        Some(Rule::LoginPrompt)
    } else if is_shell_prompt(screen) {
        Some(Rule::ShellPrompt)
    } else if is_menu(screen) {
        Some(Rule::Menu)
    } else if names_telnet(screen.text()) {
        Some(Rule::NamesTelnet)
    } else if speaks_of_login(screen) || has_word(screen.text(), WELCOME.as_bytes()) {
        Some(Rule::NamesLogin)
    } else {
        None
    }
}

/// Whether the text ends by asking for a user name, a password or the like.
pub(super) fn asks_for_login(screen: &Screen) -> bool {
    let line = last_part(screen);
    let (asked, is_question) = without_question_mark(without_mask(line));
    let asked = without_hint(asked);
    let is_asked = |word: &[u8]| ends_with_word(asked, word);
    let mut english = LOGIN_WORDS.iter().map(|word| word.as_bytes());
    if is_question {
        english.any(is_asked) || foreign_words().any(|word| asked.ends_with(word))
    } else {
        // Without a sign of its end only a line that has nothing else asks for it.
        english.any(|word| asked.eq_ignore_ascii_case(word))
            || foreign_words().any(|word| asked == word)
    }
}

/// Whether the text ends by asking for a key.
pub(super) fn asks_for_key(screen: &Screen) -> bool {
    has_any(last_part(screen), &KEY_WORDS)
}

/// Whether the text ends by asking for a choice or a key: by its words, or because its last line
/// asks for something to be typed.
fn is_menu(screen: &Screen) -> bool {
    let line = last_part(screen);
    if has_any(line, &KEY_WORDS) || has_any(line, &MENU_WORDS) {
        return true;
    }
    let (asked, is_question) = without_question_mark(without_mask(line));
    let has_choices = line.ends_with(b")") && !screen.is_last_line_ended();
    (is_question || has_choices) && ASKING_WORDS.iter().any(|word| has_word(asked, word.as_bytes()))
}

/// Whether the text ends in the prompt of a shell or a command line: `/ #`, `user@host:~$`,
/// `Router>`, `<HUAWEI>`, `[admin@host] >`, `C:\>`.
fn is_shell_prompt(screen: &Screen) -> bool {
    let line = last_part(screen).trim_ascii();
    if !screen.is_last_line_ended() && is_in_angles(line) {
        return true;
    }
    let Some((&sign @ (b'#' | b'$' | b'>' | b'%'), place)) = line.split_last() else {
        return false;
    };
    let place = place.trim_ascii_end();
    let is_arrow = sign == b'>' && matches!(place, b"-" | b"=");
    let is_amount = sign != b'#'
        && place.last().is_some_and(u8::is_ascii_digit)
        && !place.iter().any(u8::is_ascii_alphabetic);
    let is_place = |byte: &u8| byte.is_ascii_alphanumeric() || b" _.@:~/\\()[]+-".contains(byte);
    let words = place.split(|&byte| byte == b' ').count();
    let ends_well = place.last().is_none_or(|&last| last != b'-');
    is_arrow
        || place.len() <= SHELL_PROMPT_MAX
            && words <= 2
            && ends_well
            && !is_amount
            && place.iter().all(is_place)
}

/// Whether a line is one name in angle brackets: the prompt of Huawei's and H3C's command lines.
fn is_in_angles(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    name.is_some_and(|name| !name.is_empty() && name.iter().all(is_letter))
}

/// Whether a text names telnet or its daemon.
fn names_telnet(text: &[u8]) -> bool {
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

/// Whether a text speaks of a login, a session or a console.
pub(super) fn speaks_of_login(screen: &Screen) -> bool {
    let has_sign = |text: &[u8]| LOGIN_SIGNS.iter().any(|sign| has_word(text, sign.as_bytes()));
    has_sign(screen.text()) || has_sign(screen.last_line())
}

/// The last line, from the last carriage return before text; empty where it is markup, because a
/// page may contain any words.
fn last_part(screen: &Screen) -> &[u8] {
    let line = screen.last_line().trim_ascii_end();
    let at = line.iter().rposition(|&byte| byte == b'\r').map_or(0, |at| at + 1);
    let line = line[at..].trim_ascii_start();
    if is_markup(line) { b"" } else { line }
}

/// Whether a line has a tag that is closed, as pages have.
fn is_markup(line: &[u8]) -> bool {
    let follows = |start: &[u8]| {
        let end = find(line, start).and_then(|at| line.get(at + start.len()));
        end.is_some_and(u8::is_ascii_alphabetic)
    };
    follows(b"</") || follows(b"<") && find(line, b"/>").is_some()
}

/// The line without what a server writes in the place of what is to be typed.
fn without_mask(line: &[u8]) -> &[u8] {
    let mut line = line.trim_ascii_end();
    while let [rest @ .., b'*' | b'_' | b'.' | b'\x08'] = line {
        line = rest.trim_ascii_end();
    }
    line
}

/// The line without the sign with which a question ends, and whether there was one.
fn without_question_mark(line: &[u8]) -> (&[u8], bool) {
    // The colons of East Asia: UTF-8, GBK and EUC-JP, Shift-JIS, Big5, EUC-KR.
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

/// The text without what stands in brackets at its end: `Username(1-32 chars)`, `login [root]`.
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

/// Whether the text ends with the word, in small letters or large.
fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    let end = text.len().checked_sub(word.len()).map(|at| &text[at..]);
    end.is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// Whether the text has the word, in small letters or large, and it is a word by itself.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let is_apart = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphabetic());
    let mut from = 0;
    while let Some(at) = find(&text[from..], word) {
        let at = from + at;
        if is_apart(at.checked_sub(1).and_then(|before| text.get(before)))
            && is_apart(text.get(at + word.len()))
        {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Whether the text has one of the phrases, in small letters or large.
fn has_any(text: &[u8], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| find(text, phrase.as_bytes()).is_some())
}

/// Where the words, which are in small letters, stand in the text in any case.
fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window.eq_ignore_ascii_case(words))
}

/// The foreign words in each character set that has their letters.
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

/// The word in small letters, with a first capital, and in capitals.
fn cases(word: &str) -> [String; 3] {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let capitalised = first.chain(letters).collect();
    [word.to_owned(), capitalised, word.to_uppercase()]
}

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
    fn a_login_prompt_stands_at_the_end_however_it_is_drawn() {
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
    fn a_login_prompt_may_be_in_any_language_and_character_set() {
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
                let told = bytes.escape_ascii();
                assert_eq!(rule_of(&bytes), Some(Rule::LoginPrompt), "{prompt} as {told}");
            }
        }
    }

    #[test]
    fn a_shells_prompt_is_a_place_and_a_sign() {
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
    fn a_menu_asks_for_a_choice_or_a_key() {
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
    fn only_who_asks_for_a_key_is_sent_one() {
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
    fn a_text_may_name_telnet() {
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
    fn a_text_may_speak_of_a_login() {
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
