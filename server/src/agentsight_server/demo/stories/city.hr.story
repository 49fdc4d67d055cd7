# Grad Vrbograd: gradski pomoćnik na hrvatskom.
@ street: Frankopanska ulica || Ulica lipa || Vrtna ulica || Obala kralja Tomislava || Kolodvorska ulica || Ulica Marina Držića
@ no: 2..88
@ zone: 1 || 2 || 3
@ case: 2410..9880
@ plate: VG 482-KL || VG 1190-AB || VG 733-TR
@ child: Luka || Mia || Jakov || Nika || Petra

== waste | Odvoz otpada
u: Kada je odvoz smeća u {street}? || Kad odvoze plastiku, {street} {no}? || Dobar dan, kada se odvozi glomazni otpad? || jel danas odvoz papira
t: find_address {"street": "{street}", "number": {no}} => {"zone": {zone}, "found": true} ~150
t: waste_calendar {"zone": {zone}} => {"mixed": "{isodate}", "paper": "{isodate}", "plastic": "{isodate}"} ~190
a: Za adresu **{street} {no}** (zona {zone}):\n\n- miješani otpad: **{date}**\n- papir: tjedan dana poslije\n- glomazni otpad: po pozivu, besplatno jednom godišnje\n\nKante iznesite do 6:00. || Vaša je adresa u zoni {zone}: miješani otpad odvozi se **{date}**, papir i plastika tjedan kasnije, a glomazni otpad jednom godišnje po pozivu.
?30
f: agent text kalendar-odvoza-zona-{zone}.txt | Evo i kalendara za cijelu godinu.
?.
?40
u: A gdje mogu odnijeti stari hladnjak? || Može li se naručiti odvoz glomaznog?
t: order_bulky_waste {"street": "{street}", "number": {no}, "date": "{isodate}"} => {"case": {case}, "date": "{isodate}"} ~410
a: Naručila sam odvoz za **{date}**, predmet broj **{case}**. Ostavite ga ispred kuće večer prije.
?.

== parking_permit | Povlaštena parkirna karta
u: Kako do povlaštene parkirne karte? || Koliko košta stanarsko parkiranje u zoni {zone}? || Trebam produžiti parkirnu kartu za {plate}
a: Za stanare zone **{zone}** karta stoji **9,30 € mjesečno**. Trebate:\n\n1. osobnu iskaznicu s adresom u zoni\n2. prometnu dozvolu\n3. zahtjev (može i ovdje)\n\nŽelite li da pokrenem zahtjev?
b: permit | Pokreni zahtjev=start*4 | Pošalji obrazac=form*2 | Ne sada=no
(start) t: create_case {"type": "parking permit", "plate": "{plate}", "zone": {zone}} => {"case": {case}, "days": 5} ~520
(start) a: Zahtjev je zaprimljen pod brojem **{case}**. Odgovor stiže za najviše 5 radnih dana.
(form) f: agent document obrazac-parkiranje.pdf | Evo obrasca. Ispunjenog ga možete poslati e-poštom ili donijeti na šalter 4.
(no) a: U redu. Javite se kad god želite.

== id_card | Termin za osobnu iskaznicu
u: Trebam termin za novu osobnu || Kako se naručiti za osobnu iskaznicu? || Istekla mi je osobna, što sad
t: free_slots {"service": "id card", "from": "{isodate}"} => {"slots": ["{isodate} {time}", "{isodate} 11:20"]} ~330
a: Prvi slobodni termin je u **{day}, {date} u {time}**, šalter 2. Ponesite staru iskaznicu i jednu fotografiju. Odgovara li vam?
b: slot | Odgovara=yes*4 | Neki drugi dan=other*2
(yes) t: book_slot {"service": "id card", "date": "{isodate}", "time": "{time}"} => {"case": {case}, "confirmed": true} ~480
(yes) a: Termin je potvrđen, broj **{case}**. Dan prije poslat ću podsjetnik.
(other) u: Može li tjedan kasnije, ujutro?
(other) a: Može: tjedan kasnije u {time}. Zapisala sam, broj **{case}**.

== pothole | Prijava rupe na cesti
u: Prijavljujem rupu na cesti, {street} {no} || Ne radi javna rasvjeta u {street} || Srušeno drvo na pločniku, {street} kod broja {no}
?70
f: user image prijava.png | Slika u prilogu || evo slike
?.
t: create_case {"type": "road", "street": "{street}", "number": {no}} => {"case": {case}, "team": "Ceste", "deadline": "{isodate}"} ~450
a: Hvala na prijavi! Zaprimljena je pod brojem **{case}** i proslijeđena nadležnoj ekipi. Rok je **{date}**. || Zabilježeno, broj **{case}**. Ekipa izlazi na teren do {date}.

== kindergarten | Upis u vrtić
u: Kada su upisi u vrtić? || Što treba za upis djeteta u vrtić? {child} ima 3 godine || Ima li mjesta u vrtiću Cvrčak?
t: search_documents {"query": "upis u vrtić"} => {"hits": 3, "best": "Pravilnik o upisu djece"} ~260
a: Upisi traju od **2. do 13. svibnja**. Potrebno je:\n\n- rodni list djeteta\n- potvrda o zaposlenju roditelja\n- potvrda pedijatra\n\nCijena je od **93 € mjesečno**, drugo dijete plaća pola. Više na [stranici vrtića](https://grad.example.org/vrtici).
?50
u: A ako kasnimo s potvrdom? || Može li se prijaviti putem interneta?
a=: Potvrdu možete donijeti do 30 dana nakon prijave. || Da, preko sustava e-Građani ili ovdje, ako imate sve dokumente kao slike.
?.

== library | Radno vrijeme knjižnice
u: Do kad radi knjižnica? || Radi li knjižnica subotom? || Koliko je članarina u knjižnici
a=: Radnim danom **do 20 sati**, subotom do 13 sati. || Da, subotom od **9 do 13** sati. Nedjeljom je zatvorena. || Članarina je **8 € godišnje**, za djecu i umirovljenike besplatna.

== _hello
a: Dobar dan! Ja sam Vrba, digitalna pomoćnica Grada Vrbograda. Što vas zanima?
== _also
u: Još jedno pitanje || I još nešto
== _thanks
u: Hvala lijepa! || Hvala || Super, hvala
a: Nema na čemu. Ugodan dan! || Hvala vama što ste se javili.
== _helpful
a: Je li odgovor bio koristan?
b: after_chat | Da=yes*5 | Ne=no*2
== _retry
a: Sustav ne odgovara, pokušavam još jednom.
== _failed
a: Nažalost, gradski sustav trenutačno nije dostupan. Otvorila sam upit, službenik će vam se javiti sljedeći radni dan.
== _handover
u: Želim razgovarati sa službenikom || Dajte mi broj telefona nekoga u gradu
a: Naravno, prosljeđujem vas službeniku. Radno vrijeme je od 7:30 do 15:30.
== _joined
s: Službenica Katarina pridružila se razgovoru.
== _good
- Odmah sam dobila odgovor
- Bravo za grad!
- Puno brže nego na šalteru
== _neutral
- Može bolje
== _bad
- Nije odgovorila na pitanje
- Opet moram zvati
