//! Sheets in every code page that spreadsheet programs write: they are read correctly, or the plan
//! stops. A garbled text would be rendered and paid for.

use std::fs;

use encoding_rs::Encoding;
use oem_cp::code_table::ENCODING_TABLE_CP_MAP;

use crate::sheet::{KEY_ID, SheetOptions, describe_sheet, open_sheet};

/// Scripts in many languages, as users write them.
const TEXTS: &[&str] = &[
    "Grüße aus München, schöne Straße\nÄpfel, Öl und Übermut für 5 €\nHeute größer und schöner",
    "Schöne Straße\nÄpfel und Öl",
    "L'été à la crème brûlée, ça va\nNoël, où êtes-vous, garçon",
    "El niño soñó mañana\n¿Qué tal, señor? ¡Adiós, corazón!",
    "Ação e coração, não é\nAté amanhã, irmãos",
    "Zażółć gęślą jaźń\nŁódź, Święto, Poznań i Kraków",
    "Příliš žluťoučký kůň úpěl ďábelské ódy\nDěkujeme, že jste přišli",
    "Árvíztűrő tükörfúrógép\nKöszönjük, hogy eljött, jó napot",
    "Привет, друзья, сегодня у нас новости\nСпасибо за внимание",
    "Вітаємо вас, українські друзі\nДякуємо за увагу, її та їм",
    "Καλημέρα σας, αγαπητοί φίλοι\nΕυχαριστούμε πολύ για την προσοχή",
    "Günaydın, değerli müşterilerimiz\nTeşekkür ederiz, iyi günler, şimdi başlıyoruz",
    "שלום לכולם וברוכים הבאים\nתודה רבה על ההקשבה",
    "مرحبا بكم في هذا الفيديو\nشكرا جزيلا على المشاهدة",
    "สวัสดีครับ ยินดีต้อนรับทุกท่าน\nขอบคุณมากครับ",
    "Ačiū už dėmesį, mielieji\nŠiandien žiūrėsime į naują",
    "Góðan daginn, þetta er nýtt\nTakk fyrir að hlusta, ég þakka",
    "Rødgrød med fløde på Ærø\nTak for i dag, kære venner, så gå",
    "こんにちは、皆さん、今日のニュースです\nありがとうございました",
    "안녕하세요 여러분 반갑습니다\n오늘의 소식을 전해 드립니다",
    "大家好，欢迎收看今天的节目\n谢谢观看，再见",
    "大家好，歡迎收看今天的節目\n謝謝觀看，再見",
    "It’s “new” – really\nDon’t miss our best offer…",
];

/// The encodings of the Encoding Standard that spreadsheet programs offer.
const STANDARD: &[&str] = &[
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-874",
    "iso-8859-2",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-15",
    "iso-8859-16",
    "macintosh",
    "x-mac-cyrillic",
    "koi8-r",
    "koi8-u",
    "ibm866",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "gb18030",
    "gbk",
    "big5",
];

/// Encodings that only the frequencies of their letters distinguish from a guess: in a short text, the
/// warning with a word must suffice.
const AMBIGUOUS: &[(&str, &str)] =
    &[("iso-8859-16", "windows-1252"), ("gb18030", "Big5"), ("gbk", "Big5")];

fn encoded(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in STANDARD {
        let (bytes, _, is_lossy) = Encoding::for_label(name.as_bytes()).unwrap().encode(text);
        if !is_lossy {
            all.push(((*name).to_owned(), bytes.into_owned()));
        }
    }
    for (page, table) in ENCODING_TABLE_CP_MAP.entries() {
        if let Some(bytes) = oem_cp::encode_string_checked(text, table) {
            all.push((format!("cp{page}"), bytes));
        }
    }
    all.sort();
    all
}

fn sheet_text(text: &str) -> String {
    let rows = text.lines().enumerate().map(|(row, line)| format!("{row};\"{line}\"\r\n"));
    format!("id;text\r\n{}", rows.collect::<String>())
}

#[test]
fn every_code_page_is_read_correctly_or_stops_the_plan() {
    let mut wrong = Vec::new();
    let (mut read, mut stopped) = (0, 0);
    for text in TEXTS {
        let sheet = sheet_text(text);
        let want = describe_sheet(&sheet, &KEY_ID);
        for (name, bytes) in encoded(&sheet) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s.csv");
            fs::write(&path, &bytes).unwrap();
            let found = open_sheet(&path, &KEY_ID);
            let can_hide_rows = found.as_ref().is_ok_and(|sheet| {
                sheet.entries().any(|entry| entry.is_err_and(|problem| problem.can_hide_rows))
            });
            let is_right = describe_sheet(&bytes, &KEY_ID) == want;
            match found {
                Ok(_) if is_right => read += 1,
                Err(_) => stopped += 1,
                Ok(_) if can_hide_rows => stopped += 1,
                Ok(sheet)
                    if sheet.warnings().len() == 1
                        && AMBIGUOUS
                            .contains(&(name.as_str(), sheet.format().encoding.unwrap())) => {}
                Ok(sheet) => wrong.push(format!(
                    "{name} read as {:?}: {}",
                    sheet.format().encoding,
                    describe_sheet(&bytes, &KEY_ID)
                )),
            }
            // The encoding in the batch file always counts.
            let named = SheetOptions { encoding: Some(&name), ..KEY_ID };
            assert_eq!(describe_sheet(&bytes, &named), want, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read > 50 && stopped > 50, "{read} read, {stopped} stopped");
}

#[test]
fn a_guess_is_a_warning_with_a_word_and_a_problem_if_a_word_contradicts_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.csv");
    let told = |text: &str, encoding: &str| {
        let sheet = sheet_text(text);
        let (_, bytes) = encoded(&sheet).into_iter().find(|(name, _)| name == encoding).unwrap();
        fs::write(&path, bytes).unwrap();
        match open_sheet(&path, &KEY_ID) {
            Ok(sheet) => sheet.warnings().iter().map(|warning| format!("{warning}\n")).collect(),
            Err(problems) => {
                problems.problems.iter().map(|problem| format!("{problem}\n")).collect::<String>()
            }
        }
    };
    insta::assert_snapshot!(told(TEXTS[0], "windows-1252"), @r#"
    the encoding is guessed: it is read as windows-1252, for example `München`
      help: if that looks wrong, set `encoding` in the batch file, or save it as "CSV UTF-8"
    "#);
    insta::assert_snapshot!(told(TEXTS[1], "cp850"), @r#"
    the encoding of the sheet is uncertain: as windows-1250 it contains `Sch”ne`
      help: as cp850 it contains `Schöne`: if that is right, set `encoding = "cp850"`; if not, save it as "CSV UTF-8"
    "#);
    insta::assert_snapshot!(told(TEXTS[18], "iso-2022-jp"), @r#"
    the encoding is guessed: it is read as ISO-2022-JP, for example `ありがとうございました`
      help: if that looks wrong, set `encoding` in the batch file, or save it as "CSV UTF-8"
    "#);
    insta::assert_snapshot!(describe_sheet(b"id,text\n1,\x1b$)C\x0e0!\x0f\n", &KEY_ID), @r#"
    the sheet is written in ISO-2022-KR, which is not read
      help: save it as "CSV UTF-8"; if it is UTF-8, set `encoding = "utf-8"` in the batch file
    "#);
}
