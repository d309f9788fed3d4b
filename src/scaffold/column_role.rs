//! What a column is for, by its heading: the words for it in the languages of those who write sheets.
//!
//! A role is a guess. Invariant: one heading has one role, that of its best word.

use super::heading_unit::HeadingUnit;
use super::heading_words::HeadingWords;

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter)]
pub enum ColumnRole {
    /// Identifies a row.
    Key,
    /// What the avatar says.
    Script,
    /// A short text on the screen.
    Headline,
    /// A second, longer text on the screen.
    Subtitle,
    /// The language of a row.
    Language,
    /// A checkbox that leaves the row out.
    Omission,
    /// How far the row is.
    Status,
    /// A checkbox that admits the row.
    Approval,
    /// The address of a picture.
    Picture,
    /// The address of a logo.
    Logo,
    /// The address of a background.
    Background,
    /// A price.
    Price,
    /// The currency of a price.
    Currency,
    /// A date.
    Date,
    /// An avatar.
    Avatar,
    /// The clothes of an avatar.
    Clothes,
}

/// The roles of columns that mark rows, by what they say about leaving a row out.
pub(super) const MARK_ROLES: [ColumnRole; 3] =
    [ColumnRole::Omission, ColumnRole::Status, ColumnRole::Approval];

/// The rank of a heading that is one of the words.
const WHOLE_RANK: usize = 0;
/// The rank of a heading whose last word is one, as in "Launch date".
const LAST_RANK: usize = 100;
/// The rank of a heading whose first word is one, as in "Prix de vente".
const FIRST_RANK: usize = 200;
/// The rank of a heading in a script without spaces that contains one.
const PART_RANK: usize = 300;
/// Below this rank, a role is certain enough not to ask.
pub(super) const CERTAIN_RANK: usize = FIRST_RANK;

impl ColumnRole {
    /// Returns the words for the role; of several columns, the one with an earlier word is meant.
    fn terms(self) -> &'static [&'static str] {
        match self {
            Self::Key => KEY_WORDS,
            Self::Script => SCRIPT_WORDS,
            Self::Headline => HEADLINE_WORDS,
            Self::Subtitle => SUBTITLE_WORDS,
            Self::Language => LANGUAGE_WORDS,
            Self::Omission => OMISSION_WORDS,
            Self::Status => STATUS_WORDS,
            Self::Approval => APPROVAL_WORDS,
            Self::Picture => PICTURE_WORDS,
            Self::Logo => &["logo", "logourl", "brandlogo", "logolink", "ロゴ", "로고"],
            Self::Background => &["background", "hintergrund", "fond", "fondo", "배경", "背景"],
            Self::Price => PRICE_WORDS,
            Self::Currency => {
                &["currency", "währung", "devise", "moneda", "valuta", "통화", "通貨"]
            }
            Self::Date => DATE_WORDS,
            Self::Avatar => &["model", "avatar", "presenter", "sprecher", "modelid", "아바타"],
            Self::Clothes => &["cloth", "clothes", "clothid", "outfit", "kleidung", "의상"],
        }
    }

    /// Returns whether one column may have both roles: a title may be the key.
    pub(super) fn can_share_column(self, other: Self) -> bool {
        matches!((self, other), (Self::Headline, Self::Key) | (Self::Key, Self::Headline))
    }

    /// Returns the rank of a heading among those of this role, the best first.
    fn rank(self, heading: &HeadingWords) -> Option<usize> {
        let joined = heading.joined();
        let words = self.terms();
        let find = |base: usize, is_match: &dyn Fn(&str) -> bool| {
            words.iter().position(|word| is_match(word)).map(|at| base + at)
        };
        find(WHOLE_RANK, &|word| word == joined)
            .or_else(|| find(LAST_RANK, &|word| word == heading.last()))
            .or_else(|| find(FIRST_RANK, &|word| word == heading.first()))
            .or_else(|| find(PART_RANK, &|word| !word.is_ascii() && joined.contains(word)))
    }
}

/// The role of a heading, with its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RankedRole {
    pub(super) role: ColumnRole,
    pub(super) rank: usize,
}

/// Returns the role of a heading, or of a name in a template. Its unit or currency counts for nothing.
pub(super) fn role_of_heading(heading: &str) -> Option<RankedRole> {
    role_of_words(&HeadingWords::parse(HeadingUnit::parse(heading).name))
}

/// Returns the role of a heading by its words.
pub(super) fn role_of_words(heading: &HeadingWords) -> Option<RankedRole> {
    use strum::IntoEnumIterator;
    let ranked = ColumnRole::iter()
        .filter_map(|role| role.rank(heading).map(|rank| RankedRole { role, rank }));
    // The place in the heading decides; the order of the words is for columns of one role.
    ranked.min_by_key(|ranked| ranked.rank / LAST_RANK)
}

/// Returns whether a name in a template is that of a currency.
pub(crate) fn is_currency_name(name: &str) -> bool {
    role_of_heading(name).is_some_and(|found| found.role == ColumnRole::Currency)
}

/// Returns whether a name in a template is that of a price or a logo, which a video seldom lacks on
/// purpose.
pub(crate) fn is_shown_name(name: &str) -> bool {
    let role = role_of_heading(name).map(|found| found.role);
    matches!(role, Some(ColumnRole::Price | ColumnRole::Logo))
}

/// Returns whether the cells of a column read like the name of what a row is about.
pub(crate) fn is_title_heading(heading: &str) -> bool {
    role_of_heading(heading).is_some_and(|found| found.role == ColumnRole::Headline)
}

const KEY_WORDS: &[&str] = &[
    "key",
    "sku",
    "id",
    "rowid",
    "productid",
    "itemid",
    "videoid",
    "productcode",
    "articleno",
    "articlenumber",
    "itemno",
    "itemnumber",
    "productno",
    "productnumber",
    "partno",
    "partnumber",
    "artnr",
    "artikelnr",
    "artikelnummer",
    "bestellnummer",
    "produktnummer",
    "referenz",
    "reference",
    "référence",
    "ref",
    "referencia",
    "código",
    "codigo",
    "codice",
    "code",
    "kód",
    "kod",
    "isbn",
    "ean",
    "gtin",
    "asin",
    "upc",
    "handle",
    "slug",
    "number",
    "nummer",
    "numéro",
    "número",
    "nr",
    "no",
    "article",
    "artikel",
    "상품코드",
    "품번",
    "품목코드",
    "商品コード",
    "品番",
    "商品编号",
    "货号",
    "编号",
    "番号",
    "번호",
    "артикул",
];
const SCRIPT_WORDS: &[&str] = &[
    "script",
    "voiceover",
    "voiceovertext",
    "voicetext",
    "spokentext",
    "speech",
    "narration",
    "voice",
    "skript",
    "sprechertext",
    "drehbuch",
    "sprechtext",
    "guion",
    "guión",
    "roteiro",
    "copione",
    "narración",
    "locución",
    "texteparlé",
    "narrazione",
    "dialogue",
    "text",
    "copy",
    "texte",
    "texto",
    "testo",
    "tekst",
    "body",
    "message",
    "대본",
    "스크립트",
    "내레이션",
    "台本",
    "スクリプト",
    "ナレーション",
    "脚本",
    "文案",
    "台词",
    "текст",
    "сценарий",
];
const HEADLINE_WORDS: &[&str] = &[
    "headline",
    "title",
    "heading",
    "überschrift",
    "titel",
    "titre",
    "título",
    "titulo",
    "titolo",
    "productname",
    "produktname",
    "productname",
    "itemname",
    "nomduproduit",
    "name",
    "nom",
    "nombre",
    "nome",
    "product",
    "produkt",
    "produit",
    "producto",
    "prodotto",
    "item",
    "제목",
    "상품명",
    "제품명",
    "タイトル",
    "見出し",
    "商品名",
    "标题",
    "产品名称",
    "заголовок",
    "название",
];
const SUBTITLE_WORDS: &[&str] = &[
    "subtitle",
    "subline",
    "subheadline",
    "tagline",
    "claim",
    "slogan",
    "untertitel",
    "soustitre",
    "subtítulo",
    "sottotitolo",
    "description",
    "beschreibung",
    "descripción",
    "부제",
    "字幕",
    "副标题",
];
const LANGUAGE_WORDS: &[&str] = &[
    "language", "lang", "locale", "sprache", "langue", "idioma", "lingua", "taal", "언어", "言語",
    "语言", "язык",
];
const OMISSION_WORDS: &[&str] = &[
    "skip",
    "exclude",
    "ignore",
    "omit",
    "hold",
    "onhold",
    "überspringen",
    "omitir",
    "제외",
    "除外",
];
const STATUS_WORDS: &[&str] = &[
    "status",
    "state",
    "stage",
    "workflow",
    "statut",
    "estado",
    "stato",
    "stav",
    "상태",
    "状態",
    "状态",
    "ステータス",
    "статус",
];
const APPROVAL_WORDS: &[&str] = &[
    "approved",
    "approval",
    "ready",
    "release",
    "released",
    "render",
    "go",
    "freigabe",
    "freigegeben",
    "validé",
    "validation",
    "aprobado",
    "approvato",
    "승인",
    "承認",
    "批准",
];
const PICTURE_WORDS: &[&str] = &[
    "picture",
    "image",
    "photo",
    "imageurl",
    "pictureurl",
    "photourl",
    "imagelink",
    "picturelink",
    "productimage",
    "img",
    "visual",
    "bild",
    "foto",
    "bildurl",
    "bildlink",
    "imagen",
    "immagine",
    "imagem",
    "이미지",
    "사진",
    "画像",
    "写真",
    "图片",
    "изображение",
];
const PRICE_WORDS: &[&str] = &[
    "price", "preis", "prix", "precio", "prezzo", "preço", "prijs", "cena", "vk", "rrp", "msrp",
    "uvp", "cost", "가격", "価格", "价格", "цена",
];
const DATE_WORDS: &[&str] = &[
    "date",
    "launch",
    "datum",
    "fecha",
    "data",
    "launchdate",
    "releasedate",
    "when",
    "termin",
    "날짜",
    "출시일",
    "日付",
    "発売日",
    "日期",
    "дата",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_has_the_role_of_its_best_word() {
        for (heading, want) in [
            ("SKU", Some(ColumnRole::Key)),
            ("Product ID", Some(ColumnRole::Key)),
            ("Art.-Nr.", Some(ColumnRole::Key)),
            ("Article No.", Some(ColumnRole::Key)),
            ("Product", Some(ColumnRole::Headline)),
            ("Product name", Some(ColumnRole::Headline)),
            ("Product image", Some(ColumnRole::Picture)),
            ("Image URL", Some(ColumnRole::Picture)),
            ("Script", Some(ColumnRole::Script)),
            ("Script status", Some(ColumnRole::Status)),
            ("Voice-over text", Some(ColumnRole::Script)),
            ("Sprechertext", Some(ColumnRole::Script)),
            ("Prix de vente", Some(ColumnRole::Price)),
            ("Price (EUR)", Some(ColumnRole::Price)),
            ("Script (EN)", Some(ColumnRole::Script)),
            ("Launch date", Some(ColumnRole::Date)),
            ("상품 코드", Some(ColumnRole::Key)),
            ("新商品名", Some(ColumnRole::Headline)),
            ("Freigabe", Some(ColumnRole::Approval)),
            ("Owner", None),
            ("", None),
        ] {
            let role = role_of_heading(heading).map(|found| found.role);
            assert_eq!(role, want, "{heading}");
        }
    }
}
