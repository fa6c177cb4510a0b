"""Which language a text is in, as far as words must know: its script, and in two scripts its commonest words.

The lists are short and our own: words that carry a sentence's form. They tell languages apart, and in a question they are
not looked for. A word may stand in several lists; it then says little about the language.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from threadmill.adapters.search.normalization import fold

DEFAULT = "en"
"""What Latin letters are taken for when nothing speaks against it: identifiers, names and formulas are no language."""

LEAST_SHARE = 0.04
"""Of a text's words: how many of a language's own must be there before it is taken for that language."""

SURE_SHARE, SURE_COUNT = 0.2, 4
"""Of a text's words: as many function words as running prose has, and how many there must be at least."""

_LATIN: Mapping[str, str] = {
    "en": """a about above after again against all also am an and any are as at be because been before being below
        between both but by can could d did do does doing down during each etc every few for from further had has have
        having he her here hers him his how i if in into is it its itself just let ll m may me might more most must my
        myself no nor not now of off on once only or other our ours out over own per re s same shall she should so some
        such t than that the their theirs them then there these they this those through to too under until up upon us
        ve very was we were what when where whether which while who whom whose why will with within without would yes
        yet you your yours yourself""",
    "de": """aber alle als also am an auch auf aus bei beim bis da damit das dass dem den denn der des die dies diese
        dieser dieses doch du durch ein eine einem einen einer eines er es für gegen gibt hat haben ich ihr ihre im in
        ist ja kann kein keine man mit muss nach nicht noch nur ob oder ohne sein seine seit sich sie sind so über um
        und uns unter vom von vor wann war warum was weil welche welchem welchen welcher welches wenn wer werden wessen
        wie wieviel wir wird wo wohin wurde zu zum zur zwischen""",
    "fr": """au aux avec ce ces cette comment combien d dans de des du elle elles en est et été être il ils j je l la le
        les leur leurs lui m mais même n ne nous on ont ou où par pas plus pour pourquoi qu quand que quel quelle
        quelles quels qui quoi s sa sans se ses si son sont sous sur un une vers vous y à""",
    "es": """a al cómo como con cuál cuáles cuándo cuando cuánto cuánta cuántos cuántas de del desde dónde donde el ella
        ellos en entre era es esta está este esto fue ha han hasta hay la las le lo los más me no nos o para pero por
        porque qué que quién se sea según ser si sin sobre son su sus también tiene un una y ya""",
    "pt": """a ao aos as até com como da das de do dos e é ela ele em entre era essa esse esta este foi há isso já mais
        mas me na não nas no nos num numa o onde os ou para pela pelas pelo pelos por porque qual quais quando quanto
        quantos quanta quantas que quem se sem ser seu seus sua suas são também tem um uma""",
    "it": """a ai al alla alle allo anche che chi ci come con cosa cui da dal dalla dei del della delle dello di dove e è
        gli ha hanno i il in io la le lo ma nei nel nella nelle non o per perché più qual quale quali quando quanto
        quanti quanta quante questa questo se si sono su sua sui sul sulla suo un una uno""",
    "nl": """aan al als bij dan dat de deze die dit door een en er gaat geen had heb hebben heeft het hij hoe hoeveel ik
        in is je kan maar meer met mijn moet na naar niet nog nu of om onder ook op over te tot tussen uit van veel voor
        waar waarom wanneer was wat welk welke wie wij wordt worden ze zich zij zijn zonder""",
    "sv": """alla att av blir de dem den denna det dessa detta dig din du efter ej eller en ett från för genom ha han har
        hon hur i icke inte jag kan man med mellan mot mycket många måste ni nu när och om på sig sin ska som så till
        under upp ut utan vad var varför vem vi vid vilka vilken vilket vilka är över""",
    "da": """af alle at blev bliver da de dem den denne der det dette dig din du efter eller en end er et for fra gennem
        har hun hvad hvem hvilke hvilken hvilket hvor hvordan hvorfor hvornår han i ikke jeg kan man med mellem mod når
        og om op over på sig sin skal som så til ud uden under var ved vi være""",
    "no": """alle at av ble blir da de dem den denne der det dette du eller en er et etter for fra gjennom ha han har hun
        hva hvem hvilke hvilken hvilket hvor hvordan hvorfor i ikke jeg kan man med mellom mot når og om opp over på
        seg sin skal som så til ut uten under var ved vi være""",
    "fi": """ei eivät että he hän ihmiset ja joka jos jota joten kanssa koska kuin kuinka kuka kun mikä mitkä mitä mihin
        millä milloin minä minkä missä mistä miksi millainen moni monta mutta myös ne niin niitä nyt ole oli olivat olla
        on ovat se sekä sen siellä siitä sinä sitä tai te tämä tämän vain voi voidaan vuonna""",
    "hu": """a az abban ahol aki ami amely azt be csak de e ebben egy el és ez ezt fel hány ha hanem hogy hogyan hol ki
        kell kik le lesz már meg melyik mely mennyi mert mi miért mikor milyen mint mit nagyon ne nem nincs olyan pedig
        s sem szerint több után vagy van vannak volt voltak""",
    "cs": """a aby ale ani až být byl byla bylo by co či do hodně i já jak jaká jaké jaký je jeho její jejich jen jsem
        jsme jsou k kam kde kdo kdy která které který kolik ke mezi mi mít musí na nad ne nebo není než o od po pod podle
        pokud pro proč před přes při s se si ta tak také ten to tu u v ve však z za ze že""",
    "sk": """a aby aj ako aká aké aký ale ani až bol bola bolo by byť čo či do ich iba je jeho jej k kam kde kedy kto
        ktorá ktoré ktorý koľko ku medzi môže musí na nad nie o od po pod podľa pre prečo pred pri s sa si som sú ta
        tak tento to u už v vo z za zo že""",
    "pl": """a aby ale albo bez być był była było by ci co czy dla do gdy gdzie go i ich ile im ja jak jaka jaki jakie
        jako jej jego jest jeśli już kiedy kto która które który lub ma mi między na nad nie niż o od on ona one oni
        oraz po pod przed przez przy się są ta tak także tam ten to tu w we więc wszystkie z za ze że dlaczego""",
    "hr": """a ali bez bi bila bilo bio biti da do gdje i ili iz između je jer jesu još kada kako kao kod koja koje koji
        koliko li ima na nad ne nego nije o od ona oni po pod prema pri s sa samo se si su što šta ta te to tko ko u uz
        već za zašto""",
    "ro": """a acest această acum ai al ale am ar are au că când care câte câți câtă cât ce cel cele cine cu cum da dar
        de despre din după e ea ei el este eu fi fost în îl îi la le lor mai nu o pe pentru prin sau să se sub sunt și
        te unde un una unei unui""",
    "tr": """ama ancak bir biz bu bunu çok da daha de değil diye en gibi göre hangi hangisi hem her için ile ise kaç kadar
        kaçıncı ki kim kime mi mı mu mü ne neden nedir neler nerede nereye ne niçin nasıl o olan olarak oldu olur
        onlar onu sonra şu tüm var ve veya ya yok zaman""",
    "id": """ada adalah agar akan apa apakah atau bagaimana bagi bahwa banyak berapa bisa dalam dan dapat dari dengan di
        dia harus hanya ini itu jika juga kapan karena ke kepada kita mana mengapa mereka oleh pada para saat saja
        sangat satu saya sebagai seperti siapa sudah telah tersebut tidak untuk yang""",
    "vi": """ai anh ấy bao bằng bị bởi các cái cần có cho chưa chúng của cũng cùng đã đang đây đâu để đến đi điều do được
        gì giữa hay hơn họ khi không là lại làm lên mà mấy mỗi một này nào năm nên nếu ở phải qua ra rằng rất sao sau
        sẽ tại theo thì thế tôi trên trong trước từ và vào về với vì""",
    "ca": """a al als amb això aquest aquesta com de del dels des els en entre és era està hi ha han i l la les li més no
        nos o on per perquè però què qual quals quan quants quanta que qui se seu seva ser si sobre són també té un una
        unes uns""",
    "et": """aga ei ega et ja jah juba kas ka kes keda kelle kui kuid kuhu kuidas kus ma me mida mille millal millest mis
        miks mitu mu nad need nii ning no oli olid on oma pole saab see seda selle siis siin sa ta te tema üle või
        võib""",
    "lt": """apie ar arba aš bei bet bus būti buvo dėl iki ir iš į jau jei ji jie jis jos jo ka kad kai kaip kas kiek
        kokia koks kur kurie kuris kuri labai mes ne nei nes nuo o per po prie su tai tik todėl turi už yra""",
}

_ARABIC: Mapping[str, str] = {
    "ar": """أن إن إلى أو أي أين التي الذي الذين الى او ان اين اي بعد بين حتى ذلك عن عند على في قبل قد كان كانت كل كم كيف
        لا لم لماذا لن ما ماذا متى مع من منذ هذا هذه هل هو هي هناك و يتم""",
    "fa": """آن آنها آیا از است اند این با باید بر برای بود به بین تا چرا چقدر چند چه چگونه چیست خود در را شد شده شود که
        کجا کدام کی کند می نیست ها های هر هم و وی یا یک""",
}

_OTHERS: Mapping[str, str] = {
    "cyrillic": """а без более бы был была были было в вам вас весь во вот все всё где да для до его ее её ей если есть
        еще ещё же за и из или им их к как какая какие какой какое когда которая которые который кто ли между мне может
        мы на над не него нет ни но о об он она они от по под при с сколько со так также там то того только у уже чего
        чем через что чтобы эта эти это этот є або але від він вона вони все де для до за з зі й його її їх і із та
        коли котрий кому який яка яке які між на над не немає ні про по при скільки та так також те ти тільки у хто це
        цей ця чи чому щоб що як якщо""",
    "greek": """από αν αυτή αυτό αυτός για γιατί δεν είναι εκεί ενώ ένα ένας έχει έχουν η ή θα και κάθε κατά με μετά μέσα
        μια μία μόνο να ο οι όπου όπως όταν ότι που πού πόσα πόσες πόση πόσο πόσοι ποια ποιες ποιο ποιοι ποιος πριν προς
        πως πώς σε στα στη στην στις στο στον στους τα τη την της τι τις το τον του τους των ως""",
    "hebrew": """אבל או אז איך אילו אין איפה איזה איזו אל אם אני את בין גם האם הוא היא היה הם היכן זאת זה זו יש כאשר כדי
        כי כל כמה לא למה לפי מה מי מן מתי על עם רק של שם""",
    "devanagari": """और इस इसके उस एक एवं और क्या कब कहाँ कहां का कितना कितनी कितने किस किसने की के को कौन कौनसा क्यों कैसे
        गया गई तक तो था थी थे द्वारा ने नहीं पर भी में यह या ये से है हैं हो होता होती होते ही जो""",
    "bengali": """আর আছে এ এই এক একটি ও ওই কখন কত কি কী কে কেন কোথায় কোন কিভাবে কীভাবে করা করে থেকে জন্য তা না পর
        বা হয় হয়ে হবে যে এবং মধ্যে সে""",
    "tamil": """அது அந்த இது இந்த என என்ன என்று எங்கே எத்தனை எந்த எப்படி எப்போது எவ்வளவு ஏன் ஒரு மற்றும் யார் உள்ள உள்ளது
        ஆகும் இல்லை""",
    "hangul": """가 과 그 는 도 를 무엇 무엇인가 무엇인가요 뭐 수 어느 어디 어디에 어디서 어떤 어떻게 언제 얼마 얼마나 와 왜 은
        을 의 이 있는 있습니까 있나요 하는 합니까 하나요 입니까 인가요 몇 누가 누구 및 또는""",
}


_LETTERS: Mapping[str, str] = {
    "de": "ß", "es": "ñ ¿ ción", "pt": "ã õ ção", "fr": "ç œ è ê î û", "tr": "ğ ş ı İ", "hu": "ő ű", "cs": "ě ř ů",
    "sk": "ľ ĺ ŕ", "pl": "ł ą ę ś ź ż ń", "ro": "ă ș ț ş ţ", "da": "ø æ", "no": "ø æ", "sv": "å", "fi": "ää öö yö ii uu yy",
    "et": "õ üü öö", "lt": "ė ų į ū", "vi": "ơ ư ạ ả ấ ầ ậ ắ ằ ặ ẽ ế ề ể ễ ệ ị ọ ố ồ ộ ớ ờ ợ ụ ủ ứ ừ ự", "hr": "đ",
}  # fmt: skip
"""Letters that few languages have; where function words are missing they decide."""

LETTER_WEIGHT = 0.5
"""A word with such a letter, in function words."""


class Language(NamedTuple):
    """What a text's Latin words are in, and whether the text says so itself."""

    code: str
    is_sure: bool


def _sets(lists: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {name: frozenset(map(fold, words.split())) for name, words in lists.items()}


_LATIN_WORDS, _ARABIC_WORDS, _OTHER_WORDS = _sets(_LATIN), _sets(_ARABIC), _sets(_OTHERS)


def _weights(lists: Mapping[str, frozenset[str]]) -> dict[str, list[tuple[str, float]]]:
    """For each word the languages that have it, each with a share of one."""
    owners: dict[str, list[str]] = {}
    for name, words in lists.items():
        for word in words:
            owners.setdefault(word, []).append(name)
    return {word: [(name, 1 / len(names)) for name in names] for word, names in owners.items()}


_LATIN_WEIGHTS, _ARABIC_WEIGHTS = _weights(_LATIN_WORDS), _weights(_ARABIC_WORDS)
_LETTER_WEIGHTS = _weights({name: frozenset(letters.split()) for name, letters in _LETTERS.items()})
_LETTER = re.compile("|".join(sorted(_LETTER_WEIGHTS, key=len, reverse=True)))


def latin_language(words: Mapping[str, int]) -> Language:
    """The language of normalized words in Latin letters, each with how often it is there."""
    scores: dict[str, float] = {}
    folded = {word: fold(word) for word in words}
    for word, count in words.items():
        _add(scores, _LATIN_WEIGHTS.get(folded[word], ()), count)
        if not word.isascii():
            for letter in frozenset(_LETTER.findall(word)):
                _add(scores, _LETTER_WEIGHTS[letter], LETTER_WEIGHT * count)
    best, total = max(scores, key=lambda name: scores[name], default=DEFAULT), sum(words.values())
    if not scores or scores[best] < LEAST_SHARE * total:
        return Language(DEFAULT, is_sure=False)
    form = sum(count for word, count in words.items() if folded[word] in _LATIN_WORDS[best])
    return Language(best, form >= max(SURE_COUNT, SURE_SHARE * total))


def arabic_language(words: Sequence[str], *, has_persian_letters: bool) -> str:
    """Arabic or Persian, of folded words in Arabic letters."""
    scores: dict[str, float] = {}
    for word in words:
        _add(scores, _ARABIC_WEIGHTS.get(word, ()))
    return max(scores, key=lambda name: scores[name], default="fa" if has_persian_letters else "ar")


def cyrillic_language(words: Iterable[str]) -> str:
    """Ukrainian or Russian, which are stemmed alike but not searched for alike."""
    letters = "".join(words).lower()
    return "uk" if sum(map(letters.count, "іїєґ")) > sum(map(letters.count, "ыэъ")) else "ru"


def _add(scores: dict[str, float], shares: Sequence[tuple[str, float]], weight: float = 1.0) -> None:
    for name, share in shares:
        scores[name] = scores.get(name, 0.0) + share * weight


def function_words(script: str, language: str) -> frozenset[str]:
    """The words of a question that are not worth looking for."""
    if script == "latin":
        return _LATIN_WORDS.get(language, _LATIN_WORDS[DEFAULT])
    if script == "arabic":
        return _ARABIC_WORDS["ar"] | _ARABIC_WORDS["fa"]
    return _OTHER_WORDS.get(script, frozenset())
