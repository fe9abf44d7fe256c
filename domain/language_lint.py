"""Whether a text is in the language it says it is: by its script, and by the small words every sentence needs.

An estimate, made to be silent where it cannot tell: short texts, mixed ones, and languages without a list here.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

LEAST_WORDS = 2
"""Small words of another language that must be there before it is named."""
_MARGIN = 2
"""Times as many of them as of the language's own."""
_SMALL_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(listed.split())
    for language, listed in {
        "cs": "a je se na že jsme jsou vaše váš pro byla byl jste máte také podle aby není které který vás",
        "da": "og er det ikke vi din dit dine til har kan med blevet også eller hvis nu fra denne jer",
        "de": "und der die das ist nicht wir sie ihre ihr ihnen mit für auf wurde wird ein eine jetzt oder sind zu bei",
        "en": "the and is are you your our with for was were has have this that to of we it not will been now",
        "es": "el los las una es su sus para con por que está ha nuestro nuestra ahora pero como más del y",
        "fi": "ja on ei se että olet sinun tilauksesi meidän nyt ole ovat kanssa mutta tai jos tämä voit",
        "fr": "le les des est votre vos nous vous avec pour une dans sur et que été maintenant pas mais ou cette ce",
        "hu": "az és hogy nem egy van ön önnek most meg már vagy is ez volt lesz",
        "it": "il gli una è che per con del della sono il tuo tua vostro nostro adesso ora non ma più di le",
        "nl": "de het een en is niet uw je jouw wij met voor van zijn werd wordt nu maar ook op",
        "no": "og er det ikke vi din ditt dine til har kan med blitt også eller hvis nå fra denne deg",
        "pl": "i jest się na nie że twoje twój twoja dla został została są z do oraz teraz ale jak przez w",
        "pt": "o os uma é seu sua seus para com por que está foi nosso nossa agora mas não mais do da e",
        "ro": "și este nu pentru cu dumneavoastră este sunt din acum dar sau că la ale fost prin",
        "sv": "och är det inte vi din ditt dina till har kan med blivit också eller om nu från denna dig",
        "tr": "ve bir bu için ile siz sizin siparişiniz şimdi değil ama daha çok olarak var yok",
    }.items()
}
_SCRIPTS: Mapping[str, frozenset[str]] = {
    "ARABIC": frozenset(("ar", "fa", "ur", "ps")),
    "CYRILLIC": frozenset(("ru", "uk", "bg", "be", "sr", "mk", "kk")),
    "GREEK": frozenset(("el",)),
    "HEBREW": frozenset(("he", "yi")),
    "CJK": frozenset(("zh", "ja")),
    "HIRAGANA": frozenset(("ja",)),
    "HANGUL": frozenset(("ko",)),
    "DEVANAGARI": frozenset(("hi", "mr", "ne")),
    "THAI": frozenset(("th",)),
}
_OTHER_SCRIPTS = frozenset(language for languages in _SCRIPTS.values() for language in languages) - {"sr", "kk"}
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_LETTERS = 8
_MOST_LETTERS = 4_000


def other_language(text: str, locale: str) -> str | None:
    """Return what a text is probably written in instead of its locale's language, or None when it may well be that.

    Args:
        text: words without marks.
        locale: the language it claims.

    Returns:
        A language, or a script in capitals.
    """
    claimed = locale.partition("-")[0]
    return _other_script(text[:_MOST_LETTERS], claimed) or _other_words(text[:_MOST_LETTERS], claimed)


def _other_script(text: str, claimed: str) -> str | None:
    letters = [each for each in text if each.isalpha()]
    if len(letters) < _LEAST_LETTERS:
        return None
    scripts = Counter(unicodedata.name(each, "LATIN").split(" ")[0] for each in letters)
    script, count = scripts.most_common(1)[0]
    if count * _MARGIN <= len(letters):
        return None
    if script in _SCRIPTS:
        return None if claimed in _SCRIPTS[script] else script
    return script if script == "LATIN" and claimed in _OTHER_SCRIPTS else None


def _other_words(text: str, claimed: str) -> str | None:
    if claimed not in _SMALL_WORDS:
        return None
    words = Counter(_WORD.findall(text.lower()))
    hits = {language: sum(words[each] for each in listed) for language, listed in _SMALL_WORDS.items()}
    own = hits.pop(claimed)
    best = max(hits, key=lambda language: hits[language])
    return best if hits[best] >= LEAST_WORDS and hits[best] > _MARGIN * own else None
