"""Plain questions in many languages: three short texts each, and what somebody asks of the second.

The question says the text's words in other forms, as people do; the first and third texts are there to be confused with.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """`texts[1]` answers each of the questions."""

    language: str
    texts: tuple[str, str, str]
    questions: Sequence[str]


TABLE = (
    Row(
        "English",
        ("The contract ends three months after it was cancelled in writing.",
         "The library lends each reader ten books for four weeks; late returns cost one euro a day.",
         "Water damage in the cellar must be reported to the insurer within two days."),
        ("How many books can I borrow from the libraries?", "What does returning a book late cost?"),
    ),
    Row(
        "German",
        ("Der Mietvertrag endet drei Monate nach der schriftlichen Kündigung.",
         "Die Stadtbücherei verleiht jedem Leser zehn Bücher für vier Wochen; Mahngebühren betragen einen Euro am Tag.",
         "Ein Wasserschaden im Keller ist der Versicherung binnen zwei Tagen zu melden."),
        ("Wie viele Bücher darf ein Leser ausleihen?", "Was kosten die Gebühren in der Bücherei?"),
    ),
    Row(
        "French",
        ("Le contrat de location prend fin trois mois après la résiliation écrite.",
         "La bibliothèque prête dix livres à chaque lecteur pendant quatre semaines; les retards sont facturés un euro.",
         "Un dégât des eaux à la cave doit être déclaré à l'assureur sous deux jours."),
        ("Combien de livres un lecteur peut-il emprunter dans les bibliothèques ?", "Combien coûte un retard ?"),
    ),
    Row(
        "Spanish",
        ("El contrato de alquiler termina tres meses después de la cancelación por escrito.",
         "La biblioteca presta diez libros a cada lector durante cuatro semanas; los retrasos cuestan un euro al día.",
         "Los daños de agua en el sótano deben comunicarse al seguro en dos días."),
        ("¿Cuántos libros prestan las bibliotecas?", "¿Cuánto cuesta el retraso?"),
    ),
    Row(
        "Portuguese",
        ("O contrato de aluguel termina três meses depois do cancelamento por escrito.",
         "A biblioteca empresta dez livros a cada leitor por quatro semanas; os atrasos custam um euro por dia.",
         "Danos de água na cave devem ser comunicados ao seguro em dois dias."),
        ("Quantos livros emprestam as bibliotecas?", "Quanto custa o atraso?"),
    ),
    Row(
        "Italian",
        ("Il contratto di affitto termina tre mesi dopo la disdetta scritta.",
         "La biblioteca presta dieci libri a ogni lettore per quattro settimane; i ritardi costano un euro al giorno.",
         "I danni d'acqua in cantina vanno comunicati all'assicurazione entro due giorni."),
        ("Quanti libri prestano le biblioteche?", "Quanto costa il ritardo?"),
    ),
    Row(
        "Dutch",
        ("Het huurcontract eindigt drie maanden na de schriftelijke opzegging.",
         "De stadsbibliotheek leent elke lezer tien boeken voor vier weken; te laat inleveren kost een euro per dag.",
         "Waterschade in de kelder moet binnen twee dagen aan de verzekeraar worden gemeld."),
        ("Hoeveel boeken kan een lezer lenen?", "Wat zijn de regels van de bibliotheek?"),
    ),
    Row(
        "Swedish",
        ("Hyresavtalet upphör tre månader efter skriftlig uppsägning.",
         "Stadsbiblioteket lånar ut tio böcker till varje läsare i fyra veckor; förseningar kostar tio kronor om dagen.",
         "Vattenskador i källaren ska anmälas till försäkringsbolaget inom två dagar."),
        ("Hur många böcker får läsare låna på biblioteket?", "Vad kostar en försening?"),
    ),
    Row(
        "Danish",
        ("Lejekontrakten ophører tre måneder efter skriftlig opsigelse.",
         "Biblioteket udlåner ti bøger til hver læser i fire uger; forsinkelser koster ti kroner om dagen.",
         "Vandskader i kælderen skal meldes til forsikringen inden to dage."),
        ("Hvor mange bøger kan læsere låne på bibliotekerne?",),
    ),
    Row(
        "Norwegian",
        ("Leiekontrakten opphører tre måneder etter skriftlig oppsigelse.",
         "Biblioteket låner ut ti bøker til hver leser i fire uker; forsinkelser koster ti kroner dagen.",
         "Vannskader i kjelleren skal meldes til forsikringen innen to dager."),
        ("Hva koster en forsinkelse på bibliotekene?",),
    ),
    Row(
        "Finnish",
        ("Vuokrasopimus päättyy kolmen kuukauden kuluttua kirjallisesta irtisanomisesta.",
         "Kirjasto lainaa jokaiselle lukijalle kymmenen kirjaa neljäksi viikoksi; myöhästyminen maksaa euron päivässä.",
         "Kellarin vesivahingosta on ilmoitettava vakuutusyhtiölle kahdessa päivässä."),
        ("Montako kirjaa kirjastosta voi lainata?", "Mitä myöhästymisestä maksetaan?"),
    ),
    Row(
        "Hungarian",
        ("A bérleti szerződés az írásbeli felmondás után három hónappal szűnik meg.",
         "A könyvtár minden olvasónak tíz könyvet kölcsönöz négy hétre; a késedelem napi száz forintba kerül.",
         "A pincében keletkezett vízkárt két napon belül jelenteni kell a biztosítónak."),
        ("Hány könyv kölcsönözhető a könyvtárból?", "Mennyibe kerül a késedelmes visszahozás?"),
    ),
    Row(
        "Czech",
        ("Nájemní smlouva končí tři měsíce po písemné výpovědi.",
         "Knihovna půjčuje každému čtenáři deset knih na čtyři týdny; zpoždění stojí deset korun denně.",
         "Škodu způsobenou vodou ve sklepě je nutné nahlásit pojišťovně do dvou dnů."),
        ("Kolik knih si čtenáři mohou půjčit v knihovně?", "Kolik se platí při zpoždění?"),
    ),
    Row(
        "Polish",
        ("Umowa najmu kończy się trzy miesiące po pisemnym wypowiedzeniu.",
         "Biblioteka wypożycza każdemu czytelnikowi dziesięć książek na cztery tygodnie; opóźnienie kosztuje złotówkę.",
         "Szkodę spowodowaną przez wodę w piwnicy należy zgłosić ubezpieczycielowi w ciągu dwóch dni."),
        ("Ile książek można wypożyczyć w bibliotece?", "Jaki jest koszt opóźnienia?"),
    ),
    Row(
        "Romanian",
        ("Contractul de închiriere încetează la trei luni după rezilierea scrisă.",
         "Biblioteca împrumută fiecărui cititor zece cărți pentru patru săptămâni; întârzierile costă un leu pe zi.",
         "Daunele produse de apă în pivniță trebuie anunțate asigurătorului în două zile."),
        ("Câte cărți împrumută cititorii de la bibliotecă?",),
    ),
    Row(
        "Turkish",
        ("Kira sözleşmesi yazılı fesihten üç ay sonra sona erer.",
         "Kütüphane her okuyucuya dört haftalığına on kitap ödünç verir; gecikme günlük beş liradır.",
         "Bodrumdaki su hasarı iki gün içinde sigortaya bildirilmelidir."),
        ("Kütüphaneden kaç kitap ödünç alınabilir?", "Kitapların gecikmesi kaç lira?"),
    ),
    Row(
        "Indonesian",
        ("Perjanjian sewa berakhir tiga bulan setelah pemutusan tertulis.",
         "Perpustakaan meminjamkan sepuluh buku kepada setiap pembaca selama empat minggu; denda seribu rupiah.",
         "Kerusakan akibat air di ruang bawah tanah harus dilaporkan kepada asuransi dalam dua hari."),
        ("Berapa banyak buku yang bisa dipinjam di perpustakaan?",),
    ),
    Row(
        "Vietnamese",
        ("Hợp đồng thuê nhà chấm dứt ba tháng sau khi có thông báo bằng văn bản.",
         "Thư viện cho mỗi độc giả mượn mười cuốn sách trong bốn tuần; trả muộn phải nộp phạt.",
         "Thiệt hại do nước ở tầng hầm phải được báo cho công ty bảo hiểm trong hai ngày."),
        ("Độc giả được mượn bao nhiêu cuốn sách ở thư viện?",),
    ),
    Row(
        "Russian",
        ("Договор аренды прекращается через три месяца после письменного расторжения.",
         "Библиотека выдаёт каждому читателю десять книг на четыре недели; просрочка стоит рубль в день.",
         "О протечке воды в подвале следует сообщить страховой компании в течение двух дней."),
        ("Сколько книги можно взять читателю в библиотеке?", "Сколько стоят просрочки?"),
    ),
    Row(
        "Ukrainian",
        ("Договір оренди припиняється через три місяці після письмового розірвання.",
         "Бібліотека видає кожному читачеві десять книжок на чотири тижні; прострочення коштує гривню на день.",
         "Про пошкодження водою у підвалі слід повідомити страхову компанію протягом двох днів."),
        ("Скільки книжки можна взяти у бібліотеці?", "Яка плата за прострочену книжку?"),
    ),
    Row(
        "Greek",
        ("Η μίσθωση λήγει τρεις μήνες μετά τη γραπτή καταγγελία.",
         "Η βιβλιοθήκη δανείζει σε κάθε αναγνώστη δέκα βιβλία για τέσσερις εβδομάδες· η καθυστέρηση κοστίζει ένα ευρώ.",
         "Οι ζημιές από νερό στο υπόγειο δηλώνονται στην ασφάλεια εντός δύο ημερών."),
        ("Πόσα βιβλία δανείζουν οι βιβλιοθήκες;", "ΠΟΣΟ ΚΟΣΤΙΖΕΙ Η ΚΑΘΥΣΤΕΡΗΣΗ;"),
    ),
    Row(
        "Arabic",
        ("ينتهي عقد الإيجار بعد ثلاثة أشهر من الإلغاء الخطي.",
         "تعير المكتبة كل قارئ عشرة كتب لمدة أربعة أسابيع؛ والتأخير يكلف دينارا في اليوم.",
         "يجب إبلاغ شركة التأمين بأضرار المياه في القبو خلال يومين."),
        ("كم عدد الكتب التي يستعيرها القراء من مكتبات المدينة؟", "كم تكلفة تأخير الكتاب؟"),
    ),
    Row(
        "Persian",
        ("قرارداد اجاره سه ماه پس از فسخ کتبی پایان می‌یابد.",
         "کتابخانه به هر خواننده ده کتاب برای چهار هفته امانت می‌دهد؛ دیرکرد روزی هزار تومان جریمه دارد.",
         "خسارت آب در زیرزمین باید ظرف دو روز به بیمه اعلام شود."),
        ("چند کتاب‌ها را می‌توان از کتابخانه‌ها امانت گرفت؟", "جریمهٔ دیرکرد چقدر است؟"),
    ),
    Row(
        "Hebrew",
        ("חוזה השכירות מסתיים שלושה חודשים לאחר ביטול בכתב.",
         "הספרייה משאילה לכל קורא עשרה ספרים לארבעה שבועות; איחור עולה שקל ליום.",
         "על נזקי מים במרתף יש להודיע לחברת הביטוח בתוך יומיים."),
        ("כמה ספרים אפשר לשאול בספריות?", "מה המחיר של האיחור בהחזרת הספר?"),
    ),
    Row(
        "Hindi",
        ("किराये का अनुबंध लिखित सूचना के तीन महीने बाद समाप्त होता है।",
         "पुस्तकालय हर पाठक को चार सप्ताह के लिए दस किताबें देता है; देरी पर एक रुपया प्रतिदिन लगता है।",
         "तहखाने में पानी से हुए नुकसान की सूचना बीमा कंपनी को दो दिन में दें।"),
        ("पुस्तकालयों से कितनी किताब मिल सकती है?",),
    ),
    Row(
        "Bengali",
        ("লিখিত নোটিশের তিন মাস পর ভাড়ার চুক্তি শেষ হয়।",
         "গ্রন্থাগার প্রত্যেক পাঠককে চার সপ্তাহের জন্য দশটি বই ধার দেয়; দেরি হলে দিনে এক টাকা জরিমানা।",
         "ভূগর্ভস্থ ঘরে জলের ক্ষতি দুই দিনের মধ্যে বীমা কোম্পানিকে জানাতে হবে।"),
        ("গ্রন্থাগারে পাঠকরা কয়টি বইয়ের ধার পান?",),
    ),
    Row(
        "Tamil",
        ("எழுத்துப்பூர்வ அறிவிப்புக்கு மூன்று மாதங்களுக்குப் பிறகு வாடகை ஒப்பந்தம் முடிவடைகிறது.",
         "நூலகம் ஒவ்வொரு வாசகருக்கும் நான்கு வாரங்களுக்கு பத்து புத்தகங்களை வழங்குகிறது; தாமதத்திற்கு அபராதம் உண்டு.",
         "அடித்தளத்தில் ஏற்படும் நீர் சேதத்தை இரண்டு நாட்களில் காப்பீட்டாளருக்கு தெரிவிக்க வேண்டும்."),
        ("நூலகத்தில் எத்தனை புத்தகம் பெறலாம்?",),
    ),
    Row(
        "Korean",
        ("임대차 계약은 서면으로 해지한 뒤 석 달이 지나면 끝난다.",
         "시립도서관은 독자에게 책을 열 권까지 사 주 동안 빌려주며 연체료는 하루에 백 원이다.",
         "지하실의 수해는 이틀 안에 보험회사에 알려야 한다."),
        ("도서관에서 책은 몇 권 빌릴 수 있나요?", "연체하면 얼마인가요?"),
    ),
    Row(
        "Chinese",
        ("租赁合同在书面解除三个月后终止。",
         "图书馆借给每位读者十本书,为期四周;逾期每天罚款一元。",
         "地下室的水灾必须在两天内通知保险公司。"),
        ("读者可以从图书馆借几本书?", "圖書館逾期要罰款嗎?"),
    ),
    Row(
        "Japanese",
        ("賃貸契約は書面による解約の三か月後に終了する。",
         "図書館は利用者に本を十冊まで四週間貸し出し、延滞料は一日十円である。",
         "地下室の水害は二日以内に保険会社へ届け出ること。"),
        ("図書館では本を何冊借りられますか", "延滞するといくら払うのですか"),
    ),
    Row(
        "Thai",
        ("สัญญาเช่าสิ้นสุดลงสามเดือนหลังจากบอกเลิกเป็นลายลักษณ์อักษร",
         "ห้องสมุดให้ผู้อ่านยืมหนังสือได้สิบเล่มเป็นเวลาสี่สัปดาห์ ค่าปรับล่าช้าวันละห้าบาท",
         "ความเสียหายจากน้ำในห้องใต้ดินต้องแจ้งบริษัทประกันภายในสองวัน"),
        ("ยืมหนังสือจากห้องสมุดได้กี่เล่ม", "ค่าปรับเท่าไร"),
    ),
)  # fmt: skip
