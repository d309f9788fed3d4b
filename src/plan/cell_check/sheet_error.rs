//! Error values and placeholders of spreadsheet programs, in the languages in which they write them.
//!
//! Programs translate the names, but keep the form: `#`, capitals, `!` or `?`. Names of another form
//! are listed. Inside a text, only listed names count, because hashtags have the same form.

/// Error values without `!` or `?`, in capitals.
const NAMES: &[&str] = &[
    "#N/A",
    "#NV",
    "#N/D",
    "#N/B",
    "#NB",
    "#I/T",
    "#Н/Д",
    "#Δ/Υ",
    "#N/V",
    "#YOK",
    "#HIÁNYZIK",
    "#NEDOSTUPNÝ",
    "#NEDOSTUPNÉ",
    "#NENÍ_K_DISPOZICI",
    "#PUUTTUU",
    "#N/DISP",
    "#GETTING_DATA",
    "#REF",
    "#VALUE",
    "#DIV/0",
    "#NUM",
    "#SPILL",
    "#WERT",
    "#BEZUG",
    "#MULTIVALUE",
    "#DELENIE NULOU!",
];
/// Error values with `!` or `?` that also count inside a text, in capitals.
const MARKED_NAMES: &[&str] = &[
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#DIV/0!",
    "#NULL!",
    "#NUM!",
    "#SPILL!",
    "#CALC!",
    "#ERROR!",
    "#FIELD!",
    "#BUSY!",
    "#BLOCKED!",
    "#CONNECT!",
    "#UNKNOWN!",
    "#EXTERNAL!",
    "#PYTHON!",
    "#TIMEOUT!",
    "#GETTING_DATA!",
    "#CYCLE!",
    "#BEZUG!",
    "#WERT!",
    "#ZAHL!",
    "#ÜBERLAUF!",
    "#KALK!",
    "#VALEUR!",
    "#NOM?",
    "#NOMBRE!",
    "#NUL!",
    "#PROPAGATION!",
    "#¡NULO!",
    "#¡DIV/0!",
    "#¡VALOR!",
    "#¡REF!",
    "#¿NOMBRE?",
    "#¡NUM!",
    "#¡DESBORDAMIENTO!",
    "#NULLO!",
    "#VALORE!",
    "#RIF!",
    "#NOME?",
    "#ESPANSIONE!",
    "#VALOR!",
    "#NÚM!",
    "#NULO!",
    "#LEEG!",
    "#DEEL/0!",
    "#WAARDE!",
    "#VERW!",
    "#NAAM?",
    "#GETAL!",
    "#DZIEL/0!",
    "#ARG!",
    "#ADR!",
    "#NAZWA?",
    "#LICZBA!",
    "#PUSTE!",
    "#N/D!",
    "#ПУСТО!",
    "#ДЕЛ/0!",
    "#ЗНАЧ!",
    "#ССЫЛКА!",
    "#ИМЯ?",
    "#ЧИСЛО!",
    "#ПЕРЕНОС!",
    "#SKÄRNING!",
    "#DIVISION/0!",
    "#VÄRDEFEL!",
    "#REFERENS!",
    "#NAMN?",
    "#OGILTIGT!",
    "#SAKNAS!",
    "#TYHJÄ!",
    "#JAKO/0!",
    "#ARVO!",
    "#VIITTAUS!",
    "#NIMI?",
    "#LUKU!",
    "#PUUTTUU!",
    "#VÆRDI!",
    "#REFERENCE!",
    "#NAVN?",
    "#VERDI!",
    "#HODNOTA!",
    "#ODKAZ!",
    "#NÁZEV?",
    "#ČÍSLO!",
    "#DĚLENÍ_NULOU!",
    "#NULLA!",
    "#ZÉRÓOSZTÓ!",
    "#ÉRTÉK!",
    "#HIV!",
    "#NÉV?",
    "#SZÁM!",
    "#KIBONTÁS!",
    "#BOŞ!",
    "#SAYI/0!",
    "#DEĞER!",
    "#BAŞV!",
    "#AD?",
    "#SAYI!",
    "#DELENIENULOU!",
    "#NÁZOV?",
    "#NEPLATNÝ!",
    "#VALOARE!",
    "#NUME?",
    "#VREDN!",
    "#ŠTEV!",
    "#DEL/0!",
    "#IME?",
    "#SKLIC!",
    "#NIČ!",
    "#ΤΙΜΗ!",
    "#ΑΡΙΘ!",
    "#ΔΙΑΙΡ./0!",
    "#ΟΝΟΜΑ?",
    "#ΑΝΑΦ!",
    "#ΚΕΝΟ!",
    "#DIJ/0!",
];
/// Longer cells, such as scripts, are no such word.
const WAITING_BYTES_MAX: usize = 64;
/// What stands in a cell while its value is on its way, in lower case and without its dots.
const WAITING_WORDS: &[&str] = &[
    "loading",
    "loading data",
    "calculating",
    "retrieving data",
    "fetching data",
    "fetching",
    "refreshing",
    "updating",
    "connecting",
    "wird geladen",
    "laden",
    "lädt",
    "lade daten",
    "daten werden geladen",
    "wird berechnet",
    "chargement",
    "chargement en cours",
    "cargando",
    "caricamento",
    "caricamento in corso",
    "carregando",
    "a carregar",
    "bezig met laden",
    "aan het laden",
    "ładowanie",
    "wczytywanie",
    "trwa ładowanie",
    "загрузка",
    "идет загрузка",
    "идёт загрузка",
    "завантаження",
    "läser in",
    "laddar",
    "laster",
    "laster inn",
    "indlæser",
    "ladataan",
    "načítání",
    "načítá se",
    "načítava sa",
    "betöltés",
    "se încarcă",
    "yükleniyor",
    "φόρτωση",
    "γίνεται φόρτωση",
    "טוען",
    "جارٍ التحميل",
    "جار التحميل",
    "กำลังโหลด",
    "đang tải",
    "memuat",
    "読み込み中",
    "読み込んでいます",
    "ロード中",
    "正在加载",
    "加载中",
    "正在載入",
    "載入中",
    "로드 중",
    "로딩 중",
    "불러오는 중",
];

/// Returns the error or placeholder in a cell.
pub(super) fn find_sheet_error(cell: &str) -> Option<String> {
    let is_whole = is_hashes(cell) || is_error_value(cell) || is_waiting(cell) || is_numbered(cell);
    if is_whole {
        return Some(cell.to_owned());
    }
    let at = cell.match_indices('#').map(|(at, _)| &cell[at..]);
    at.filter_map(|rest| rest.split_whitespace().next()).find_map(|token| {
        let token = token.trim_end_matches([',', '.', ';', ':', ')', ']', '"', '\'']);
        (is_listed_inside_text(token)).then(|| token.to_owned())
    })
}

/// A column that is too narrow for its number.
fn is_hashes(cell: &str) -> bool {
    cell.len() > 1 && cell.bytes().all(|byte| byte == b'#')
}

fn is_error_value(cell: &str) -> bool {
    let Some(name) = cell.strip_prefix('#') else { return false };
    if NAMES.contains(&cell) || MARKED_NAMES.contains(&cell) {
        return true;
    }
    let is_marked = name.ends_with(['!', '?']);
    let is_joined = name.contains(['/', '_']) && !name.bytes().any(|byte| byte.is_ascii_digit());
    let inner = name.trim_end_matches(['!', '?']);
    let is_part = |c: char| {
        c.is_alphabetic() && !c.is_lowercase() || c.is_ascii_digit() || "/_.¡¿".contains(c)
    };
    let letters = inner.chars().filter(|c| c.is_alphabetic()).count();
    (is_marked || is_joined) && letters > 1 && inner.chars().all(is_part)
}

/// `Err:502`, as `LibreOffice` writes it.
fn is_numbered(cell: &str) -> bool {
    let Some((word, number)) = cell.split_once(':') else { return false };
    let is_word =
        matches!(word.trim_end(), "Err" | "Fehler" | "Erreur" | "Fel" | "Błąd" | "Erro" | "Ошибка");
    let number = number.trim_start();
    is_word && number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_waiting(cell: &str) -> bool {
    if cell.len() > WAITING_BYTES_MAX {
        return false;
    }
    let Some(word) = cell.strip_suffix('…').or_else(|| cell.strip_suffix("...")) else {
        return WAITING_WORDS.contains(&cell.to_lowercase().as_str()) && !cell.is_ascii();
    };
    WAITING_WORDS.contains(&word.trim_end().to_lowercase().as_str())
}

fn is_listed_inside_text(token: &str) -> bool {
    token == "#N/A" || MARKED_NAMES.contains(&token)
}
